"""Training images for the network that names places: places of simulated pairs."""

import functools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from torch.utils.data import Dataset

from sem_lightning.checks import between
from sem_lightning.data.image_metadata import ImageMetadata, total_dose
from sem_lightning.data.labelled_image import LabelledImage
from sem_lightning.data.sources import Batch, Source
from sem_lightning.data.splits import MAX_PER_CLASS, SPLITS
from sem_lightning.errors import SettingError
from sem_lightning.inspection.difference import compare
from sem_lightning.inspection.inspection import Place
from sem_lightning.inspection.place_picture import SIDE, PairPictures, cut
from sem_lightning.inspection.places import CANDIDATE_SCORE, CANDIDATES, find_peaks
from sem_lightning.inspection.registration import warp
from sem_lightning.inspection.row_alignment import align_rows
from sem_lightning.io.gray_image import GrayImage, as_gray_image
from sem_lightning.model.model_settings import ModelSettings
from sem_lightning.synthesis.defects.mix import GOOD
from sem_lightning.synthesis.pairs import Pair, PairSimulator

_JITTER = 4  # pixels by which a place is moved at most
_ERRORS = (0.05, 0.5)  # pixels: standard deviation of a registration's error, log-uniform
_NEAR = 6  # pixels around a defect that belong to it
_TURN_STREAM = 3  # of the random numbers of (seed, split, index)


class PlaceDataset(Dataset[Batch]):
    """Places of simulated pairs: ``dataset[index]`` depends on nothing but the index.

    Each pair has one defect. Its first item is the place of the defect; the others are places without one, those that
    differ most, as an inspection finds them.

    Args:
        simulator: Simulates the pairs.
        seed: Seed of the data set.
        split: ``train``, ``val``, ``test`` or ``calibration``.
        pairs: Pairs in one epoch.
        places: Items of each pair.
        fresh: Whether indices beyond the first epoch are new pairs.
    """

    def __init__(self, simulator: PairSimulator, seed: int, split: str, pairs: int, places: int, fresh: bool) -> None:
        self.simulator = simulator
        self.seed = seed
        self.split = SPLITS.index(split)
        self.pairs = pairs
        self.places = places
        self.fresh = fresh
        self._pair = functools.lru_cache(maxsize=1)(self._make_pair)  # neighbouring items share a pair

    def __len__(self) -> int:
        return self.pairs * self.places

    def labelled(self, index: int) -> LabelledImage:
        """The picture of a place with its metadata, for evaluation."""
        number, item = divmod(index, self.places)
        pair, pictures, found = self._pair(number if self.fresh else number % self.pairs)
        scene = pair.image.scene
        rng = np.random.default_rng([self.seed, self.split, index, _TURN_STREAM])
        move = rng.integers(-_JITTER, _JITTER + 1, 2)
        turns, mirrored = int(rng.integers(4)), bool(rng.integers(2))
        (x, y), label = found[item % len(found)], scene.label if item == 0 else GOOD

        def turned(quarter: npt.NDArray[Any]) -> npt.NDArray[Any]:
            quarter = np.rot90(quarter, turns)
            return np.ascontiguousarray(quarter[:, ::-1] if mirrored else quarter)

        whole = pictures.at(x + move[0], y + move[1])
        quarters = [turned(each) for half in np.split(whole, 2) for each in np.split(half, 2, axis=1)]
        mask = turned(cut(pair.image.mask.astype(np.float32), x + move[0], y + move[1])) > 0
        mask &= label != GOOD
        metadata = ImageMetadata(scene.severity, total_dose(scene.detection.dose, scene.detection.frames))
        return LabelledImage(
            GrayImage(np.block([quarters[:2], quarters[2:]]).astype(np.float32)),
            self.simulator.classes.index(label),
            np.kron(mask, np.ones((2, 2))).astype(np.uint8),
            metadata.numbers(mask.astype(np.uint8), scene.view.pixel_size),
        )

    def __getitem__(self, index: int) -> Batch:
        """``image`` float32 [1, 128, 128] in [0, 1], ``label`` int, ``mask`` uint8 [128, 128] (1 on the defect)."""
        return self.labelled(index).item()

    def _make_pair(self, number: int) -> tuple[Pair, PairPictures, list[tuple[float, float]]]:
        """A pair, its pictures, and the places (x, y): the defect, and then where it differs most without one."""
        defects = self.simulator.classes[1:]
        pair = self.simulator.sample(number, defects[number % len(defects)], self.seed, self.split)
        image, reference = (as_gray_image(each).pixels for each in (pair.image.image, pair.reference))
        # the true transform with a registration's error, because a registration takes longer than all the rest
        rng = np.random.default_rng([self.seed, self.split, number, _TURN_STREAM, 2])
        error = math.exp(rng.uniform(*np.log(_ERRORS)))
        matrix = pair.matrix + np.array([[0, 0, 1], [0, 0, 1]]) * rng.normal(0, error, (2, 1))
        row_shifts, _ = align_rows(image, *warp(reference, matrix, image.shape))
        moved, shown = warp(reference, matrix, image.shape, row_shifts)
        scores = compare(image, moved, shown)
        places = find_peaks(scores, CANDIDATE_SCORE, CANDIDATES)
        return pair, PairPictures.of(image, moved, shown, scores), self._choose(pair, places, number)

    def _choose(self, pair: Pair, places: tuple[Place, ...], number: int) -> list[tuple[float, float]]:
        x, y, width, height = pair.image.instances[0].box
        defect = Place(x, y, width, height, pair.image.scene.label, 0.0, 0, False)
        on_defect = [place for place in places if place.overlaps(defect, _NEAR)]
        centre = on_defect[0].middle if on_defect else (x + width / 2, y + height / 2)
        others = [place.middle for place in places if place not in on_defect][: self.places - 1]
        rng = np.random.default_rng([self.seed, self.split, number, _TURN_STREAM, 1])
        while len(others) < self.places - 1:  # a quiet pair: anywhere away from the defect
            spot = (float(rng.uniform(0, pair.image.image.shape[1])), float(rng.uniform(0, pair.image.image.shape[0])))
            if max(abs(spot[0] - centre[0]), abs(spot[1] - centre[1])) > SIDE / 2:
                others.append(spot)
        return [centre, *others]


