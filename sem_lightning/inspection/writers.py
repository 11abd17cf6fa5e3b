"""Writes comparisons with references as a table, a table of places, and JSON lines."""

import contextlib
import dataclasses
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from sem_lightning.decision.rule import UNSURE_NAME
from sem_lightning.inspection.inspection import DEFECT, Deviations, EdgePlacement, Inspection, Place, Registration
from sem_lightning.inspection.references import InspectionPair
from sem_lightning.io.atomic import check_writable
from sem_lightning.io.csv_rows import as_cell, write_row
from sem_lightning.io.result_files import DecisionCount, Inputs, check_targets, open_together, write_json_line
from sem_lightning.synthesis.defects.mix import GOOD

UNREADABLE = "unreadable"  # reason of a pair of which a file cannot be used
_REGISTRATION = ("shift_x", "shift_y", "rotation_deg", "scale", "correlation", "overlap", "residual")
_MEASURED = {"epe": "displacements", "cd": "cd_errors", "space": "space_errors"}
_OF_EACH = ("mean", "3sigma", "worst", "worst_x", "worst_y", "worst_layout_x", "worst_layout_y")
_EDGES = (*(f"{name}_{column}" for name in _MEASURED for column in _OF_EACH), "edge_unit")
COLUMNS = (
    "path", "decision", "reason", "places", "score", "highest", "label", "reference", *_REGISTRATION, "compared",
    *_EDGES,
    "remarks",
)  # fmt: skip
PLACE_COLUMNS = (
    "x", "y", "width", "height", "label", "score", "area", "brighter", "log_odds", "width_nm", "height_nm",
    "layout_x", "layout_y",
)  # fmt: skip
EDGE_COLUMNS = (
    "x", "y", "layout_x", "layout_y", "displacement", "cd_drawn", "cd_error", "space_drawn", "space_error", "unit",
)  # fmt: skip


class InspectionWriter:
    """Writes comparisons one by one; the files appear when all are written.

    Args:
        table: CSV with `COLUMNS`, a row for each pair.
        lines: JSON lines with all results; ``None`` writes none.
        page: File of the report, which is none of the two; ``None`` if there is no report.
        edges: Whether ``<table>_edges.csv`` is written, with the columns ``path`` and `EDGE_COLUMNS`: a row for each
            point of a design's outline.
        limits: File of the limits, which is none of the others, either; ``None`` if none are chosen.
        inputs: What is read, and must not be overwritten.

    ``<table>_places.csv`` has the columns ``path`` and `PLACE_COLUMNS`, a row for each place. A table that is a device
    or a pipe has none beside it.

    Raises:
        SettingError: Two of the files have the same name, a folder has that name, one of them is read, or the report or
            the limits cannot be written.
    """

    def __init__(
        self,
        table: Path,
        lines: Path | None,
        page: Path | None = None,
        edges: bool = False,
        limits: Path | None = None,
        inputs: Inputs = (),
    ) -> None:
        self.count = DecisionCount()
        self._partly = 0
        self._table_path, self._lines_path = table, lines
        is_device = table.exists() and not (table.is_file() or table.is_dir())
        self._places_path = None if is_device else table.with_name(f"{table.stem}_places.csv")
        self._edges_path = table.with_name(f"{table.stem}_edges.csv") if edges and not is_device else None
        tables = [("output", path) for path in (table, self._places_path, self._edges_path)]
        later = (("report", page), ("save_limits", limits))
        check_targets([*tables, ("jsonl", lines), *later], inputs)
        for key, path in later:
            if path is not None:
                check_writable(key, path.absolute().parent)

    @contextlib.contextmanager
    def open(self) -> Iterator["InspectionWriter"]:
        """Open temporary files. They get their final names at the end, unless an error occurs.

        Raises:
            OSError: A folder is not writable or full.
        """
        paths = [self._table_path, self._places_path, self._edges_path, self._lines_path]
        with open_together(paths) as opened:
            table, self._places, self._edges, self._lines = opened
            assert table is not None
            self._table = table
            write_row(self._table, COLUMNS)
            if self._places is not None:
                write_row(self._places, ["path", *PLACE_COLUMNS])
            if self._edges is not None:
                write_row(self._edges, ["path", *EDGE_COLUMNS])
            yield self

    def add(self, inspection: Inspection) -> None:
        """Write the result of the next pair."""
        self.count.add(inspection.decision, inspection.reason)
        self._partly += inspection.is_partly_compared
        write_row(self._table, describe_row(inspection))
        if self._places is not None:
            for place in inspection.places:
                values = describe_place(place, inspection.pixel_size)
                cells = ["" if values[column] is None else values[column] for column in PLACE_COLUMNS]
                write_row(self._places, [inspection.path or "array", *cells])
        if self._edges is not None and inspection.edges is not None:
            _write_edges(self._edges, inspection.path, inspection.edges)
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
        blank = [""] * (len(_REGISTRATION) + 1 + len(_EDGES))
        write_row(self._table, [pair.image, UNSURE_NAME, reason, 0, "", "", "", _join(references), *blank, error])
        if self._lines is not None:
            content = {"path": str(pair.image), "references": references, "decision": UNSURE_NAME}
            write_json_line(self._lines, {**content, "reason": reason, "error": error})

    def summary(self, table: str) -> str:
        """How many images were decided how, why those that are unsure are, and how many were compared in part.

        Args:
            table: The table's name, as it is shown.
        """
        said = self.count.in_words(table, (GOOD, DEFECT, UNSURE_NAME))
        images = f"{self._partly} images were" if self._partly > 1 else "1 image was"
        return f"{said}; {images} compared on less than 90 %" if self._partly else said


