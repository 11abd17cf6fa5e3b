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
from sem_lightning.klarf.judging import (
    NO_IMAGE,
    UNREADABLE,
    DefectToJudge,
    JudgedDefect,
    answer_defects,
    name_defect,
)
from sem_lightning.klarf.klarf_settings import KlarfSettings, LotFiles
from sem_lightning.klarf.lot_writer import LotWriter
from sem_lightning.klarf.read import read_klarf
from sem_lightning.synthesis.defects.mix import GOOD


@dataclass(frozen=True)
class DefectToCompare(DefectToJudge):
    """A defect, its images and what each of them is compared with."""

    references: tuple[ImagePage, ...] | Literal["self"] = ()


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

    def write(self, inspector: Inspector, files: LotFiles, inputs: Inputs, facts: dict[str, Any]) -> LotWriter:
        """Compare all defects and write the results; see `sem_lightning.klarf.lot_prediction.LotPrediction.write`."""
        settings, decisions = self._settings, (GOOD, DEFECT)
        numbers = find_class_numbers(settings.classes_file, self._lot.lookup, decisions, inspector.labels)
        pages = [page for each in self._defects for page in (*each.pages, *_pages(each.references))]
        read = (*settings.files_read(self._lot, pages), *inputs)
        writer = LotWriter(self._lot, files, COLUMNS, decisions, numbers, settings.column, read)
        writer.write(compare_defects(inspector, self._defects), facts)
        return writer


def compare_defects(inspector: Inspector, defects: Sequence[DefectToCompare]) -> Iterator[JudgedDefect]:
    """One answer for each defect, in their order: that of its most defective image; see `answer_defects`.

    A defect comes before what is unsure, and that before what is good; among equals the highest score decides.
    """
    results = inspector.stream_images((page, each.references) for each in defects for page in each.pages)
    return answer_defects(defects, results, _answer)


def _answer(judged: DefectToCompare, compared: list[Inspection]) -> JudgedDefect:
    deciding = min(compared, key=_rank)
    return JudgedDefect(
        judged.defect,
        deciding.decision,
        deciding.places[0].label if deciding.places else deciding.decision,
        describe_row(deciding),
        describe_inspection(deciding),
        len(compared),
        judged.numbers[compared.index(deciding)],
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
    return DefectToCompare(defect, pages, tuple(image.number for image in chosen), references=references)


def _pages(references: tuple[ImagePage, ...] | Literal["self"]) -> tuple[ImagePage, ...]:
    return () if references == SELF else references
