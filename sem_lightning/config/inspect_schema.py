"""The schema of ``conf/inspect.yaml``."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import MISSING

from sem_lightning.checks import between, file_name, one_of, share
from sem_lightning.errors import SettingError
from sem_lightning.klarf.klarf_settings import KlarfSettings

if TYPE_CHECKING:
    from sem_lightning.inspection.design import Design
    from sem_lightning.inspection.inspector import Inspector
    from sem_lightning.inspection.references import InspectionPair
    from sem_lightning.io.result_files import Inputs


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
        file_name("output", self.output)
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
            file_name("save_limits", self.save_limits)
            if self.labels is None:
                raise SettingError("save_limits", "needs labels=..., a table with the columns image and label")
            if self.limits is not None:
                raise SettingError("limits", f"found {self.limits}, expected none with save_limits, which chooses them")
        if self.reference == "design" and (self.limits or self.save_limits):
            key = "limits" if self.limits else "save_limits"
            raise SettingError(key, "is for comparisons with images, not for reference=design")
