"""Judges images: each as a whole, or tile by tile."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch

from sem_lightning.data.data_bar import find_data_bar
from sem_lightning.data.images import MAX_PIXELS, ImageError, read_gray
from sem_lightning.data.looks import Look, Looks
from sem_lightning.decision.answers import good_log_odds, log_probabilities
from sem_lightning.decision.rule import UNSURE, UNSURE_NAME
from sem_lightning.inspection.pixel_size import read_pixel_size
from sem_lightning.inspection.tiles import GRAIN, Stitcher, Tiling
from sem_lightning.model.classifier import SEMClassifier
from sem_lightning.model.combination import combine
from sem_lightning.model.saliency import saliency
from sem_lightning.synthesis.defects.mix import GOOD
from sem_lightning.synthesis.patterns.pattern import EITHER

Float32 = npt.NDArray[np.float32]
_SUSPICIOUS = 0.5  # probability that a cell of the map is not good, from which on it belongs to a region


@dataclass(frozen=True)
class Preparation:
    """How files become what the classifier takes.

    Attributes:
        image_size: Height and width of the tiles that it takes, pixels; a whole image is resized to as many.
        trained_pixel_size: nm, of its training images, where known.
        tiling: ``on``, ``off``, or ``auto``: where the pixel sizes of file and training are known.
        overlap: Share of a tile's side that neighbours have in common.
        pixel_size: nm of every file; ``None`` takes what its tags say.
        scales: Sizes at which an image as a whole is looked at, times ``image_size``, the first 1; those for which
            the file has too few pixels are left out.
        crop_data_bar: Whether data bars are left out.
        invert: Whether dark becomes bright.
        negative: Whether negatives are looked at, of whole images beside them themselves; see `Looks`.
    """

    image_size: int
    trained_pixel_size: float | None
    tiling: str = "auto"
    overlap: float = 0.25
    pixel_size: float | None = None
    scales: tuple[float, ...] = (1.0,)
    crop_data_bar: bool = True
    invert: bool = False
    negative: bool = False

    @staticmethod
    def for_classifier(
        classifier: SEMClassifier, scales: Sequence[float] | None = None, **others: Any
    ) -> "Preparation":
        """As a classifier was made for, with other ``scales`` than its own or other attributes where given."""
        made_for = classifier.hparams["scales"]
        looks = tuple(made_for if scales is None else scales)
        # a classifier of any magnification does not ask what a pixel is, unless its tiles are looked at
        whole = others.get("tiling") != "on" and max(len(made_for), len(looks)) > 1
        if not classifier.knows_good:
            others["tiling"] = "off"  # no tile would be the most suspicious one
        pixel_size = None if whole else classifier.hparams["pixel_size"]
        return Preparation(classifier.image_size, pixel_size, scales=looks, **others)

    def told(self, polarity: str, trained: str) -> "Preparation":
        """For files of a polarity, ``bright`` or ``dark``, and a classifier that was trained on ``trained``."""
        if trained == EITHER:
            return replace(self, negative=polarity == "dark")
        return replace(self, invert=polarity != trained)


@dataclass(frozen=True)
class Prepared:
    """An image file, ready to be judged.

    Attributes:
        path: The file.
        image: float32 [H, W] in [0, 1], in the pixels that the classifier sees.
        tiling: Of it.
        shape: Height and width of the file's image, data bar left out.
        pixel_size: nm of a pixel in the file, where known.
        bar_rows: Rows of its data bar.
        closer: The looks at the whole image beyond the first.
        negative: Whether dark became bright in ``image``.
    """

    path: Path
    image: Float32
    tiling: Tiling
    shape: tuple[int, int]
    pixel_size: float | None
    bar_rows: int
    closer: tuple[Look, ...] = ()
    negative: bool = False


@dataclass(frozen=True)
class Unreadable:
    """A file that cannot be used, and why."""

    path: Path
    error: ImageError


def prepare(path: Path, how: Preparation) -> Prepared:
    """Read a file and bring it to the scale and brightness of the training images.

    Raises:
        ImageError: It cannot be used.
    """
    image = read_gray(path)
    bar_rows = find_data_bar(image) if how.crop_data_bar else 0
    image = image[: len(image) - bar_rows]
    if how.invert:
        image = 1 - image
    negative = how.invert or how.negative
    shape = (image.shape[0], image.shape[1])
    pixel_size = read_pixel_size(path) if how.pixel_size is None else how.pixel_size
    scale = pixel_size / how.trained_pixel_size if pixel_size and how.trained_pixel_size else None
    if how.tiling == "off" or (how.tiling == "auto" and scale is None):
        first, *closer = Looks(how.image_size, how.scales, how.negative).of(image)
        whole = first.image
        tiling = Tiling.whole(*whole.shape)
        return Prepared(path, whole, tiling, shape, pixel_size, bar_rows, tuple(closer), negative)
    if how.negative:
        image = 1 - image
    if scale is not None:
        image = _rescale(path, image, scale)
    tiling = Tiling.plan(image.shape[0], image.shape[1], how.image_size, how.overlap)
    return Prepared(path, np.ascontiguousarray(image), tiling, shape, pixel_size, bar_rows, negative=negative)


def _rescale(path: Path, image: Float32, scale: float) -> Float32:
    height, width = (round(n * scale) for n in image.shape)
    if min(height, width) < GRAIN or height * width > MAX_PIXELS:
        raise ImageError(
            f"{path}: {image.shape[1]} x {image.shape[0]} pixels would become {width} x {height} at the pixel size of "
            "training; is the pixel size right? (tiling=off does without it)"
        )
    if (height, width) == image.shape:
        return image
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width, height), interpolation=how), np.float32)


@dataclass(frozen=True)
class Region:
    """A suspicious part of an image: its box in the file's pixels, what it would be, and how sure that is."""

    x: int
    y: int
    width: int
    height: int
    label: str
    score: float


