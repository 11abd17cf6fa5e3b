"""Reads ``labels.csv``: the list of the images of a folder, with their classes."""

from collections import Counter
from pathlib import Path

from sem_lightning.data.class_names import find_split
from sem_lightning.data.labelled_file import LabelledFile, name_some
from sem_lightning.data.splits import SPLITS
from sem_lightning.errors import UserError
from sem_lightning.io.csv_table import Row, read_table, with_slashes
from sem_lightning.io.dataset_format import SPANS
from sem_lightning.io.images import Span

_LONGEST_NUMBER = 16  # digits of an offset in a file
SYNONYMS = {  # the first is ours
    "filename": ("filename", "file", "file_name", "image", "image_name", "image_path", "path", "filepath", "name"),
    "label": ("label", "class", "class_name", "category", "labels", "classname"),
    "split": ("split", "set", "subset"),
}
_EXPECTED = "expected filename,label and optionally split in the first line"


def read_listing(listing: Path) -> tuple[list[LabelledFile], set[str]]:
    """The files that a list names, in its order, and the names of the classes.

    Columns may have other usual names, be separated by semicolons or tabs, and hold spaces around their cells; names of
    files may have backslashes; the text is UTF-8 or UTF-16.

    Raises:
        UserError: A line that cannot be read, with its number, what it holds and what is allowed.
    """
    rows = _read_rows(listing)
    for row in rows:
        _check_row(listing, row)
    repeated = [name for name, count in Counter(row.cells["filename"] for row in rows).items() if count > 1]
    if repeated:
        raise UserError(f"{listing}: listed more than once: {name_some(repeated)}")
    unassigned = [row.cells["filename"] for row in rows if not row.cells.get("split")]
    if 0 < len(unassigned) < len(rows):
        raise UserError(f"{listing}: some images have a split and some have none: {name_some(unassigned)}")
    files = [_file_of(listing, row.cells) for row in rows]
    return files, {file.label for file in files}


def _read_rows(listing: Path) -> list[Row]:
    rows = read_table(listing, SYNONYMS, ("filename", "label"), _EXPECTED)
    for row in rows:
        row.cells["filename"] = with_slashes(listing.parent, row.cells.get("filename", ""))
    return rows


def _check_row(listing: Path, row: Row) -> None:
    """Check a line, and name its split as we do.

    Raises:
        UserError: It lacks a name or a class, or its split is none.
    """
    for column in ("filename", "label"):
        if not row.cells.get(column):
            raise UserError(f"{listing}, line {row.number}: the {column} is empty; expected one in every line")
    word = row.cells.get("split")
    if not word:
        return
    split = find_split(word)
    if split is None:
        raise UserError(
            f"{listing}, line {row.number}: found the split {word!r}, expected one of {', '.join(SPLITS)}, or no split "
            "in any line"
        )
    row.cells["split"] = split


def _file_of(listing: Path, cells: dict[str, str]) -> LabelledFile:
    """The file of a line. Images in tar files are listed as ``shard.tar/name``."""
    name = cells["filename"]
    path = listing.parent / (name.rpartition("/")[0] if cells.get(SPANS[0]) else name)
    return LabelledFile(path, cells["label"], cells.get("split") or None, *_spans_of(listing, cells), name=name)


def _spans_of(listing: Path, cells: dict[str, str]) -> tuple[Span | None, Span | None]:
    if not cells.get(SPANS[0]):
        return None, None
    numbers = [cells.get(name) or "" for name in SPANS]
    if not all(number.isdecimal() and len(number) < _LONGEST_NUMBER for number in numbers):
        raise UserError(
            f"{listing}: {cells['filename']} has {', '.join(numbers)} for {', '.join(SPANS)}; make it again"
        )
    image_start, image_bytes, mask_start, mask_bytes = map(int, numbers)
    return (image_start, image_bytes), (mask_start, mask_bytes)
