"""Writes the answers for a lot: a table, JSON lines, and the KLARF file with its class numbers."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sem_lightning.decision.rule import UNSURE_NAME
from sem_lightning.inspection.inspection import DEFECT
from sem_lightning.io.atomic import check_writable
from sem_lightning.io.csv_rows import write_row
from sem_lightning.io.result_files import DecisionCount, Inputs, open_together, write_json_line
from sem_lightning.klarf.judging import UNREADABLE, WITHOUT_ANSWER, JudgedDefect
from sem_lightning.klarf.klarf_settings import LotFiles
from sem_lightning.klarf.read import KlarfFile

_PLACE = ("lot", "wafer", "slot", "defect", "die_x", "die_y", "x_mm", "y_mm", "images", "image",
          "class_before", "class_after")  # fmt: skip


class LotWriter:
    """Writes the answers for a lot; the files appear when all are written.

    Args:
        lot: The file that was read.
        files: What is written.
        columns: The command's own columns; those of ``sem-predict`` or ``sem-inspect``.
        decisions: The decisions to list in the summary; ``unsure`` is added.
        numbers: Class number of each decision or label, see `find_class_numbers`; that of a label counts for a defect.
        column: The column of the file that gets them.
        inputs: What is read, and must not be overwritten.

    Behind the command's own columns the table has where the defect lies, its class number before and after, and what is
    wrong with its images.

    Raises:
        UserError: The file has no such column of classes.
        SettingError: See `LotFiles.check`.
    """

    def __init__(
        self,
        lot: KlarfFile,
        files: LotFiles,
        columns: Sequence[str],
        decisions: Sequence[str],
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
        self._columns, self._decisions, self._numbers = list(columns), list(decisions), numbers
        self._count = DecisionCount()
        self._chosen: dict[int, int] = {}
        self.errors: list[str] = []

    def write(self, answers: Iterable[JudgedDefect], facts: Mapping[str, Any]) -> None:
        """Write the answers, one for each defect, and the report.

        Args:
            answers: In the order of the lot.
            facts: Keys and values for the report.

        Raises:
            OSError: A folder is not writable or full.
        """
        report = None
        if self._files.page is not None:
            from sem_lightning.klarf.lot_report import LotReport  # imports Matplotlib

            report = LotReport(self._lot, self._decisions)
        with self._open():
            for judged in answers:
                self._add(judged)
                if report is not None:
                    report.add(judged)
            if report is not None and self._files.page is not None:
                report.write(self._files.page, {**facts, "class numbers": dict(self._numbers)})

    @contextlib.contextmanager
    def _open(self) -> Iterator[None]:
        """Open temporary files. They get their final names at the end, unless an error occurs.

        Raises:
            OSError: A folder is not writable or full.
        """
        with open_together([self._files.table, self._files.lines]) as opened:
            table, self._lines = opened
            assert table is not None
            self._table = table
            write_row(self._table, [*self._columns, *_PLACE, "error"])
            yield
            self._lot.with_classes(self._chosen, self._column).write(self._files.klarf)

    def _add(self, judged: JudgedDefect) -> None:
        before, number = judged.defect.class_number(self._column), self._number_of(judged)
        if number is not None and number != before:
            self._chosen[judged.defect.index] = number
        answered = judged.decision is not None
        self._count.add(judged.decision or judged.reason or UNREADABLE, judged.reason if answered else None)
        if judged.error:
            self.errors.append(judged.error)
        place = describe_place(judged) | {"class_before": before, "class_after": before if number is None else number}
        cells = judged.cells or [judged.reason if name == "reason" else "" for name in self._columns]
        write_row(
            self._table, [*cells, *("" if place[name] is None else place[name] for name in _PLACE), judged.error or ""]
        )
        if self._lines is not None:
            said = judged.details or {"path": None, "decision": None, "reason": judged.reason}
            write_json_line(self._lines, {**said, **place, "error": judged.error})

    def _number_of(self, judged: JudgedDefect) -> int | None:
        if judged.decision == DEFECT and judged.label in self._numbers:
            return self._numbers[judged.label]
        return self._numbers.get(judged.decision or "")

    def summary(self, table: str, klarf: str, rule: str = "") -> str:
        """How many defects were decided how, and how many class numbers changed.

        Args:
            table: The table's name, as it is shown.
            klarf: The name of the KLARF file, as it is shown.
            rule: What decided.
        """
        without = [reason for reason in WITHOUT_ANSWER if self._count.decisions[reason]]
        said = self._count.in_words(table, (*self._decisions, UNSURE_NAME, *without), rule, "defects")
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