@dataclass(frozen=True)
class Finding:
    """What was found in an image.

    Attributes:
        prepared: The image.
        probabilities: Of each class, [C]; of tiles, those of the one least likely to be good.
        label: The most probable class.
        decision: A class, or ``unsure``.
        distance: How unlike the training images it is; ``None`` where the rule does not know.
        regions: Suspicious parts, the most suspicious first.
        heat: Probability that a place is not good, at an eighth of the pixels of ``prepared.image``.
        salience: What captum says at the same places; ``None`` where nobody asked.
        by_scale: Probabilities at each scale that the image was looked at. ``probabilities`` are those of all looks
            together, see `combine`; one that enlarges counts half, and one at an image beside its negative.
    """

    prepared: Prepared
    probabilities: npt.NDArray[np.float64]
    label: str
    decision: str
    distance: float | None
    regions: list[Region]
    heat: Float32
    salience: Float32 | None
    by_scale: dict[float, npt.NDArray[np.float64]]


@dataclass
class _Judging:
    """An image some of whose tiles are judged."""

    prepared: Prepared
    stitcher: Stitcher
    salience: Stitcher | None
    waiting: int
    lowest: float = np.inf  # log odds of good of the tile that decides, and that tile's answers
    logits: npt.NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    features: npt.NDArray[np.float64] = field(default_factory=lambda: np.empty(0))


