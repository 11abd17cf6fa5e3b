"""Writes comparisons with references as a table, a table of places, and JSON lines."""

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sem_lightning.decision.rule import UNSURE_NAME
from sem_lightning.inspection.inspection import DEFECT, Inspection, Place, Registration
from sem_lightning.inspection.references import InspectionPair
from sem_lightning.io.atomic import check_writable
from sem_lightning.io.csv_rows import as_cell, write_row
from sem_lightning.io.result_files import DecisionCount, check_targets, open_together, write_json_line
from sem_lightning.synthesis.defects.mix import GOOD

UNREADABLE = "unreadable"  # reason of a pair of which a file cannot be used
_REGISTRATION = ("shift_x", "shift_y", "rotation_deg", "scale", "correlation", "overlap", "residual")
COLUMNS = ("path", "decision", "reason", "places", "score", "label", "reference", *_REGISTRATION, "remarks")
PLACE_COLUMNS = ("x", "y", "width", "height", "label", "score", "area", "brighter", "log_odds", "width_nm", "height_nm")


class InspectionWriter:
    """Writes comparisons one by one; the files appear when all are written.

    Args:
        table: CSV with `COLUMNS`, a row for each pair.
        lines: JSON lines with all results; ``None`` writes none.
        page: File of the report, which is none of the two; ``None`` if there is no report.

    ``<table>_places.csv`` has the columns ``path`` and `PLACE_COLUMNS`, a row for each place. A table that is a device
    or a pipe has none beside it.

    Raises:
        SettingError: Two of the files have the same name, a folder has that name, or the report cannot be written.
    """

    def __init__(self, table: Path, lines: Path | None, page: Path | None = None) -> None:
        self.count = DecisionCount()
        self._table_path, self._lines_path = table, lines
        is_device = table.exists() and not (table.is_file() or table.is_dir())
        self._places_path = None if is_device else table.with_name(f"{table.stem}_places.csv")
        check_targets([("output", table), ("output", self._places_path), ("jsonl", lines), ("report", page)])
        if page is not None:
            check_writable("report", page.absolute().parent)

    @contextlib.contextmanager
    def open(self) -> Iterator["InspectionWriter"]:
        """Open temporary files. They get their final names at the end, unless an error occurs.

        Raises:
            OSError: A folder is not writable or full.
        """
        with open_together([self._table_path, self._places_path, self._lines_path]) as opened:
            table, self._places, self._lines = opened
            assert table is not None
            self._table = table
            write_row(self._table, COLUMNS)
            if self._places is not None:
                write_row(self._places, ["path", *PLACE_COLUMNS])
            yield self

    def add(self, inspection: Inspection) -> None:
        """Write the result of the next pair."""
        self.count.add(inspection.decision, inspection.reason)
        write_row(self._table, describe_row(inspection))
        if self._places is not None:
            for place in inspection.places:
                values = describe_place(place, inspection.pixel_size)
                cells = ["" if values[column] is None else values[column] for column in PLACE_COLUMNS]
                write_row(self._places, [inspection.path or "array", *cells])
        if self._lines is not None:
            write_json_line(self._lines, describe_inspection(inspection))

    def add_unusable(self, pair: InspectionPair, reason: str, error: str) -> None:
        """Write the next pair, which could not be compared.

        Args:
            pair: The pair.
            reason: Its fault, or `UNREADABLE`.
            error: What is wrong with which file.
        """
        self.count.add(UNSURE_NAME, reason)
        references = _references(pair.references)
        blank = [""] * len(_REGISTRATION)
        write_row(self._table, [pair.image, UNSURE_NAME, reason, 0, "", "", _join(references), *blank, error])
        if self._lines is not None:
            content = {"path": str(pair.image), "references": references, "decision": UNSURE_NAME}
            write_json_line(self._lines, {**content, "reason": reason, "error": error})

    def summary(self, table: str) -> str:
        """How many images were decided how, and why those that are unsure are.

        Args:
            table: The table's name, as it is shown.
        """
        return self.count.in_words(table, (GOOD, DEFECT, UNSURE_NAME))


def describe_row(inspection: Inspection) -> list[object]:
    """The cells of the table's row, see `COLUMNS`; empty where there is no number."""
    found = describe_registration(inspection.registration)
    strongest = inspection.places[0] if inspection.places else None
    return [
        inspection.path or "array",
        inspection.decision,
        inspection.reason or "",
        len(inspection.places),
        "" if strongest is None else round(strongest.score, 2),
        "" if strongest is None else strongest.label,
        _join(inspection.references),
        *("" if found is None else found[column] for column in _REGISTRATION),
        "; ".join(inspection.remarks),
    ]


def describe_registration(registration: Registration | None) -> dict[str, float] | None:
    """How the reference lies on the image, by column; ``None`` if it does not."""
    if registration is None or registration.fault is not None:
        return None
    x, y = registration.shift
    return {
        "shift_x": round(x, 2),
        "shift_y": round(y, 2),
        "rotation_deg": round(registration.rotation, 3),
        "scale": round(registration.scale, 5),
        "correlation": round(registration.correlation, 4),
        "overlap": round(registration.overlap, 4),
        "residual": round(registration.residual, 3),
    }


def describe_place(place: Place, pixel_size: float | None) -> dict[str, Any]:
    """All of a place as plain values, see `PLACE_COLUMNS`; sizes in nm where the pixel size is known."""
    nm = [None if pixel_size is None else round(side * pixel_size, 3) for side in (place.width, place.height)]
    return {
        **dataclasses.asdict(place),
        "score": round(place.score, 3),
        "width_nm": nm[0],
        "height_nm": nm[1],
    }


def describe_inspection(inspection: Inspection) -> dict[str, Any]:
    """All results for a pair, as plain values."""
    registration = inspection.registration
    details = None if registration is None else {
        **(describe_registration(registration) or {}),
        "matrix": [[round(float(each), 6) for each in row] for row in registration.matrix],
        "row_shifts": [round(float(each), 3) for each in registration.row_shifts],
        "periods": [[round(each, 3) for each in period] for period in registration.periods],
        "fault": registration.fault,
    }  # fmt: skip
    return {
        "path": None if inspection.path is None else str(inspection.path),
        "references": list(inspection.references),
        "decision": inspection.decision,
        "reason": inspection.reason,
        "places": [describe_place(place, inspection.pixel_size) for place in inspection.places],
        "registration": details,
        "height": inspection.shape[0],
        "width": inspection.shape[1],
        "pixel_size_nm": inspection.pixel_size,
        "data_bar_rows": inspection.data_bar_rows,
        "remarks": list(inspection.remarks),
    }


def _references(references: Sequence[Path] | str) -> list[str]:
    return [references] if isinstance(references, str) else [str(path) for path in references]


def _join(references: Sequence[str]) -> str:
    """References as one cell."""
    return "; ".join(str(as_cell(Path(name))) for name in references)
