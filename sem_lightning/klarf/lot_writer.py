"""Writes the answers for a lot: a table, JSON lines, and the KLARF file with its class numbers."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sem_lightning.decision.rule import UNSURE_NAME
from sem_lightning.inference.writers import describe_prediction
from sem_lightning.io.atomic import check_writable
from sem_lightning.io.csv_rows import write_row
from sem_lightning.io.result_files import DecisionCount, Inputs, check_targets, open_together, write_json_line
from sem_lightning.klarf.judging import NO_IMAGE, UNREADABLE, JudgedDefect
from sem_lightning.klarf.read import KlarfFile

_PLACE = ("lot", "wafer", "slot", "defect", "die_x", "die_y", "x_mm", "y_mm", "images", "image",
          "class_before", "class_after")  # fmt: skip


@dataclass(frozen=True)
class LotFiles:
    """What is written for a lot.

    Attributes:
        table: CSV, a row for each defect.
        klarf: The KLARF file with new class numbers.
        lines: JSON lines; ``None`` writes none.
        page: The report, which `LotWriter` only checks.
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


class LotWriter:
    """Writes answers one by one; the files appear when all are written.

    Args:
        lot: The file that was read.
        files: What is written.
        classes: Class names of the classifier.
        numbers: Class number of each decision, see `find_class_numbers`.
        column: The column of the file that gets them.
        inputs: What is read, and must not be overwritten.

    The table has the columns of ``sem-predict`` and behind them where the defect lies, its class number before and
    after, and what is wrong with its images.

    Raises:
        UserError: The file has no such column of classes.
        SettingError: See `LotFiles.check`.
    """

    def __init__(
        self,
        lot: KlarfFile,
        files: LotFiles,
        classes: Sequence[str],
        numbers: Mapping[str, int],
        column: str,
        inputs: Inputs = (),
    ) -> None:
        lot.check_column(column)
        files.check(inputs)
        for key, path in (("klarf.output", files.klarf), ("klarf.report", files.page)):
            if path is not None:
                check_writable(key, path.absolute().parent)
        self._lot, self._files, self._column = lot, files, column
        self._classes, self._numbers = list(classes), numbers
        self._count = DecisionCount()
        self._chosen: dict[int, int] = {}
        self.errors: list[str] = []

    @contextlib.contextmanager
    def open(self) -> Iterator["LotWriter"]:
        """Open temporary files. They get their final names at the end, unless an error occurs.

        Raises:
            OSError: A folder is not writable or full.
        """
        with open_together([self._files.table, self._files.lines]) as opened:
            table, self._lines = opened
            assert table is not None
            self._table = table
            columns = (f"p_{name}" for name in self._classes)
            write_row(self._table, ["path", "label", "confidence", "decision", *columns, "reason", *_PLACE, "error"])
            yield self
            self._lot.with_classes(self._chosen, self._column).write(self._files.klarf)

    def add(self, judged: JudgedDefect) -> None:
        """Write the answer for the next defect."""
        found, before = judged.prediction, judged.defect.class_number(self._column)
        number = None if found is None else self._numbers.get(found.decision)
        if number is not None and number != before:
            self._chosen[judged.defect.index] = number
        self._count.add(found.decision if found else judged.reason or UNREADABLE, found.reason if found else None)
        if judged.error:
            self.errors.append(judged.error)
        after = before if number is None else number
        place = describe_place(judged) | {"class_before": before, "class_after": after}
        self._write_cells(judged, ["" if place[name] is None else place[name] for name in _PLACE])
        if self._lines is not None:
            said = describe_prediction(found) if found else {"path": None, "decision": None, "reason": judged.reason}
            write_json_line(self._lines, said | place | {"error": judged.error})

    def _write_cells(self, judged: JudgedDefect, place: list[Any]) -> None:
        found = judged.prediction
        if found is None:
            row: list[Any] = ["", "", "", "", *("" for _ in self._classes), judged.reason or ""]
        else:
            numbers = [f"{p:.6f}" for p in (found.confidence, *found.probabilities.values())]
            row = [found.path, found.label, numbers[0], found.decision, *numbers[1:], found.reason or ""]
        write_row(self._table, [*row, *place, judged.error or ""])

    def summary(self, table: str, klarf: str, rule: str) -> str:
        """How many defects were decided how, and how many class numbers changed.

        Args:
            table: The table's name, as it is shown.
            klarf: The name of the KLARF file, as it is shown.
            rule: The decision rule's name.
        """
        without = [reason for reason in (NO_IMAGE, UNREADABLE) if self._count.decisions[reason]]
        said = self._count.in_words(table, (*self._classes, UNSURE_NAME, *without), rule, "defects")
        return f"{said}\n{klarf} has {len(self._chosen)} new numbers in {self._column.upper()}"


def describe_place(judged: JudgedDefect) -> dict[str, Any]:
    """Which defect it is, and where it lies, as plain values."""
    defect = judged.defect
    die, position = defect.die or (None, None), defect.position
    x, y = (None, None) if position is None else (round(position[0], 6), round(position[1], 6))
    return {
        "lot": defect.wafer.lot,
        "wafer": defect.wafer.name,
        "slot": defect.wafer.slot,
        "defect": defect.id,
        "die_x": die[0],
        "die_y": die[1],
        "x_mm": x,
        "y_mm": y,
        "images": judged.images,
        "image": judged.image,
    }
