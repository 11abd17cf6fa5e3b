"""The schemas of the commands' configurations: keys and types.

Values are in ``conf/``. The groups are typed by the classes that they configure. No schema imports torch, so that
mistakes are reported within a second.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import MISSING

from sem_lightning.checks import MAX_THREADS, between, one_of, share
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

if TYPE_CHECKING:
    from sem_lightning.inspection.design import Design
    from sem_lightning.inspection.inspector import Inspector
    from sem_lightning.inspection.references import InspectionPair
    from sem_lightning.io.result_files import Inputs


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
        _check_file_name("output", self.output)

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

    def lines_file(self) -> Path | None:
        """The file of JSON lines."""
        return Path(self.jsonl).expanduser() if self.jsonl else None

    def checkpoint_read(self) -> tuple[str, list[Path]]:
        """The file of the classifier with its key, as in `Inputs`."""
        return "ckpt", [Path(self.ckpt).expanduser()]


@dataclass
class DesignSettings:
    """``design`` in ``conf/inspect.yaml``."""

    file: str | None = MISSING
    layer: str | None = MISSING
    window: list[float] | None = MISSING
    pixel_size: float | None = MISSING

    def open(self) -> "Design | None":
        """The design; ``None`` if there is no file.

        Raises:
            SettingError: It cannot be used.
        """
        if self.file is None:
            return None
        from sem_lightning.inspection.design import open_design  # imports OpenCV and SciPy

        try:
            return open_design(self.file, self.layer, self.window, self.pixel_size)
        except SettingError as error:
            raise error.under("design") from None


@dataclass
class InspectSettings:
    """``conf/inspect.yaml``."""

    images: str = MISSING
    reference: str | None = MISSING
    output: str = MISSING
    jsonl: str | None = MISSING
    report: str | None = MISSING
    overlays: bool = MISSING
    false_places: float | None = MISSING
    network: str | None = MISSING
    pixel_size: float | None = MISSING
    data_bar: str = MISSING
    labels: str | None = MISSING
    save_limits: str | None = MISSING
    max_escape: float | None = MISSING
    confidence: float | None = MISSING
    limits: str | None = MISSING
    design: DesignSettings = field(default_factory=DesignSettings)
    klarf: KlarfSettings = field(default_factory=KlarfSettings)

    def check_images(self, are_lot: bool) -> None:
        """Refuse settings that do not go with images, or with a KLARF file.

        Raises:
            SettingError: The first of them.
        """
        if not are_lot:
            self.klarf.check_unused()
            return
        for key in ("report", "overlays", "labels", "save_limits"):
            if value := getattr(self, key):
                more = "; klarf.report is the page of a lot" if key == "report" else ""
                raise SettingError(key, f"found {value}, expected none with a KLARF file{more}")

    def __post_init__(self) -> None:
        one_of("data_bar", self.data_bar, ("auto", "keep"))
        self._check_design()
        if self.false_places is not None:
            between("false_places", self.false_places, 1e-4, 100, "places in a clean image")
        if self.pixel_size is not None:
            between("pixel_size", self.pixel_size, 1e-3, 1e6, "nm")
        _check_file_name("output", self.output)
        self._check_limits()

    @property
    def bounds(self) -> tuple[float, float, float | None]:
        """Of the limits that ``save_limits`` chooses: on false places, its confidence, and on escapes."""
        from sem_lightning.inspection.limits import CONFIDENCE, FALSE_PLACES

        false_places = FALSE_PLACES if self.false_places is None else self.false_places
        return false_places, CONFIDENCE if self.confidence is None else self.confidence, self.max_escape

    def open_inspector(self) -> "Inspector":
        """The Inspector with these settings.

        Raises:
            UserError: The network or the limits cannot be used.
        """
        from sem_lightning.inspection.inspector import Inspector  # imports OpenCV and SciPy

        network = None if self.reference == "design" else self.network  # a design names its places itself
        return Inspector(self.false_places, self.pixel_size, self.data_bar == "auto", network, self.limits)

    def files_written(self) -> tuple[Path, Path | None, Path | None, Path | None]:
        """Table, JSON lines, report and limits."""
        lines, page, limits = (
            Path(name).expanduser() if name else None for name in (self.jsonl, self.report, self.save_limits)
        )
        return Path(self.output).expanduser(), lines, page, limits

    def files_read(self, pairs: "Sequence[InspectionPair]") -> "Inputs":
        """The files that the command reads, by the keys that name them."""
        named = {key: getattr(self, key) for key in ("images", "reference", "network", "labels", "limits")}
        named["design.file"] = self.design.file
        return [
            *((key, [Path(name).expanduser()]) for key, name in named.items() if name),
            ("images", [pair.image for pair in pairs]),
            ("reference", [path for pair in pairs if isinstance(pair.references, tuple) for path in pair.references]),
        ]

    def _check_design(self) -> None:
        if self.reference == "design":
            if self.design.file is None:
                raise SettingError("design.file", "needs a value with reference=design: a layout or a mask")
            return
        for key, value in vars(self.design).items():
            if value is not None:
                raise SettingError(f"design.{key}", f"found {value}, expected none, or reference=design")

    def _check_limits(self) -> None:
        for key, bound in (("confidence", self.confidence), ("max_escape", self.max_escape)):
            if bound is not None:
                share(key, bound)
                if self.save_limits is None:
                    raise SettingError(key, f"found {bound:g}, expected none without save_limits")
        if self.limits is not None and self.false_places is not None and self.save_limits is None:
            raise SettingError("false_places", f"found {self.false_places:g}, expected none with limits, which decide")
        if self.save_limits is not None:
            _check_file_name("save_limits", self.save_limits)
            if self.labels is None:
                raise SettingError("save_limits", "needs labels=..., a table with the columns image and label")
            if self.limits is not None:
                raise SettingError("limits", f"found {self.limits}, expected none with save_limits, which chooses them")
        if self.reference == "design" and (self.limits or self.save_limits):
            key = "limits" if self.limits else "save_limits"
            raise SettingError(key, "is for comparisons with images, not for reference=design")


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


def _check_file_name(key: str, name: str) -> None:
    if not Path(name).name:
        raise SettingError(key, f"found {name!r}, expected the name of a file")


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
