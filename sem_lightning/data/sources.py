"""Sources of labelled images: the simulator, or a folder on disk."""

import hashlib
import os
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from torch.utils.data import Dataset

from sem_lightning.checks import between, check_weights
from sem_lightning.data.curriculum import STAGE_KEYS, Curriculum
from sem_lightning.data.folder_dataset import FolderDataset
from sem_lightning.data.folder_splits import check_complete, fill_splits, split_files
from sem_lightning.data.labelled_file import LabelledFile
from sem_lightning.data.labelled_folder import describe_folder, read_folder
from sem_lightning.data.simulated import SimulatedDataset
from sem_lightning.data.splits import MAX_PER_CLASS, SPLITS
from sem_lightning.errors import SettingError, UserError
from sem_lightning.io.images import whole_shape
from sem_lightning.synthesis.simulator import Simulator

Batch = dict[str, Any]
_PER_CLASS = MappingProxyType({"train": 400, "val": 100, "test": 1000, "calibration": 200})


class Source(Protocol):
    """A source of images, and the facts about them that a model stores.

    Attributes:
        classes: Class names in label order.
        image_size: Height and width of a square image, pixels; other images have the same number of pixels.
        pixel_size: nm, if known.
        polarity: Polarity of the feature, if known: ``bright``, ``dark`` or ``either``.
        group: Number of neighbouring training images that stay together: 2 with ``paired_negatives``, else 1.
        folder: ``None`` for simulated images. For images on disk: ``root`` and ``images``, a digest of names and labels
            (of train and val if the folder says the splits, else of all images). If some splits are random, also
            ``seed``, ``shares`` and, with folds, ``fold``.
    """

    classes: list[str]
    image_size: int
    pixel_size: float | None
    polarity: str | None
    group: int
    folder: dict[str, Any] | None

    def dataset(self, split: str) -> "Dataset[Batch]":
        """One of the four splits for training: a map-style data set that also is a `LabelledImages`."""

    def counts(self, split: str) -> dict[str, int]:
        """Images of each class in a split."""


class SimulatedSource:
    """Images simulated on the fly.

    Args:
        simulator: Draws and renders the scenes.
        seed: Seed of all splits.
        per_class: Images of each class in each split; for ``train``, in each epoch.
        fresh: Draw new training scenes in every epoch.
        class_weights: Relative frequency of each class in the training split; ``None`` balances them exactly.
        curriculum: Changes in some training epochs.

    Raises:
        SettingError: A split without images, weights that are not one non-negative number for each class, or an invalid
            curriculum.
    """

    def __init__(
        self,
        simulator: Simulator,
        seed: int = 0,
        per_class: Mapping[str, int] = _PER_CLASS,
        fresh: bool = True,
        class_weights: Sequence[float] | None = None,
        curriculum: Curriculum = Curriculum(),
    ) -> None:
        per_class = {**_PER_CLASS, **per_class}
        for split in SPLITS:
            between(f"data.{split}_per_class", per_class[split], split != "calibration", MAX_PER_CLASS, "images")
        self.classes = simulator.classes
        self.image_size = simulator.imaging.image_size
        self.pixel_size: float | None = simulator.imaging.pixel_size
        self.polarity: str | None = simulator.polarity
        self.group = 2 if curriculum.paired_negatives else 1
        self.folder: dict[str, Any] | None = None
        self._simulator = simulator
        self._seed = seed
        self._per_class = per_class
        self._fresh = fresh
        if class_weights is not None:
            check_weights("data.class_weights", class_weights, self.classes)
        self._weights = None if class_weights is None else list(class_weights)
        self._curriculum = curriculum
        curriculum.stages(simulator)  # raises its errors before training
        if curriculum.has_stages and not fresh:
            raise SettingError(
                "data.fresh_each_epoch",
                f"must be true with any of {', '.join(f'data.{key}' for key in STAGE_KEYS)} above 0",
            )
        if curriculum.paired_negatives and self._weights is not None:
            raise SettingError("data.paired_negatives", "every other image is good, so data.class_weights must be null")

    def counts(self, split: str) -> dict[str, int]:
        return dict.fromkeys(self.classes, self._per_class[split])

    def dataset(self, split: str) -> SimulatedDataset:
        size = self._per_class[split] * len(self.classes)
        if split != "train":
            return SimulatedDataset(self._simulator, self._seed, split, size)
        size += size % self.group
        return SimulatedDataset(self._simulator, self._seed, split, size, self._fresh, self._weights, self._curriculum)


