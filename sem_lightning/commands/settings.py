"""The typed configuration of every command: an unknown key or a wrong type fails before anything runs.

Values live in ``conf/``; these classes say which keys exist and of which type. The simulator's groups are typed by the
simulator's own classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf

from sem_lightning.data.datamodule import FolderSource, Source, SyntheticSource
from sem_lightning.data.splits import SPLITS
from sem_lightning.errors import SettingError
from sem_lightning.model.classifier import SCHEDULES
from sem_lightning.synthesis.defect import BasicDefects
from sem_lightning.synthesis.imaging import MAX_IMAGE_SIZE, POLARITIES, Imaging
from sem_lightning.synthesis.noise import Noise
from sem_lightning.synthesis.pattern import LineSpace
from sem_lightning.synthesis.simulator import Simulator


@dataclass
class DataSettings:
    """What both sources of images share (``conf/data/*.yaml`` document every key)."""

    batch_size: int
    num_workers: int

    def __post_init__(self) -> None:
        _at_least("batch_size", self.batch_size, 2)
        _at_least("num_workers", self.num_workers, 0)

    def source(self, simulator: Simulator, seed: int) -> Source:
        """The images themselves, for training; ``simulator`` serves simulated ones."""
        raise NotImplementedError


@dataclass
class SyntheticSettings(DataSettings):
    """``data=synthetic``."""

    train_per_class: int
    val_per_class: int
    test_per_class: int
    calibration_per_class: int
    fresh_each_epoch: bool
    class_weights: list[float] | None
    small_field_size: int
    small_field_epochs: int

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
            self.small_field_size,
            self.small_field_epochs,
        )


@dataclass
class FolderSettings(DataSettings):
    """``data=folder``."""

    root: str
    classes: list[str] | None
    shares: dict[str, float]
    on_bad_image: str
    image_size: int
    pixel_size: float | None
    polarity: str | None

    def __post_init__(self) -> None:
        super().__post_init__()
        _one_of("on_bad_image", self.on_bad_image, ("error", "skip"))
        if not 16 <= self.image_size <= MAX_IMAGE_SIZE:
            raise SettingError("image_size", f"found {self.image_size}, expected 16 to {MAX_IMAGE_SIZE} pixels")
        if self.polarity is not None:
            _one_of("polarity", self.polarity, POLARITIES)
        check_shares(self.shares)

    def source(self, simulator: Simulator, seed: int, needed: Sequence[str] = ("train", "val", "test")) -> Source:
        return FolderSource(
            Path(self.root).expanduser(),
            self.classes,
            self.shares,
            self.on_bad_image,
            seed,
            self.image_size,
            self.pixel_size,
            self.polarity,
            needed,
        )


@dataclass
class ModelSettings:
    """The network and its recipe (``conf/model/*.yaml``)."""

    pretrained: bool
    weights_path: str | None
    learning_rate: float
    weight_decay: float
    schedule: str
    warmup: float
    mask_weight: float

    def __post_init__(self) -> None:
        _one_of("schedule", self.schedule, SCHEDULES)
        if self.learning_rate <= 0:
            raise SettingError("learning_rate", f"found {self.learning_rate:g}, expected a number above 0")
        for key in ("weight_decay", "mask_weight"):
            if getattr(self, key) < 0:
                raise SettingError(key, f"found {getattr(self, key):g}, expected a number from 0")
        if not 0 < self.warmup < 1:
            raise SettingError("warmup", f"found {self.warmup:g}, expected a share of training between 0 and 1")


@dataclass
class LoggerSettings:
    """Where curves go (``conf/logger/*.yaml``)."""

    kind: str
    every_n_steps: int

    def __post_init__(self) -> None:
        _one_of("kind", self.kind, ("tensorboard", "csv", "none"))
        _at_least("every_n_steps", self.every_n_steps, 1)


@dataclass
class CallbackSettings:
    """Which checkpoint is best, and when to stop early (``conf/callbacks/*.yaml``)."""

    monitor: str
    mode: str
    early_stopping: bool
    patience: int
    progress_bar: bool

    def __post_init__(self) -> None:
        _one_of("mode", self.mode, ("min", "max"))
        _at_least("patience", self.patience, 1)


@dataclass
class SimulationSettings:
    """The four groups that make a simulator, and the seed."""

    pattern: LineSpace = MISSING
    defect: BasicDefects = MISSING
    imaging: Imaging = MISSING
    noise: Noise = MISSING
    seed: int = MISSING


@dataclass
class TrainSettings(SimulationSettings):
    """``train.py``."""

    data: DataSettings = MISSING
    model: ModelSettings = MISSING
    trainer: dict[str, Any] = MISSING
    logger: LoggerSettings = MISSING
    callbacks: CallbackSettings = MISSING
    ckpt_path: str | None = None
    optimized_metric: str = MISSING


@dataclass
class GenerateSettings(SimulationSettings):
    """``generate.py``."""

    num_per_class: int = MISSING
    shares: dict[str, float] = MISSING
    output: str = MISSING
    overwrite: bool = MISSING
    num_workers: int | None = MISSING


@dataclass
class EvaluateSettings(SimulationSettings):
    """``sem-evaluate``."""

    ckpt: str = MISSING
    split: str = MISSING
    data: DataSettings = MISSING
    trainer: dict[str, Any] = MISSING


@dataclass
class PredictSettings:
    """``sem-predict``."""

    ckpt: str = MISSING
    images: str = MISSING
    output: str = MISSING
    batch_size: int = MISSING


def register_schemas() -> None:
    """Tell Hydra which keys and types each config has."""
    store = ConfigStore.instance()
    for name, schema in (
        ("train_schema", TrainSettings),
        ("generate_schema", GenerateSettings),
        ("evaluate_schema", EvaluateSettings),
        ("predict_schema", PredictSettings),
    ):
        store.store(name=name, node=schema)
    # `data` holds one of two types: its files name theirs.
    store.store(group="data/schema", name="synthetic", node=SyntheticSettings)
    store.store(group="data/schema", name="folder", node=FolderSettings)


def check_keys(node: DictConfig, key: str = "") -> None:
    """Refuse keys that a typed group does not have; Hydra lets ``+group.key=value`` add any.

    Raises:
        SettingError: The first such key.
    """
    known: Any = OmegaConf.get_type(node)
    for name in map(str, node):
        if known is not dict and name not in known.__dataclass_fields__:
            keys = ", ".join(known.__dataclass_fields__)
            raise SettingError(f"{key}{name}", f"no such key in {known.__name__}, which has {keys}")
        child = None if OmegaConf.is_missing(node, name) else node[name]
        if isinstance(child, DictConfig):
            check_keys(child, f"{key}{name}.")


def build(node: DictConfig, key: str) -> Any:
    """The typed object behind a config group, checked.

    Raises:
        SettingError: A value that the object refuses, or one that only the user can fill; its key is written as on
            the command line.
    """
    prefix = f"{key}." if key else ""
    for name in map(str, node):
        if OmegaConf.is_missing(node, name):
            raise SettingError(f"{prefix}{name}", f"needs a value: add {prefix}{name}=... to the command")
        if isinstance(node[name], DictConfig) and OmegaConf.get_type(node[name]) is not dict:
            build(node[name], f"{prefix}{name}")
    try:
        return OmegaConf.to_object(node)
    except SettingError as error:
        raise SettingError(f"{prefix}{error.key}", error.reason) from None


def build_simulator(config: DictConfig) -> Simulator:
    """The simulator of the groups ``pattern``, ``defect``, ``imaging`` and ``noise``."""
    return Simulator(**{key: build(config[key], key) for key in ("pattern", "defect", "imaging", "noise")})


def check_seed(config: DictConfig) -> int:
    """The seed, which NumPy and PyTorch both take."""
    seed = int(config.seed)
    if not 0 <= seed < 2**32:
        raise SettingError("seed", f"found {seed}, expected a whole number from 0 to {2**32 - 1}")
    return seed


def check_shares(shares: Mapping[str, float]) -> None:
    """Refuse shares that do not name every split once, or that are negative or all zero.

    Raises:
        SettingError: For the key ``shares``.
    """
    if set(shares) != set(SPLITS) or min(shares.values()) < 0 or sum(shares.values()) <= 0:
        raise SettingError("shares", f"found {dict(shares)}, expected a share from 0 for each of {', '.join(SPLITS)}")


def _at_least(key: str, value: int, low: int) -> None:
    if value < low:
        raise SettingError(key, f"found {value}, expected at least {low}")


def _one_of(key: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise SettingError(key, f"found {value!r}, expected one of {', '.join(allowed)}")