@dataclass(frozen=True)
class _Answer:
    """Logits of a look at an image, its scale, and its weight beside others."""

    times: float
    weight: float
    logits: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Inspector:
    """Applies a classifier and its rule to prepared images.

    Attributes:
        classifier: In evaluation mode, on the CPU.
        batch_size: Tiles judged together, of one image or of several.
        explain: Whether to ask captum which pixels count.
    """

    classifier: SEMClassifier
    batch_size: int
    explain: bool = False

    def judge(self, images: Iterable[Prepared | Unreadable]) -> Iterator[Finding | Unreadable]:
        """Findings in the order of the images; only what is being judged is kept in memory."""
        pending: deque[_Judging | Unreadable] = deque()
        batch: list[tuple[_Judging, int, Float32]] = []
        for prepared in images:
            if isinstance(prepared, Unreadable):
                pending.append(prepared)
                yield from self._finished(pending)
                continue
            channels = len(self.classifier.classes)
            judging = _Judging(
                prepared,
                Stitcher(prepared.tiling, channels),
                Stitcher(prepared.tiling, 1) if self.explain else None,
                len(prepared.tiling),
            )
            pending.append(judging)
            for number in range(len(prepared.tiling)):
                tile = prepared.tiling.cut(prepared.image, number)
                if batch and tile.shape != batch[0][2].shape:
                    self._run(batch)
                    batch = []
                batch.append((judging, number, tile))
                if len(batch) == self.batch_size:
                    self._run(batch)
                    batch = []
            yield from self._finished(pending)
        if batch:
            self._run(batch)
        yield from self._finished(pending)

    def _finished(self, pending: "deque[_Judging | Unreadable]") -> Iterator[Finding | Unreadable]:
        """The first of them, as far as their tiles are judged."""
        while pending:
            first = pending[0]
            if isinstance(first, _Judging) and first.waiting:
                return
            pending.popleft()
            yield self._conclude(first) if isinstance(first, _Judging) else first

    def _run(self, batch: list[tuple[_Judging, int, Float32]]) -> None:
        images = torch.from_numpy(np.stack([tile for _, _, tile in batch])).unsqueeze(1)
        with torch.inference_mode():
            prediction = self.classifier(images)
            maps = prediction.maps[0].softmax(dim=1).numpy()
        logits, features = prediction.logits.double().numpy(), prediction.features.double().numpy()
        odds = good_log_odds(logits, self.classifier.rule.temperature)
        salience = None
        if self.explain:
            # of the defect that it would be, whatever is decided
            first = int(self.classifier.knows_good)
            targets = first + prediction.logits[:, first:].argmax(dim=1)
            salience = saliency(self.classifier, images, targets.clone())
        for i, (judging, number, _) in enumerate(batch):
            judging.waiting -= 1
            judging.stitcher.add(number, maps[i])
            if salience is not None and judging.salience is not None:
                doubt = np.float32(1 / (1 + np.exp(min(odds[i], 500.0))))  # an unsuspicious tile has nothing to explain
                judging.salience.add(number, salience[i][None] * doubt)
            # an answer that is no number is the worst there can be: no later tile hides it
            doubtful = -np.inf if np.isnan(odds[i]) else odds[i]
            if doubtful < judging.lowest or not judging.logits.size:
                judging.lowest, judging.logits, judging.features = doubtful, logits[i], features[i]

    def _conclude(self, judging: _Judging) -> Finding:
        classes = self.classifier.classes
        answers = self._look_closer(judging)
        verdicts = self.classifier.rule.decide(self._together(answers), judging.features[None])
        decision, distance = int(verdicts.decisions[0]), float(verdicts.distances[0])
        maps = judging.stitcher.finish()
        heat = np.asarray(1 - maps[0], np.float32)
        return Finding(
            prepared=judging.prepared,
            probabilities=verdicts.probabilities[0],
            label=classes[int(verdicts.labels[0])],
            decision=UNSURE_NAME if decision == UNSURE else classes[decision],
            distance=None if np.isnan(distance) else distance,
            regions=_find_regions(heat, maps, classes, judging.prepared),
            heat=heat,
            salience=judging.salience.finish()[0] if judging.salience is not None else None,
            by_scale={
                times: self._probabilities([answer for answer in answers if answer.times == times])
                for times in sorted({answer.times for answer in answers})
            },
        )

    def _probabilities(self, answers: Sequence[_Answer]) -> npt.NDArray[np.float64]:
        probabilities = np.exp(log_probabilities(self._together(answers), self.classifier.rule.temperature)[0])
        return np.asarray(probabilities, np.float64)

    def _together(self, answers: Sequence[_Answer]) -> npt.NDArray[np.float64]:
        """Logits [1, C] of all looks, from which the rule was made."""
        logits = torch.from_numpy(np.stack([answer.logits for answer in answers]))[None]
        weights = torch.tensor([[answer.weight for answer in answers]], dtype=torch.float64)
        return np.asarray(combine(logits, weights, self.classifier.knows_good).numpy(), np.float64)

    def _look_closer(self, judging: _Judging) -> list[_Answer]:
        """What each look at the image says."""
        answers = [_Answer(1.0, 1.0, judging.logits)]
        for look in judging.prepared.closer:
            with torch.inference_mode():
                answer = self.classifier(torch.from_numpy(look.image)[None, None])
            answers.append(_Answer(look.times, look.weight, answer.logits[0].double().numpy()))
        return answers


def _find_regions(heat: Float32, maps: Float32, classes: list[str], prepared: Prepared) -> list[Region]:
    """Boxes around connected places of the map that are probably not good; none where no class is good."""
    if classes[0] != GOOD:
        return []
    hot = (heat > _SUSPICIOUS).astype(np.uint8)
    if not hot.any():
        return []
    count, numbers, boxes, _ = cv2.connectedComponentsWithStats(hot, connectivity=8)
    down, across = (full / seen * GRAIN for full, seen in zip(prepared.shape, prepared.image.shape, strict=True))
    height, width = prepared.shape
    regions = []
    for number in range(1, count):
        x, y, w, h = (int(n) for n in boxes[number][:4])
        part = (slice(y, y + h), slice(x, x + w))
        inside = np.where(numbers[part] == number, heat[part], 0)
        peak = np.unravel_index(int(inside.argmax()), inside.shape)
        label = classes[1 + int(maps[1:, y + peak[0], x + peak[1]].argmax())]
        left, top = min(int(x * across), width - 1), min(int(y * down), height - 1)
        right, bottom = min(round((x + w) * across), width), min(round((y + h) * down), height)
        regions.append(Region(left, top, right - left, bottom - top, label, round(float(inside.max()), 6)))
    return sorted(regions, key=lambda region: -region.score)