def _digest(root: Path, files: Sequence[LabelledFile]) -> str:
    """A digest of the names and order of each class's images, on which a random division depends."""
    by_class = sorted(files, key=lambda file: file.label)
    names = [f"{file.label} {file.name or file.path.relative_to(root)}" for file in by_class]
    return hashlib.sha256(b"\0".join(map(os.fsencode, names))).hexdigest()


class FolderSource:
    """Labelled image files.

    Args:
        root: The folder; see `read_folder`, also for ``classes`` and ``on_bad_image``.
        classes: Class names in label order; ``None`` takes the classes in the folder.
        shares: Share of each class in each split, if the folder does not say the splits. If it says them and ``val`` or
            ``test`` has no image, of the images of ``train``.
        on_bad_image: ``error`` or ``skip``.
        crop_data_bar: Whether data bars are detected and cropped.
        seed: Seed of the random split.
        image_size: Images are resized to the number of pixels of this square. They keep their aspect ratio; if it
            varies, all get the median one.
        pixel_size: nm at that size; ``None`` takes it from ``dataset.json``.
        polarity: ``bright`` or ``dark``; ``None`` takes it from ``dataset.json``.
        needed: Splits that must hold every class.
        fold: Number of the test fold and number of folds; ``None`` divides by ``shares``.
        decode: Whether every image is read once now, see `read_folder`.

    Raises:
        UserError: Images that cannot be used, or a needed split without images of a class.
    """

    group = 1

    def __init__(
        self,
        root: Path,
        classes: list[str] | None = None,
        shares: Mapping[str, float] = MappingProxyType({"train": 0.7, "val": 0.1, "test": 0.2, "calibration": 0.0}),
        on_bad_image: str = "error",
        crop_data_bar: bool = True,
        seed: int = 0,
        image_size: int = 128,
        pixel_size: float | None = None,
        polarity: str | None = None,
        needed: Sequence[str] = ("train", "val", "test"),
        fold: tuple[int, int] | None = None,
        decode: bool = True,
    ) -> None:
        root = Path(root)
        files, self.classes = read_folder(root, classes, on_bad_image, crop_data_bar, decode)
        if len(self.classes) < 2:
            raise UserError(f"{root} holds the one class {', '.join(self.classes)}; training needs at least two")
        description = describe_folder(root)
        self.image_size = image_size
        self.pixel_size = pixel_size
        if pixel_size is None and description.get("pixel_size"):
            self.pixel_size = float(description["pixel_size"]) * float(description["image_size"]) / image_size
        self.polarity = polarity if polarity is not None else description.get("polarity")
        self._root = root
        self._crop_data_bar = crop_data_bar
        listed = all(file.split for file in files)
        divided = [file for file in files if not listed or file.split in ("train", "val")]
        files, filled = fill_splits(files, self.classes, dict(shares), seed)
        self.folder: dict[str, Any] | None = {"root": str(root.resolve()), "images": _digest(root, divided)}
        if not listed or filled:
            self.folder |= {"seed": seed, "shares": dict(shares)} | ({"fold": list(fold)} if fold is not None else {})
        self._splits = split_files(files, self.classes, dict(shares), seed, fold)
        check_complete(self._splits, needed, self.classes, set(SPLITS) - set(filled) if listed else ())
        self._splits["all"] = files
        aspects = [file.aspect for file in files] or [1.0]
        self._shape = whole_shape(statistics.median(aspects), image_size)

    def counts(self, split: str) -> dict[str, int]:
        found = Counter(file.label for file in self._splits[split])
        return {name: found[name] for name in self.classes}

    def dataset(self, split: str) -> FolderDataset:
        """One of the four splits, or ``all`` of them."""
        tested = split not in ("train", "val")  # only reports need metadata
        return FolderDataset(
            self._root, self._splits[split], self.classes, self._shape, self.pixel_size, self._crop_data_bar, tested
        )
