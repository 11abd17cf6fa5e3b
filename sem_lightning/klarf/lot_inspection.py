"""Compares the defects of a lot with the reference images that its KLARF file gives."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sem_lightning.decision.rule import UNSURE_NAME
from sem_lightning.errors import SettingError
from sem_lightning.inspection.inspection import DEFECT, Inspection
from sem_lightning.inspection.inspector import Inspector
from sem_lightning.inspection.references import NO_REFERENCE, SELF
from sem_lightning.inspection.writers import COLUMNS, describe_inspection, describe_row
from sem_lightning.io.gray_image import ImagePage
from sem_lightning.io.images import ImageError
from sem_lightning.io.result_files import Inputs
from sem_lightning.klarf.class_numbers import find_class_numbers
from sem_lightning.klarf.document import Defect
from sem_lightning.klarf.image_files import LotImages
from sem_lightning.klarf.judging import NO_IMAGE, UNREADABLE, JudgedDefect, name_defect
from sem_lightning.klarf.klarf_settings import KlarfSettings
from sem_lightning.klarf.lot_writer import LotFiles, LotWriter
from sem_lightning.klarf.read import read_klarf
from sem_lightning.synthesis.defects.mix import GOOD


@dataclass(frozen=True)
class DefectToCompare:
    """A defect, its images and its references.

    Attributes:
        defect: The defect.
        pages: Its images.
        numbers: Their numbers in the KLARF file.
        references: What each of them is compared with.
        fault: Why there is nothing to compare: `NO_IMAGE`, `NO_REFERENCE` or `UNREADABLE`.
        error: What is wrong with a file.
    """

    defect: Defect
    pages: tuple[ImagePage, ...] = ()
    numbers: tuple[int, ...] = ()
    references: tuple[ImagePage, ...] | Literal["self"] = ()
    fault: str | None = None
    error: str | None = None


class LotInspection:
    """The comparison of a lot.

    Args:
        path: The KLARF file.
        settings: How it is read and what is written.
        reference: ``None`` takes the references of the file, ``self`` each image's own period.

    Attributes:
        remarks: What a person should know of the images, in lines.

    Raises:
        UserError: The file or its folder of images cannot be used, or no defect has an image and a reference.
    """

    def __init__(self, path: Path, settings: KlarfSettings, reference: str | None) -> None:
        if reference not in (None, SELF):
            raise SettingError("reference", f"found {reference!r}, expected none or self with a KLARF file")
        self._settings = settings
        self._lot = read_klarf(path)
        self._lot.check_column(settings.column)
        images = LotImages(self._lot, settings.folder, settings.image_kinds, settings.reference_kinds)
        self.remarks: Sequence[str] = images.remarks()
        self._defects = [_find(defect, images, reference == SELF) for defect in self._lot.defects]
        if all(each.fault in (NO_IMAGE, NO_REFERENCE) for each in self._defects):
            raise SettingError(
                "klarf.reference_kinds",
                f"{path} has no defect with an image and a reference; name the kinds of images that are references, "
                "add reference=self, or use sem-predict",
            )

    def files_read(self) -> Inputs:
        """The files that are read, by the keys that name them."""
        assert self._lot.path is not None
        pages = [page for each in self._defects for page in (*each.pages, *_pages(each.references))]
        classes = [Path(self._settings.classes).expanduser()] if self._settings.classes else []
        read = [self._lot.path, *dict.fromkeys(page.path for page in pages)]
        return (("images", read), ("klarf.classes", classes))

    def write(self, inspector: Inspector, files: LotFiles, inputs: Inputs, facts: dict[str, Any]) -> LotWriter:
        """Compare all defects and write the results; see `sem_lightning.klarf.lot_prediction.LotPrediction.write`."""
        file = Path(self._settings.classes).expanduser() if self._settings.classes else None
        numbers = find_class_numbers(file, self._lot.lookup, (GOOD, DEFECT), inspector.labels)
        read = (*self.files_read(), *inputs)
        writer = LotWriter(self._lot, files, COLUMNS, (GOOD, DEFECT), numbers, self._settings.column, read)
        report = None
        if files.page is not None:
            from sem_lightning.klarf.lot_report import LotReport  # imports Matplotlib

            report = LotReport(self._lot, (GOOD, DEFECT))
        with writer.open():
            for judged in compare_defects(inspector, self._defects):
                writer.add(judged)
                if report is not None:
                    report.add(judged)
            if report is not None and files.page is not None:
                report.write(files.page, facts | {"class numbers": numbers})
        return writer


def compare_defects(inspector: Inspector, defects: Sequence[DefectToCompare]) -> Iterator[JudgedDefect]:
    """One answer for each defect, in their order: that of its most defective image.

    A defect comes before what is unsure, and that before what is good; among equals the highest score decides. A defect
    of which one image cannot be read has no answer.
    """
    results = inspector.stream_images((page, each.references) for each in defects for page in each.pages)
    for each in defects:
        found = [next(results) for _ in each.pages]
        compared = [one for one in found if isinstance(one, Inspection)]
        errors = [str(one.error) for one in found if not isinstance(one, Inspection)]
        error = each.error or (f"{name_defect(each.defect)}: {errors[0]}" if errors else None)
        if error or not compared:
            yield JudgedDefect(each.defect, reason=UNREADABLE if error else each.fault, error=error)
            continue
        deciding = min(compared, key=_rank)
        yield JudgedDefect(
            each.defect,
            deciding.decision,
            deciding.places[0].label if deciding.places else deciding.decision,
            describe_row(deciding),
            describe_inspection(deciding),
            len(compared),
            each.numbers[compared.index(deciding)],
            deciding.reason,
        )


def _rank(inspection: Inspection) -> tuple[int, float]:
    highest = inspection.highest
    return {DEFECT: 0, UNSURE_NAME: 1}.get(inspection.decision, 2), 0.0 if highest is None else -highest


def _find(defect: Defect, images: LotImages, is_self: bool) -> DefectToCompare:
    chosen, named = images.judged(defect.images), images.references(defect.images)
    if not chosen or not (named or is_self):
        return DefectToCompare(defect, fault=NO_REFERENCE if chosen else NO_IMAGE)
    try:
        pages = tuple(images.locate(image) for image in chosen)
        references = SELF if is_self else tuple(images.locate(image) for image in named)
    except ImageError as error:
        return DefectToCompare(defect, fault=UNREADABLE, error=f"{name_defect(defect)}: {error}")
    return DefectToCompare(defect, pages, tuple(image.number for image in chosen), references)


def _pages(references: tuple[ImagePage, ...] | Literal["self"]) -> tuple[ImagePage, ...]:
    return () if references == SELF else references
