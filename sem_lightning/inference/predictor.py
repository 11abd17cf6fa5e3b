"""The Predictor: the only code that runs a classifier on images."""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from sem_lightning.checks import one_of
from sem_lightning.decision.rule import UNSURE, UNSURE_NAME
from sem_lightning.decision.scores import Floats, log_odds_good, log_probabilities
from sem_lightning.errors import SettingError, UserError
from sem_lightning.inference.inversion import Inversion, choose_inversion
from sem_lightning.inference.network_runner import Job, NetworkRunner
from sem_lightning.inference.polarity_vote import PolarityVote, explain_polarity, vote_on_polarity
from sem_lightning.inference.prediction import Prediction, UnreadableImage
from sem_lightning.inference.preprocessing import PreparedImage, Preprocessing
from sem_lightning.inference.reader import read_ahead
from sem_lightning.inference.view_aggregation import aggregate_views
from sem_lightning.io.find import find_images
from sem_lightning.io.gray_image import GrayImage, ImagePage, as_gray_image, open_image
from sem_lightning.io.images import ImageError, resize_to
from sem_lightning.polarity import POLARITIES
from sem_lightning.runtime.open_model import Model, open_model, open_network
from sem_lightning.synthesis.field import Float32

Image = Path | ImagePage | GrayImage | npt.NDArray[np.float32] | npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

_ADAPTED_TO, _FEWEST_ADAPTED_TO = 256, 8  # images
_MOST_WAITING = 256  # images that may wait for a full batch of their shape


