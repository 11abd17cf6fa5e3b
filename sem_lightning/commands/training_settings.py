"""The typed config groups of training and testing: data, model, logger, callbacks."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra.core.config_store import ConfigStore

from sem_lightning.commands.settings import at_least, check_shares, one_of
from sem_lightning.data.curriculum import Curriculum
from sem_lightning.data.datamodule import FolderSource, Source, SyntheticSource
from sem_lightning.errors import SettingError
from sem_lightning.model.classifier import FROZEN, SCHEDULES, check_scales
from sem_lightning.model.resnet import NETWORKS, POOLINGS
from sem_lightning.synthesis.imaging import MAX_IMAGE_SIZE
from sem_lightning.synthesis.patterns.pattern import POLARITIES
from sem_lightning.synthesis.simulator import Simulator


@dataclass
class DataSettings:
    """What both sources of images share (``conf/data/*.yaml`` document every key)."""

    batch_size: int
    num_workers: int

    def __post_init__(self) -> None:
        at_least("batch_size", self.batch_size, 2)
        at_least("num_workers", self.num_workers, 0)

    def source(self, simulator: Simulator, seed: int) -> Source:
        """The images themselves, for training; ``simulator`` serves simulated ones."""
        raise NotImplementedError

    def sources(self, simulator: Simulator, seed: int) -> list[Source]:
        """The same, once for each training that there shall be."""
        return [self.source(simulator, seed)]


@dataclass
class SyntheticSettings(DataSettings):
    """``data=synthetic``."""

    train_per_class: int
    val_per_class: int
    test_per_class: int
    calibration_per_class: int
    fresh_each_epoch: bool
    class_weights: list[float] | None
    small_field_epochs: int
    small_field_size: int
    large_field_every: int
    large_field_size: int
    easy_epochs: int
    twins: bool

    def source(self, simulator: Simulator, seed: int) -> Source:
        per_class = {
            "train": self.train_per_class,
            "val": self.val_per_class,
            "test": self.test_per_class,
            "calibration": self.calibration_per_class,
        }
        return SyntheticSource(
            simulator,
            seed,
            per_class,
            self.fresh_each_epoch,
            self.class_weights,
            Curriculum(
                self.small_field_epochs,
                self.small_field_size,
                self.large_field_every,
                self.large_field_size,
                self.easy_epochs,
                self.twins,
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
            at_least("folds", self.folds, 3)  # one to test on, one to validate on, and others to train on

    def source(
        self,
        simulator: Simulator,
        seed: int,
        needed: Sequence[str] = ("train", "val", "test"),
        fold: tuple[int, int] | None = None,
    ) -> Source:
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
        )

    def sources(self, simulator: Simulator, seed: int) -> list[Source]:
        """The images, or as many divisions of them as ``folds`` asks for, each with another fold to test on."""
        if self.folds is None:
            return [self.source(simulator, seed)]
        return [self.source(simulator, seed, fold=(number, self.folds)) for number in range(self.folds)]


@dataclass
class ModelSettings:
    """The network and its recipe (``conf/model/*.yaml``)."""

    network: str
    pooling: str
    scales: list[float]
    pretrained: bool
    weights_path: str | None
    learning_rate: float
    weight_decay: float
    schedule: str
    warmup: float
    mask_weight: float
    consistency: float
    frozen: str
    start_share: float
    compile: bool
    balance: bool

    def __post_init__(self) -> None:
        one_of("network", self.network, tuple(NETWORKS))
        one_of("frozen", self.frozen, FROZEN)
        one_of("pooling", self.pooling, POOLINGS)
        check_scales(self.scales)
        one_of("schedule", self.schedule, SCHEDULES)
        if self.network != "resnet18" and (self.pretrained or self.weights_path):
            raise SettingError("pretrained", f"there are ImageNet weights for resnet18, none for {self.network}")
        if not 0 < self.learning_rate < math.inf:
            raise SettingError("learning_rate", f"found {self.learning_rate:g}, expected a number above 0")
        if not 0 <= self.start_share < 1:
            raise SettingError("start_share", f"found {self.start_share:g}, expected a share from 0 to below 1")
        for key in ("weight_decay", "mask_weight", "consistency"):
            if not 0 <= getattr(self, key) < math.inf:
                raise SettingError(key, f"found {getattr(self, key):g}, expected a number from 0")
        if not 0 < self.warmup < 1:
            raise SettingError("warmup", f"found {self.warmup:g}, expected a share of training between 0 and 1")


@dataclass
class LoggerSettings:
    """Where curves go (``conf/logger/*.yaml``)."""

    kind: str
    every_n_steps: int

    def __post_init__(self) -> None:
        one_of("kind", self.kind, ("tensorboard", "csv", "mlflow", "none"))
        at_least("every_n_steps", self.every_n_steps, 1)


@dataclass
class CallbackSettings:
    """Which checkpoint is best, and when to stop early (``conf/callbacks/*.yaml``)."""

    monitor: str
    early_stopping: bool
    patience: int
    progress_bar: bool

    def __post_init__(self) -> None:
        at_least("patience", self.patience, 1)


@dataclass
class SweepSettings:
    """How the jobs of a multirun go about (``conf/train.yaml``); no part of what they find."""

    force: bool
    threads: int | None
    prune: bool

    def __post_init__(self) -> None:
        if self.threads is not None:
            at_least("threads", self.threads, 1)


def register_data_schemas() -> None:
    """``data`` holds one of two types: its files name theirs by these names."""
    store = ConfigStore.instance()
    store.store(group="data/schema", name="synthetic", node=SyntheticSettings)
    store.store(group="data/schema", name="folder", node=FolderSettings)