def check_places(settings: ModelSettings, source: Source) -> None:
    """Check that a network for places judges places, and that no other network does.

    Raises:
        SettingError: It is not so.
    """
    if settings.judges_places and not isinstance(source, PlaceSource):
        raise SettingError("data", f"{settings.network} compares places of pairs; use data=pairs, or another model")
    if isinstance(source, PlaceSource) and not settings.judges_places:
        raise SettingError("data", f"pairs are for model=place, and {settings.network} judges images; use other data")


class PlaceSource:
    """Places of pairs simulated on the fly; see `sem_lightning.data.sources.Source`.

    Args:
        simulator: Simulates the pairs.
        seed: Seed of all splits.
        pairs_per_class: Pairs with a defect of each class in each split; for ``train``, in each epoch.
        places: Places of each pair: its defect and some without one.

    Raises:
        SettingError: Fields of view too small for a place, or a split without pairs.
    """

    image_size = 2 * SIDE
    pixel_size: float | None = None  # patterns of any magnification
    polarity: str | None = None
    folder: dict[str, Any] | None = None

    def __init__(self, simulator: PairSimulator, seed: int, pairs_per_class: Mapping[str, int], places: int) -> None:
        for split in SPLITS:
            between(f"data.{split}_per_class", pairs_per_class[split], split != "calibration", MAX_PER_CLASS, "pairs")
        if simulator.simulator.imaging.image_size < 1.5 * SIDE:
            raise SettingError(
                "imaging.image_size",
                f"found {simulator.simulator.imaging.image_size}, expected {3 * SIDE // 2} pixels at least for places "
                f"of {SIDE}",
            )
        self.classes = simulator.classes
        self.group = places
        self._simulator = simulator
        self._seed = seed
        self._pairs = pairs_per_class

    def counts(self, split: str) -> dict[str, int]:
        each = self._pairs[split]
        defects = dict.fromkeys(self.classes[1:], each)
        return {self.classes[0]: each * len(defects) * (self.group - 1), **defects}

    def dataset(self, split: str) -> PlaceDataset:
        pairs = self._pairs[split] * (len(self.classes) - 1)
        return PlaceDataset(self._simulator, self._seed, split, pairs, self.group, split == "train")
