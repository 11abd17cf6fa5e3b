"""Rows of CSV files that spreadsheets do not run and that every reader splits alike."""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

_FORMULA = tuple("=+-@\t\r")  # a spreadsheet computes a cell that begins so


def write_row(stream: TextIO, cells: Iterable[object]) -> None:
    """Write one row. Numbers stay numbers; see `as_cell` for names.

    Args:
        stream: Opened with ``newline=""``.
        cells: Numbers, texts and paths.
    """
    row = [as_cell(cell) for cell in cells]
    # the csv module quotes only its own line ends
    returns = any(isinstance(cell, str) and "\r" in cell for cell in row)
    csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_ALL if returns else csv.QUOTE_MINIMAL).writerow(row)


def as_cell(cell: object) -> object:
    """A cell that is no formula: a path that begins like one gets ``./``, and a text that is no number a quote."""
    if isinstance(cell, Path):
        name = str(cell)
        return f"./{name}" if name.startswith(_FORMULA) else name
    if isinstance(cell, str) and cell.startswith(_FORMULA) and not _is_number(cell):
        return f"'{cell}"
    return cell


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