class Predictor:
    """Judges images: reading, polarity, views or tiles, the network, aggregation, the decision rule.

    Args:
        model: See `sem_lightning.runtime.open_model.open_model`. Its network is copied.
        polarity: ``bright`` or ``dark``: brightness of the features in the images. ``auto`` takes the grey level that
            covers less area. ``None`` takes the polarity of training; if that is both, ``dark`` if enough of the
            images show ends of dark wires.
        tiling: ``on``, ``off`` or ``auto``, see `Preprocessing`.
        overlap: Overlap of neighbouring tiles as a share of a tile's side.
        pixel_size: Pixel size of the images in nm; ``None`` takes that of each file.
        view_scales: Sizes of the views times the image size of training; ``None`` takes those of the classifier.
        crop_data_bar: Whether the data bar of vendors' images is cropped.
        explain: Whether to compute captum's saliency and keep the network's input.
        device: The torch device, or ``auto``.

    Raises:
        SettingError: Values that are invalid or do not fit the classifier.

    Example:
        >>> predictor = load("robust")
        >>> for p in predictor.predict("my_images/"):
        ...     print(p.path, p.label, p.decision, p.probabilities)
    """

    def __init__(
        self,
        model: Model,
        *,
        polarity: str | None = None,
        tiling: str = "auto",
        overlap: float = 0.25,
        pixel_size: float | None = None,
        view_scales: Sequence[float] | None = None,
        crop_data_bar: bool = True,
        explain: bool = False,
        device: str = "cpu",
    ) -> None:
        self.settings = model.settings
        self.rule = model.rule
        self.polarity = polarity
        self.preprocessing = Preprocessing.for_model(
            model.settings, tiling, overlap, pixel_size, view_scales, crop_data_bar
        )
        if polarity is not None:
            one_of("polarity", polarity, (*POLARITIES, "auto"))
        if polarity not in (None, "auto"):
            inversion = choose_inversion(str(polarity), model.settings.polarity)
            self.preprocessing = replace(self.preprocessing, inversion=inversion)
        self.explain = explain
        self._classes = list(model.settings.classes)
        self._vote: PolarityVote | None = None
        self._decoded: dict[Path, GrayImage] = {}  # files that the polarity vote has decoded
        self._unadapted = self._network = open_network(model, device, explain)

    @property
    def classes(self) -> list[str]:
        """Class names in label order."""
        return list(self._classes)

    def remarks(self, adapted: bool = False) -> list[str]:
        """Warnings for the user about how images are judged.

        Args:
            adapted: Whether batch norm statistics were adapted.
        """
        said = []
        how = self.preprocessing
        scales = (1.0,) if how.tiling == "on" else how.view_scales
        if self.rule.risk_bound is not None and adapted:
            said.append("its risk bound was made without adapt=true and does not hold with it")
        if self.rule.risk_bound is not None and tuple(scales) != tuple(self.settings.view_scales):
            said.append("its risk bound was made for other view_scales and does not hold with these")
        if how.pixel_size is not None and how.tiling == "auto" and len(how.view_scales) > 1:
            said.append("pixel_size: not used, because images are judged whole at several sizes; tiling=on uses tiles")
        return said

    def predict(
        self, images: "str | Path | Image | Sequence[str | Path | Image]", skip_unreadable: bool = False
    ) -> list[Prediction]:
        """Judge images.

        Args:
            images: A folder, a glob, a text file that lists paths, or an image file; an array (float32 in [0, 1],
                uint8 or uint16, [H, W]); or a sequence of files and arrays.
            skip_unreadable: Whether to skip files that cannot be used instead of raising.

        Returns:
            One prediction for each image, in their order.

        Raises:
            UserError: No images, or files that cannot be used; the message names every one.
            SettingError: ``polarity="auto"`` cannot tell.
        """
        items = list_images(images)
        self.adopt_polarity(items)
        found = list(self.stream(items))
        unreadable = [str(each.error) for each in found if isinstance(each, UnreadableImage)]
        if unreadable and not skip_unreadable:
            raise UserError(
                f"{len(unreadable)} of {len(found)} images cannot be used: {'; '.join(unreadable)}; fix them, or "
                "leave them out with skip_unreadable=True"
            )
        return [each for each in found if isinstance(each, Prediction)]

    def adopt_polarity(self, images: Sequence[Image]) -> PolarityVote | None:
        """If the polarity is not given, estimate it from some of the images and use it until the next call.

        Returns:
            The estimate and its evidence; ``None`` if none was made.

        Raises:
            SettingError: ``polarity="auto"`` cannot tell.
        """
        if self.polarity in (None, "auto"):  # a result from other images does not apply
            self.preprocessing = replace(self.preprocessing, inversion=Inversion.NONE)
        bounded = self.rule.risk_bound is not None  # the bound holds for images that are not inverted
        vote = vote_on_polarity(images, self.polarity, self.settings.polarity, bounded, self._open, self._largest_view)
        self._vote = vote
        if vote is not None:
            self._decoded = vote.decoded
            inversion = choose_inversion(vote.polarity, self.settings.polarity)
            self.preprocessing = replace(self.preprocessing, inversion=inversion)
        return vote

    def polarity_in_words(self) -> str:
        """The polarity that images are assumed to have, and why: asked for, the checkpoint's, or the last vote's."""
        return explain_polarity(self.polarity, self.settings.polarity, self.rule.risk_bound is not None, self._vote)

    def adapt(self, images: Sequence[Image]) -> int:
        """Move the batch norm statistics halfway to those of some unlabelled images; see `InferenceNetwork`.

        Returns:
            The number of images that were used.

        Raises:
            SettingError: Too few of them can be read and show a pattern.
        """
        chosen = [images[round(i)] for i in np.linspace(0, len(images) - 1, min(len(images), _ADAPTED_TO))]
        seen: list[Float32] = []
        for each in read_ahead(chosen, self._prepare):
            if isinstance(each, PreparedImage) and each.fault is None:  # a different tile of each tiled image
                seen.append(each.tiling.cut(each.image, len(seen) % len(each.tiling)).copy())
        if len(seen) < _FEWEST_ADAPTED_TO:
            raise SettingError("adapt", f"needs {_FEWEST_ADAPTED_TO} readable images or more, found {len(seen)}")
        common = Counter(image.shape for image in seen).most_common(1)[0][0]  # a batch has one shape
        self._network = self._unadapted.adapted(np.stack([resize_to(image, common) for image in seen])[:, None])
        return len(seen)

    def stream(self, images: Iterable[Image]) -> Iterator[Prediction | UnreadableImage]:
        """Judge images one after the other, in order. Only the images being judged are kept in memory.

        A thread reads a sequence ahead. Any other iterable is consumed as predictions are requested.
        """
        if isinstance(images, str | Path | ImagePage | GrayImage | np.ndarray):
            images = list_images(images)
        ahead = isinstance(images, Sequence)
        prepared = read_ahead(images, self._prepare) if ahead else map(self._prepare, images)
        pending: deque[Job | UnreadableImage] = deque()
        runner = NetworkRunner(self._network, self.settings, self.rule.temperature, self.explain)
        for each in prepared:
            pending.append(each if isinstance(each, UnreadableImage) else runner.submit(each))
            if len(pending) >= _MOST_WAITING:
                runner.flush()
            yield from self._finished(pending)
        runner.flush()
        yield from self._finished(pending)

    def _open(self, image: Image) -> GrayImage:
        """The decoded image without its data bar."""
        if isinstance(image, str):
            image = Path(image)
        if isinstance(image, Path):
            found = self._decoded.pop(image, None)
            return open_image(image, self.preprocessing.crop_data_bar) if found is None else found
        if isinstance(image, ImagePage):
            return image.open(self.preprocessing.crop_data_bar)
        return image if isinstance(image, GrayImage) else as_gray_image(image)

    def _largest_view(self, image: GrayImage) -> Float32 | None:
        """The largest view of an image, without enlarging it; ``None`` if the image cannot be judged."""
        prepared = self.preprocessing.prepare(image)
        if prepared.fault is not None:
            return None
        return [prepared.image, *(view.image for view in prepared.more_views if not view.enlarged)][-1]

    def _prepare(self, image: Image) -> PreparedImage | UnreadableImage:
        try:
            return self.preprocessing.prepare(self._open(image))
        except (ImageError, MemoryError, cv2.error) as error:  # OpenCV has its own error for missing memory
            path = (image if isinstance(image, Path) else getattr(image, "path", None)) or Path("array")
            return UnreadableImage.of(path, error)

    def _finished(self, pending: "deque[Job | UnreadableImage]") -> Iterator[Prediction | UnreadableImage]:
        """Predictions for the finished images at the front of the queue."""
        while pending:
            first = pending[0]
            if isinstance(first, Job) and first.waiting:
                return
            pending.popleft()
            yield self._conclude(first) if isinstance(first, Job) else first

    def _conclude(self, job: Job) -> Prediction:
        prepared, views = job.prepared, job.prepared.more_views
        scales = np.array([1.0, *(view.scale for view in views)])
        weights = np.array([prepared.weight, *(view.weight for view in views)])
        each = np.stack([job.logits, *(job.views[i] for i in range(len(views)))])
        logits, features = self._aggregate(each, weights), self._nearest_features(job)
        verdicts = self.rule.decide(logits[None], features[None])
        decision, ood_score = int(verdicts.decisions[0]), float(verdicts.ood_scores[0])
        if prepared.fault is not None:
            decision = UNSURE
        probabilities = dict(zip(self._classes, verdicts.probabilities[0].tolist(), strict=True))
        knows_good = self.settings.knows_good
        return Prediction(
            path=prepared.path,
            label=self._classes[int(verdicts.labels[0])],
            decision=UNSURE_NAME if decision == UNSURE else self._classes[decision],
            reason=prepared.fault or verdicts.reasons[0],
            probabilities=probabilities,
            logits=logits,
            features=features,
            log_odds_good=float(log_odds_good(logits[None], self.rule.temperature)[0]) if knows_good else None,
            ood_score=None if np.isnan(ood_score) else ood_score,
            by_view={
                float(scale): self._probabilities(each[scales == scale], weights[scales == scale])
                for scale in sorted(set(scales.tolist()))
            },
            shape=prepared.shape,
            pixel_size=prepared.pixel_size,
            data_bar_rows=prepared.data_bar_rows,
            inverted=prepared.inverted,
            tiles=len(prepared.tiling),
            maps=job.stitcher.finish(),
            seen_shape=(prepared.image.shape[0], prepared.image.shape[1]),
            deciding=None if views else (*prepared.tiling.place(job.deciding), *prepared.tiling.sides),
            image=prepared.image if self.explain else None,
            saliency=job.saliency.finish()[0] if job.saliency is not None else None,
        )

    def _nearest_features(self, job: Job) -> Floats:
        """The features of the view with the lowest out-of-distribution score; enlarged views do not count.

        One scale that is like training is enough: another may show more and finer lines than any training image.
        """
        views = job.prepared.more_views
        found = [job.features, *(job.view_features[i] for i, view in enumerate(views) if not view.enlarged)]
        return found[0] if self.rule.ood is None else found[int(self.rule.ood_scores(np.stack(found)).argmin())]

    def _aggregate(self, logits: Floats, weights: Floats) -> Floats:
        return aggregate_views(logits, weights, self.settings.knows_good)

    def _probabilities(self, logits: Floats, weights: Floats) -> Floats:
        aggregated = self._aggregate(logits, weights)[None]
        return np.asarray(np.exp(log_probabilities(aggregated, self.rule.temperature)[0]), np.float64)


def list_images(images: "str | Path | Image | Sequence[str | Path | Image]") -> list[Image]:
    """The images that an argument of `Predictor.predict` names."""
    if isinstance(images, str | Path):
        return list(find_images(str(images)))
    if isinstance(images, ImagePage | GrayImage | np.ndarray):
        return [images]
    return [Path(each).expanduser() if isinstance(each, str) else each for each in images]


def load(name: str | Path, **options: Any) -> Predictor:
    """A Predictor for a classifier of whole images.

    Args:
        name: A checkpoint that ``sem-train`` or ``sem-calibrate`` wrote, a folder that ``sem-export`` wrote, or
            ``robust``, the classifier that comes with the package.
        options: Of `Predictor`.

    Raises:
        UserError: No such file, or not a checkpoint.
        SettingError: A network that compares places of pairs, or options that are invalid or do not fit the classifier.

    Example:
        >>> predictor = load("robust", polarity="dark")
    """
    model = open_model(name)
    if model.settings.judges_places:
        raise SettingError(
            "ckpt", f"{name} compares an image with its reference; use it as network=... with a reference"
        )
    return Predictor(model, **options)
