"""The settings of a KLARF file, and what is written for it. Every command imports this module."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import MISSING

from sem_lightning.errors import SettingError
from sem_lightning.io.result_files import Inputs, check_targets

if TYPE_CHECKING:
    from sem_lightning.io.gray_image import ImagePage
    from sem_lightning.klarf.read import KlarfFile


@dataclass(frozen=True)
class LotFiles:
    """What is written for a lot.

    Attributes:
        table: CSV, a row for each defect.
        klarf: The KLARF file with new class numbers.
        lines: JSON lines; ``None`` writes none.
        page: The report; ``None`` writes none.
    """

    table: Path
    klarf: Path
    lines: Path | None = None
    page: Path | None = None

    def check(self, inputs: Inputs) -> None:
        """Check that no two of them are the same and none is read.

        Raises:
            SettingError: See `check_targets`.
        """
        keys = (
            ("output", self.table),
            ("klarf.output", self.klarf),
            ("jsonl", self.lines),
            ("klarf.report", self.page),
        )
        check_targets(keys, inputs)


@dataclass
class KlarfSettings:
    """``klarf`` in ``conf/predict.yaml`` and ``conf/inspect.yaml``."""

    classes: str | None = MISSING
    column: str = MISSING
    images: str | None = MISSING
    image_kinds: list[str] | None = MISSING
    reference_kinds: list[str] | None = MISSING
    output: str | None = MISSING
    report: str | None = MISSING

    @property
    def folder(self) -> Path | None:
        """Where the images lie.

        Raises:
            SettingError: It is no folder.
        """
        if self.images is None:
            return None
        folder = Path(self.images).expanduser()
        if not folder.is_dir():
            raise SettingError("klarf.images", f"found no folder {self.images}, expected that of the images")
        return folder

    @property
    def classes_file(self) -> Path | None:
        """The YAML file of class numbers."""
        return Path(self.classes).expanduser() if self.classes else None

    def files_read(self, lot: "KlarfFile", pages: "Iterable[ImagePage]") -> Inputs:
        """What is read of a lot, by the keys that name it.

        Args:
            lot: The lot, read from a file.
            pages: Its images that are judged, and their references.
        """
        assert lot.path is not None
        classes = [] if self.classes_file is None else [self.classes_file]
        images = [lot.path, *dict.fromkeys(page.path for page in pages)]
        return (("images", images), ("klarf.classes", classes))

    def files(self, lot: Path, table: Path, lines: Path | None) -> LotFiles:
        """What is written: the KLARF file beside the table, unless a setting names it.

        Args:
            lot: The KLARF file that is read.
            table: The table.
            lines: JSON lines.
        """
        beside = table.with_name(f"{lot.stem}.classified{lot.suffix}")
        klarf = Path(self.output).expanduser() if self.output else beside
        return LotFiles(table, klarf, lines, Path(self.report).expanduser() if self.report else None)

    def check_unused(self) -> None:
        """Refuse settings where no KLARF file is read.

        Raises:
            SettingError: The first setting that has a value.
        """
        for name in ("classes", "images", "image_kinds", "reference_kinds", "output", "report"):
            if getattr(self, name) is not None:
                raise SettingError(f"klarf.{name}", "needs a KLARF file: images=LOT.klarf")
