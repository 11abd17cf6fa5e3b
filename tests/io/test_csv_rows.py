"""Cells of CSV files: no formulas, every reader splits them alike, and numbers stay numbers."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sem_lightning.io.csv_rows import as_cell, write_row

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (Path("=cmd.png"), "./=cmd.png"),
        (Path("-a/b.png"), "./-a/b.png"),
        (Path("/=a"), "/=a"),
        ("=1+1", "'=1+1"),
        ("@sum", "'@sum"),
        ("-1.5", "-1.5"),
        ("+1e3", "+1e3"),
        (-1.5, -1.5),
        ("gap", "gap"),
        (None, None),
    ],
)
def test_what_begins_like_a_formula(cell: object, expected: object) -> None:
    assert as_cell(cell) == expected


@given(st.lists(texts, min_size=1, max_size=4), texts)
def test_rows_are_read_as_they_were_written(cells: list[str], path: str) -> None:
    stream = io.StringIO(newline="")
    row = [*cells, 0.5]
    write_row(stream, row)
    write_row(stream, row)
    stream.seek(0)
    found = list(csv.reader(stream))
    assert found == [[str(as_cell(cell)) for cell in row]] * 2
    assert not any(cell.startswith(("=", "@")) for cell in found[0])
