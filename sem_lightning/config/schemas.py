"""The schemas of the commands' configurations: keys and types.

Values are in ``conf/``. The groups are typed by the classes that they configure. No schema imports torch, so that
mistakes are reported within a second.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import MISSING

from sem_lightning.checks import MAX_THREADS, between, file_name, one_of
from sem_lightning.config.inspect_schema import InspectSettings
from sem_lightning.data.data_settings import DataSettings, FolderSettings, SyntheticSettings
from sem_lightning.data.export.storage import WriterSettings
from sem_lightning.decision.decision_settings import DecisionSettings
from sem_lightning.errors import SettingError
from sem_lightning.fitting.fit_settings import FitSettings
from sem_lightning.inference.classify_settings import ClassifySettings
from sem_lightning.inspection.place_settings import PlaceSettings
from sem_lightning.klarf.klarf_settings import KlarfSettings
from sem_lightning.model.model_settings import check_view_scales
from sem_lightning.polarity import POLARITIES
from sem_lightning.review.review_settings import ReviewSettings
from sem_lightning.serving.limits import ServiceLimits
from sem_lightning.synthesis.imaging import Imaging
from sem_lightning.synthesis.noise import Noise
from sem_lightning.synthesis.pairs import PairSettings
from sem_lightning.synthesis.patterns.pattern import PatternSettings
from sem_lightning.synthesis.processing import ProcessingSettings
from sem_lightning.training.run_settings import CallbackSettings, LoggerSettings, ModelOptions


@dataclass
class SimulationSettings:
    """The groups of the simulator, and the seed.

    ``pattern`` has one of several types, ``defect`` any number of types. The config files name the schemas.
    """

    pattern: PatternSettings = MISSING
    defect: dict[str, Any] = MISSING
    imaging: Imaging = MISSING
    noise: Noise = MISSING
    processing: ProcessingSettings = MISSING
    seed: int = MISSING


@dataclass
class SweepSettings:
    """Execution of the jobs of a multirun (``conf/train.yaml``); does not change their results."""

    force: bool
    threads: int | None
    prune: bool

    def __post_init__(self) -> None:
        if self.threads is not None:
            between("threads", self.threads, 1, MAX_THREADS)


@dataclass
class TrainSettings(SimulationSettings):
    """``conf/train.yaml``."""

    data: DataSettings = MISSING
    model: ModelOptions = MISSING  # type: ignore[valid-type]
    decision: DecisionSettings = MISSING
    trainer: dict[str, Any] = MISSING
    logger: LoggerSettings = MISSING
    callbacks: CallbackSettings = MISSING
    sweep: SweepSettings = MISSING
    init_from: str | None = None
    resume_from: str | None = None
    optimized_metric: str = MISSING


@dataclass
class GenerateSettings(SimulationSettings):
    """``conf/generate.yaml``."""

    writer: WriterSettings = MISSING
    num_per_class: int = MISSING
    class_weights: list[float] | None = MISSING
    shares: dict[str, float] = MISSING
    output: str = MISSING
    overwrite: bool = MISSING
    num_workers: int | None = MISSING
    shards: int = MISSING
    shard: int | None = MISSING


@dataclass
class PreviewSettings(SimulationSettings):
    """``conf/preview.yaml``."""

    pair: PairSettings | None = None
    per_class: int = MISSING
    cell: int = MISSING
    output: str = MISSING


@dataclass
class EvaluateSettings(SimulationSettings):
    """``conf/evaluate.yaml``."""

    seed: int | None = MISSING  # type: ignore[assignment]
    ckpt: Any = MISSING
    split: str = MISSING
    explain: int = MISSING
    view_scales: list[float] | None = MISSING
    data: DataSettings = MISSING
    device: str = MISSING
    mlflow: bool = MISSING


@dataclass
class CalibrateSettings(SimulationSettings):
    """``conf/calibrate.yaml``."""

    seed: int | None = MISSING  # type: ignore[assignment]
    ckpt: Any = MISSING
    output: str = MISSING
    view_scales: list[float] | None = MISSING
    data: DataSettings = MISSING
    decision: DecisionSettings = MISSING
    device: str = MISSING


@dataclass
class ExportSettings(SimulationSettings):
    """``conf/export.yaml``."""

    seed: int | None = MISSING  # type: ignore[assignment]
    ckpt: str = MISSING
    output: str = MISSING
    format: str = MISSING
    precision: str = MISSING
    images: int = MISSING
    data: DataSettings = MISSING


@dataclass
class PredictSettings:
    """``conf/predict.yaml``."""

    ckpt: str = MISSING
    images: str = MISSING
    output: str = MISSING
    jsonl: str | None = MISSING
    tiling: str = MISSING
    overlap: float = MISSING
    view_scales: list[float] | None = MISSING
    adapt: bool = MISSING
    pixel_size: float | None = MISSING
    polarity: str | None = MISSING
    data_bar: str = MISSING
    explain: bool = MISSING
    device: str = MISSING
    klarf: KlarfSettings = field(default_factory=KlarfSettings)

    def __post_init__(self) -> None:
        one_of("data_bar", self.data_bar, ("auto", "keep"))
        check_view_scales(self.view_scales)
        if self.polarity is not None:
            one_of("polarity", self.polarity, (*POLARITIES, "auto"))
        file_name("output", self.output)

    def check_images(self, are_lot: bool) -> None:
        """Refuse settings that do not go with images, or with a KLARF file.

        Raises:
            SettingError: The first of them.
            UserError: ``explain`` needs an extra that is not installed.
        """
        if not are_lot:
            self.klarf.check_unused()
        if self.explain:
            if are_lot:
                raise SettingError("explain", "found true, expected false with a KLARF file")
            from sem_lightning.model.saliency import check_captum  # imports torch

            check_captum()

    def predictor_options(self) -> dict[str, Any]:
        """Options of the Predictor."""
        names = ("polarity", "tiling", "overlap", "pixel_size", "view_scales", "explain", "device")
        return {name: getattr(self, name) for name in names} | {"crop_data_bar": self.data_bar == "auto"}

    def lines_file(self) -> Path | None:
        """The file of JSON lines."""
        return Path(self.jsonl).expanduser() if self.jsonl else None

    def checkpoint_read(self) -> tuple[str, list[Path]]:
        """The file of the classifier with its key, as in `Inputs`."""
        return "ckpt", [Path(self.ckpt).expanduser()]


@dataclass
class JudgeSettings(ClassifySettings):
    """How ``sem-serve`` and ``sem-watch`` judge images, alone and with a reference."""

    false_places: float = MISSING
    network: str | None = MISSING

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.polarity is not None:  # "auto" takes many images at once
            one_of("polarity", self.polarity, POLARITIES)
        between("false_places", self.false_places, 1e-4, 100, "places in a clean image")

    def inspector_options(self) -> dict[str, Any]:
        """Options of the Inspector."""
        names = ("false_places", "pixel_size", "network")
        return {name: getattr(self, name) for name in names} | {"crop_data_bar": self.data_bar == "auto"}


@dataclass
class ServeSettings(JudgeSettings):
    """``conf/serve.yaml``."""

    host: str = MISSING
    port: int = MISSING
    limits: ServiceLimits = field(default_factory=ServiceLimits)

    def __post_init__(self) -> None:
        super().__post_init__()
        between("port", self.port, 0, 65535)


@dataclass
class WatchSettings(JudgeSettings):
    """``conf/watch.yaml``."""

    images: str = MISSING
    output: str = MISSING
    reference: str | None = MISSING
    settle: float = MISSING
    give_up: float = MISSING
    poll: float = MISSING

    def __post_init__(self) -> None:
        super().__post_init__()
        between("settle", self.settle, 0, 3600, "seconds")
        between("give_up", self.give_up, self.settle, 7 * 86_400, "seconds, settle at least")
        between("poll", self.poll, 0.01, 3600, "seconds")
        if self.reference == "design":
            raise SettingError("reference", "found design, expected a folder, a file, a pattern, a .csv file, or self")


SCHEMAS: dict[str, type] = {
    "train": TrainSettings,
    "generate": GenerateSettings,
    "preview": PreviewSettings,
    "evaluate": EvaluateSettings,
    "calibrate": CalibrateSettings,
    "export": ExportSettings,
    "predict": PredictSettings,
    "fit": FitSettings,
    "inspect": InspectSettings,
    "review": ReviewSettings,
    "serve": ServeSettings,
    "watch": WatchSettings,
}
# data has one of these types; the config files name the schemas
DATA_SCHEMAS: dict[str, type[DataSettings]] = {
    "synthetic": SyntheticSettings,
    "folder": FolderSettings,
    "pairs": PlaceSettings,
}
