"""The LightningDataModule, over either source of images."""

import hashlib
import os
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import cv2
import lightning
from torch.utils.data import DataLoader, Dataset

from sem_lightning.data.curriculum import STAGE_KEYS, Curriculum
from sem_lightning.data.folder import (
    FolderDataset,
    LabelledFile,
    check_complete,
    describe_folder,
    read_folder,
    split_files,
)
from sem_lightning.data.images import whole_shape
from sem_lightning.data.looks import Looks, collate
from sem_lightning.data.ranks import rank, world_size
from sem_lightning.data.splits import SPLITS, EpochSampler
from sem_lightning.data.synthetic import SyntheticDataset
from sem_lightning.errors import SettingError, UserError
from sem_lightning.synthesis.simulator import Simulator

Batch = dict[str, Any]
_EVAL_BATCH_SIZE = 64


class Source(Protocol):
    """Where images come from, and what a model must know of them.

    Attributes:
        classes: Class names in label order.
        image_size: Height and width of a square image, pixels; others have as many.
        pixel_size: nm, where known.
        polarity: ``bright`` or ``dark``: which the feature is, where known.
        group: Neighbouring training images that stay together: 2 for twins, else 1.
        folder: Of images on disk: ``root``, ``images`` (a digest of names and labels: of all where they are divided at
            random, of those in train and val where ``labels.csv`` says which these are) and, where they are divided at
            random, ``seed``, ``shares`` and, where there are folds, ``fold``; else ``None``.
    """

    classes: list[str]
    image_size: int
    pixel_size: float | None
    polarity: str | None
    group: int
    folder: dict[str, Any] | None

    def dataset(self, split: str, looks: Looks | None = None) -> "Dataset[Batch]":
        """One of the four splits; with ``looks``, each image at all their sizes."""

    def counts(self, split: str) -> dict[str, int]:
        """Images of each class in a split."""


class SyntheticSource:
    """Images simulated on the fly.

    Args:
        simulator: Draws and renders the scenes.
        seed: Seed of all splits.
        per_class: Images of each class in each split; for ``train``, in each epoch.
        fresh: Draw new training scenes in every epoch.
        class_weights: Relative frequency of each class in the training split; ``None`` balances them exactly.
        curriculum: What is special about some training epochs.

    Raises:
        SettingError: A split with no images, weights that are not one non-negative number for each class, or a
            curriculum that does not fit.
    """

    def __init__(
        self,
        simulator: Simulator,
        seed: int,
        per_class: Mapping[str, int],
        fresh: bool,
        class_weights: Sequence[float] | None = None,
        curriculum: Curriculum = Curriculum(),
    ) -> None:
        for split in SPLITS:
            if per_class[split] < (split != "calibration"):
                raise SettingError(f"data.{split}_per_class", f"found {per_class[split]}, expected at least 1")
        self.classes = simulator.classes
        self.image_size = simulator.imaging.image_size
        self.pixel_size: float | None = simulator.imaging.pixel_size
        self.polarity: str | None = simulator.polarity
        self.group = 2 if curriculum.twins else 1
        self.folder: dict[str, Any] | None = None
        self._simulator = simulator
        self._seed = seed
        self._per_class = per_class
        self._fresh = fresh
        self._weights = None if class_weights is None else _check_weights(class_weights, self.classes)
        self._curriculum = curriculum
        curriculum.stages(simulator)  # for its errors, before anything is trained
        if curriculum.has_stages and not fresh:
            raise SettingError(
                "data.fresh_each_epoch",
                f"must be true with any of {', '.join(f'data.{key}' for key in STAGE_KEYS)} above 0",
            )
        if curriculum.twins and self._weights is not None:
            raise SettingError("data.twins", "every other image is good, so data.class_weights must be null")

    def counts(self, split: str) -> dict[str, int]:
        return dict.fromkeys(self.classes, self._per_class[split])

    def dataset(self, split: str, looks: Looks | None = None) -> SyntheticDataset:
        size = self._per_class[split] * len(self.classes)
        if split != "train":
            return SyntheticDataset(self._simulator, self._seed, split, size, looks=looks)
        size += size % self.group
        return SyntheticDataset(
            self._simulator, self._seed, split, size, self._fresh, self._weights, self._curriculum, looks
        )


def _check_weights(weights: Sequence[float], classes: list[str]) -> list[float]:
    if len(weights) != len(classes) or min(weights) < 0 or sum(weights) <= 0:
        raise SettingError(
            "data.class_weights",
            f"found {list(weights)}, expected one number from 0 for each of {', '.join(classes)}, not all 0",
        )
    return list(weights)


def _digest(root: Path, files: Sequence[LabelledFile]) -> str:
    """Changes with the names of a class's images and their order, as how they are divided does."""
    by_class = sorted(files, key=lambda file: file.label)
    names = [f"{file.label} {file.name or file.path.relative_to(root)}" for file in by_class]
    return hashlib.sha256(b"\0".join(map(os.fsencode, names))).hexdigest()


