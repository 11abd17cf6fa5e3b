"""Classifies a lot: from a KLARF file to a table, a report and the file with its class numbers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sem_lightning.errors import SettingError
from sem_lightning.inference.predictor import Predictor
from sem_lightning.inference.writers import prediction_columns
from sem_lightning.io.gray_image import ImagePage
from sem_lightning.io.result_files import Inputs
from sem_lightning.klarf.class_numbers import find_class_numbers
from sem_lightning.klarf.image_files import LotImages
from sem_lightning.klarf.judging import find_defects, judge_defects
from sem_lightning.klarf.klarf_settings import KlarfSettings, LotFiles
from sem_lightning.klarf.lot_writer import LotWriter
from sem_lightning.klarf.read import read_klarf


class LotPrediction:
    """The classification of a lot.

    Args:
        path: The KLARF file.
        settings: How it is read and what is written.

    Attributes:
        pages: The images of all defects, in their order.
        remarks: What a person should know of the images, in lines.

    Raises:
        UserError: The file or its folder of images cannot be used, or it has no defects.
    """

    def __init__(self, path: Path, settings: KlarfSettings) -> None:
        self._settings = settings
        self._lot = read_klarf(path)
        if not self._lot.defects:
            raise SettingError("images", f"{path} lists no defects")
        self._lot.check_column(settings.column)
        images = LotImages(self._lot, settings.folder, settings.image_kinds, settings.reference_kinds)
        self.remarks: Sequence[str] = images.remarks()
        self._defects = find_defects(self._lot, images)
        self.pages: Sequence[ImagePage] = [page for each in self._defects for page in each.pages]

    def write(self, predictor: Predictor, files: LotFiles, inputs: Inputs, facts: dict[str, Any]) -> LotWriter:
        """Judge all defects and write the results.

        Args:
            predictor: The classifier, which has adopted the polarity of ``pages``.
            files: What is written.
            inputs: Further files that are read.
            facts: Keys and values for the report.

        Returns:
            The writer, with its summary and errors.

        Raises:
            UserError: A class without a number, or an output that would overwrite what is read.
        """
        settings, classes = self._settings, predictor.classes
        numbers = find_class_numbers(settings.classes_file, self._lot.lookup, classes)
        read = (*settings.files_read(self._lot, self.pages), *inputs)
        writer = LotWriter(self._lot, files, prediction_columns(classes), classes, numbers, settings.column, read)
        writer.write(judge_defects(predictor, self._defects), facts)
        return writer
