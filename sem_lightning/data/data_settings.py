"""The config group ``data``: sources of labelled images."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sem_lightning.checks import MAX_WORKERS, between, one_of
from sem_lightning.data.curriculum import Curriculum
from sem_lightning.data.splits import check_shares
from sem_lightning.errors import SettingError
from sem_lightning.polarity import POLARITIES
from sem_lightning.synthesis.imaging import MAX_IMAGE_SIZE
from sem_lightning.synthesis.simulator import Simulator

if TYPE_CHECKING:
    from sem_lightning.data.sources import Source


@dataclass
class DataSettings:
    """Settings of both sources of images (``conf/data/*.yaml`` document every key)."""

    batch_size: int
    num_workers: int

    def __post_init__(self) -> None:
        between("batch_size", self.batch_size, 2, 65_536, "images")
        between("num_workers", self.num_workers, 0, MAX_WORKERS, "processes")

    def source(self, simulator: Simulator, seed: int) -> "Source":
        """The source of training images; only simulated images use ``simulator``."""
        raise NotImplementedError

    def sources(self, simulator: Simulator, seed: int) -> "list[Source]":
        """The source of each training run."""
        return [self.source(simulator, seed)]


@dataclass
class SimulatedSettings(DataSettings):
    """Numbers of simulated images or pairs of each class in each split."""

    train_per_class: int
    val_per_class: int
    test_per_class: int
    calibration_per_class: int

    @property
    def per_class(self) -> dict[str, int]:
        """The numbers by the names of the splits."""
        return {
            "train": self.train_per_class,
            "val": self.val_per_class,
            "test": self.test_per_class,
            "calibration": self.calibration_per_class,
        }


@dataclass
class SyntheticSettings(SimulatedSettings):
    """``data=synthetic``."""

    fresh_each_epoch: bool
    class_weights: list[float] | None
    small_field_epochs: int
    small_field_size: int
    large_field_every: int
    large_field_size: int
    easy_epochs: int
    paired_negatives: bool

    def source(self, simulator: Simulator, seed: int) -> "Source":
        from sem_lightning.data.sources import SimulatedSource  # imports torch

        return SimulatedSource(
            simulator,
            seed,
            self.per_class,
            self.fresh_each_epoch,
            self.class_weights,
            Curriculum(
                self.small_field_epochs,
                self.small_field_size,
                self.large_field_every,
                self.large_field_size,
                self.easy_epochs,
                self.paired_negatives,
            ),
        )


@dataclass
class FolderSettings(DataSettings):
    """``data=folder``."""

    root: str
    classes: list[str] | None
    shares: dict[str, float]
    folds: int | None
    on_bad_image: str
    data_bar: str
    image_size: int
    pixel_size: float | None
    polarity: str | None

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of("on_bad_image", self.on_bad_image, ("error", "skip"))
        one_of("data_bar", self.data_bar, ("auto", "keep"))
        if not 16 <= self.image_size <= MAX_IMAGE_SIZE:
            raise SettingError("image_size", f"found {self.image_size}, expected 16 to {MAX_IMAGE_SIZE} pixels")
        if self.polarity is not None:
            one_of("polarity", self.polarity, POLARITIES)
        check_shares(self.shares)
        if self.folds is not None:
            between("folds", self.folds, 3, 1000)  # for test, validation and training

    def source(
        self,
        simulator: Simulator,
        seed: int,
        needed: Sequence[str] = ("train", "val", "test"),
        fold: tuple[int, int] | None = None,
        decode: bool = True,
    ) -> "Source":
        from sem_lightning.data.sources import FolderSource

        return FolderSource(
            Path(self.root).expanduser(),
            self.classes,
            self.shares,
            self.on_bad_image,
            self.data_bar == "auto",
            seed,
            self.image_size,
            self.pixel_size,
            self.polarity,
            needed,
            fold,
            decode,
        )

    def sources(self, simulator: Simulator, seed: int) -> "list[Source]":
        """One source, or ``folds`` sources with a different test fold each."""
        if self.folds is None:
            return [self.source(simulator, seed)]
        return [self.source(simulator, seed, fold=(number, self.folds)) for number in range(self.folds)]