class FolderSource:
    """Labelled image files.

    Args:
        root: The folder; see `read_folder`, also for ``classes`` and ``on_bad_image``.
        classes: Class names in label order, or ``None`` for what is there.
        shares: Of each class in each split, where ``labels.csv`` lists none.
        on_bad_image: ``error`` or ``skip``.
        crop_data_bar: Whether data bars are looked for, to be left out.
        seed: Seed of the random split.
        image_size: Images are resized to as many pixels as this square has; their aspect ratio stays, that of the
            middle one of all where they differ.
        pixel_size: nm at that size; ``None`` follows from ``dataset.json``.
        polarity: ``bright`` or ``dark``; ``None`` takes what ``dataset.json`` says.
        needed: Splits that must hold every class.
        fold: Number of the fold to test on, and of folds; ``None`` divides by ``shares``.

    Raises:
        UserError: Images that cannot be used, or a needed split without some class.
    """

    group = 1

    def __init__(
        self,
        root: Path,
        classes: list[str] | None,
        shares: Mapping[str, float],
        on_bad_image: str,
        crop_data_bar: bool,
        seed: int,
        image_size: int,
        pixel_size: float | None,
        polarity: str | None,
        needed: Sequence[str] = ("train", "val", "test"),
        fold: tuple[int, int] | None = None,
    ) -> None:
        files, self.classes = read_folder(root, classes, on_bad_image, crop_data_bar)
        if len(self.classes) < 2:
            raise UserError(f"{root} holds the one class {', '.join(self.classes)}; training needs at least two")
        description = describe_folder(root)
        self.image_size = image_size
        self.pixel_size = pixel_size
        if pixel_size is None and description.get("pixel_size"):
            self.pixel_size = float(description["pixel_size"]) * float(description["image_size"]) / image_size
        self.polarity = polarity if polarity is not None else description.get("polarity")
        self._root = root
        listed = all(file.split for file in files)
        divided = [file for file in files if not listed or file.split in ("train", "val")]
        self.folder: dict[str, Any] | None = {"root": str(root.resolve()), "images": _digest(root, divided)}
        if not listed:
            self.folder |= {"seed": seed, "shares": dict(shares)} | ({"fold": list(fold)} if fold is not None else {})
        self._splits = split_files(files, self.classes, dict(shares), seed, fold)
        check_complete(self._splits, needed, self.classes)
        self._splits["all"] = files
        aspects = [file.aspect for file in files] or [1.0]
        self._shape = whole_shape(statistics.median(aspects), image_size)

    def counts(self, split: str) -> dict[str, int]:
        found = Counter(file.label for file in self._splits[split])
        return {name: found[name] for name in self.classes}

    def dataset(self, split: str, looks: Looks | None = None) -> FolderDataset:
        """One of the four splits, or ``all`` of them."""
        # Reports alone ask for conditions, and reading those of a large set takes time.
        tested = split not in ("train", "val")
        return FolderDataset(self._root, self._splits[split], self.classes, self._shape, self.pixel_size, tested, looks)


class SEMDataModule(lightning.LightningDataModule):
    """Batches of ``image`` float32 [B, 1, H, W] in [0, 1], ``label`` int64 [B] and ``mask`` uint8 [B, H, W].

    For testing and calibrating ``looks`` may be beside them, see `sem_lightning.data.looks.collate`.

    ``severity``, ``dose`` and ``size``, float32 [B], say how each image was made, where that is known, see
    `sem_lightning.data.conditions`.

    Args:
        source: Where images come from.
        batch_size: Images in a training batch, of all processes together.
        num_workers: Processes that make images beside the training one; 0 makes them in it.
        seed: Seed of the training order.
        test_split: The split that testing uses.
        looks: At what sizes testing and calibrating look at an image; ``None`` takes it as the source gives it, as
            training and its validation do.
    """

    def __init__(
        self,
        source: Source,
        batch_size: int,
        num_workers: int,
        seed: int,
        test_split: str = "test",
        looks: Looks | None = None,
    ) -> None:
        super().__init__()
        self.source = source
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.seed = seed
        self.test_split = test_split
        self.looks = looks

    def train_dataloader(self) -> "DataLoader[Batch]":
        dataset = self.source.dataset("train")
        size = len(dataset)  # type: ignore[arg-type]
        if self.batch_size % world_size() or self.batch_size < 2 * world_size():
            raise SettingError(
                "data.batch_size",
                f"found {self.batch_size}, expected a multiple of the {world_size()} processes that share it, two "
                "images or more for each",
            )
        sampler = EpochSampler(size, self.seed, self.source.group, rank(), world_size())
        if self.trainer is not None:
            # of a resumed run workers fetch the first images before Lightning (2.6) names the epoch
            sampler.set_epoch(self.trainer.fit_loop.epoch_progress.current.processed)  # type: ignore[attr-defined]
        batch_size = self.batch_size // world_size()
        # A lone last image cannot be batch-normalised.
        drop_last = len(sampler) % batch_size == 1 and len(sampler) > 1
        return self._loader(dataset, batch_size, sampler=sampler, drop_last=drop_last)

    def val_dataloader(self) -> "DataLoader[Batch]":
        return self._ordered("val", None)

    def test_dataloader(self) -> "DataLoader[Batch]":
        return self.loader(self.test_split)

    def loader(self, split: str) -> "DataLoader[Batch]":
        """A split's images in their order, as testing takes them; of several processes each has its own share."""
        return self._ordered(split, self.looks)

    def _ordered(self, split: str, looks: Looks | None) -> "DataLoader[Batch]":
        dataset = self.source.dataset(split, looks)
        size = len(dataset)  # type: ignore[arg-type]
        if size < world_size():
            raise SettingError(
                "trainer.devices", f"{world_size()} processes cannot share the {size} images of the split {split}"
            )
        mine = range(rank(), size, world_size())
        if looks is None:
            return self._loader(dataset, _EVAL_BATCH_SIZE, sampler=mine)
        at_once = max(1, round(_EVAL_BATCH_SIZE / looks.scales[-1] ** 2))  # as many pixels as ever
        return self._loader(dataset, at_once, sampler=mine, collate_fn=collate)

    def _loader(self, dataset: "Dataset[Batch]", batch_size: int, **options: Any) -> "DataLoader[Batch]":
        return DataLoader(
            dataset,
            batch_size=batch_size,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            worker_init_fn=_use_one_thread,
            **options,
        )


def _use_one_thread(worker: int) -> None:
    cv2.setNumThreads(1)