def describe_row(inspection: Inspection) -> list[object]:
    """The cells of the table's row, see `COLUMNS`; empty where there is no number."""
    found = describe_registration(inspection.registration)
    strongest, highest = inspection.places[0] if inspection.places else None, inspection.highest
    return [
        inspection.path or "array",
        inspection.decision,
        inspection.reason or "",
        len(inspection.places),
        "" if strongest is None else round(strongest.score, 2),
        "" if highest is None or math.isinf(highest) else round(highest, 2),
        "" if strongest is None else strongest.label,
        _join(inspection.references),
        *("" if found is None or found[column] is None else found[column] for column in _REGISTRATION),
        "" if inspection.compared is None else round(inspection.compared, 4),
        *describe_edges(inspection.edges).values(),
        "; ".join(inspection.remarks),
    ]


def describe_edges(edges: EdgePlacement | None) -> dict[str, float | str]:
    """The placement of edges and the errors of widths by column; empty texts for what was not measured."""
    described: dict[str, float | str] = dict.fromkeys(_EDGES, "")
    if edges is None:
        return described
    described["edge_unit"] = edges.unit
    for name, attribute in _MEASURED.items():
        found: Deviations = getattr(edges, attribute)
        if found.worst is not None:
            numbers = (found.mean, found.three_sigma, found.values[found.worst])
            places = (*edges.points[found.worst], *edges.layout[found.worst])
            rounded = [*(round(float(each), 3) for each in numbers), *_round_place(places)]
            described |= {f"{name}_{column}": each for column, each in zip(_OF_EACH, rounded, strict=True)}
    return described


def _round_place(place: Sequence[float]) -> list[float]:
    """X and y in an image's pixels, and in the layout."""
    return [round(float(each), digits) for each, digits in zip(place, (2, 2, 5, 5), strict=True)]


def _write_edges(stream: TextIO, path: Path | None, edges: EdgePlacement) -> None:
    measured = (edges.displacements.values, edges.cds, edges.cd_errors.values, edges.spaces, edges.space_errors.values)
    for place, numbers in zip(np.hstack([edges.points, edges.layout]), np.column_stack(measured), strict=True):
        cells = ["" if math.isnan(each) else round(float(each), 3) for each in numbers]
        write_row(stream, [path or "array", *_round_place(place), *cells, edges.unit])


def describe_registration(registration: Registration | None) -> dict[str, float | None] | None:
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
        "residual": None if math.isnan(registration.residual) else round(registration.residual, 3),
    }


def describe_place(place: Place, pixel_size: float | None) -> dict[str, Any]:
    """All of a place as plain values, see `PLACE_COLUMNS`; sizes in nm where the pixel size is known."""
    nm = [None if pixel_size is None else round(side * pixel_size, 3) for side in (place.width, place.height)]
    x, y = (None, None) if place.layout is None else (round(each, 5) for each in place.layout)
    values = dataclasses.asdict(place)
    del values["layout"]
    return {
        **values,
        "layout_x": x,
        "layout_y": y,
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
        "highest": inspection.highest,
        "compared": inspection.compared,
        "places": [describe_place(place, inspection.pixel_size) for place in inspection.places],
        "registration": details,
        "height": inspection.shape[0],
        "width": inspection.shape[1],
        "pixel_size_nm": inspection.pixel_size,
        "data_bar_rows": inspection.data_bar_rows,
        "edges": None if inspection.edges is None else describe_edges(inspection.edges),
        "remarks": list(inspection.remarks),
    }


def _references(references: Sequence[Path] | str) -> list[str]:
    return [references] if isinstance(references, str) else [str(path) for path in references]


def _join(references: Sequence[str]) -> str:
    """References as one cell."""
    return "; ".join(str(as_cell(Path(name))) for name in references)
