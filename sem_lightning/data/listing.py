"""Reads ``labels.csv``: the list of the images of a folder, with their classes."""

import csv
import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from sem_lightning.data.class_names import find_split
from sem_lightning.data.labelled_file import LabelledFile, name_some
from sem_lightning.data.splits import SPLITS
from sem_lightning.errors import UserError
from sem_lightning.io.dataset_format import SPANS
from sem_lightning.io.images import Span
from sem_lightning.io.text_encoding import find_encoding

_LONGEST_NUMBER = 16  # digits of an offset in a file
_SYNONYMS = {  # the first is ours
    "filename": ("filename", "file", "file_name", "image", "image_name", "image_path", "path", "filepath", "name"),
    "label": ("label", "class", "class_name", "category", "labels", "classname"),
    "split": ("split", "set", "subset"),
}
_EXPECTED = "expected filename,label and optionally split in the first line"


@dataclass(frozen=True)
class _Row:
    """A line of the list: its number, and its cells by column."""

    number: int
    cells: dict[str, str]


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


def _read_rows(listing: Path) -> list[_Row]:
    try:
        data = listing.read_bytes()
        text = data.decode(find_encoding(data))
        if text.startswith("sep="):  # spreadsheets
            text = text.partition("\n")[2]
        head = text.partition("\n")[0]
        separator = max(",;\t", key=head.count)
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
        columns = _name_columns(listing, [cell.strip() for cell in next(reader, [])])
        rows = []
        for cells in reader:
            stripped = [cell.strip() for cell in cells]
            if not any(stripped):
                continue
            if len(stripped) > len(columns) and any(stripped[len(columns) :]):
                raise UserError(
                    f"{listing}, line {reader.line_num}: found {len(stripped)} cells, expected {len(columns)}; put a "
                    f"name that holds {separator!r} in double quotes"
                )
            rows.append(_Row(reader.line_num, dict(zip(columns, stripped, strict=False))))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{listing}: not a CSV file in UTF-8 or UTF-16 ({error})") from None
    for row in rows:
        row.cells["filename"] = _path_of(listing.parent, row.cells.get("filename", ""))
    return rows


def _name_columns(listing: Path, found: list[str]) -> list[str]:
    """Our names of the columns; others keep theirs."""
    plain = [name.lower().replace(" ", "_") for name in found]
    names = list(found)
    for ours, synonyms in _SYNONYMS.items():
        places = [plain.index(each) for each in synonyms if each in plain]
        if places:
            names[places[0]] = ours  # our own name comes before another that means the same
    if not {"filename", "label"} <= set(names):
        raise UserError(f"{listing}: found the columns {', '.join(found) or 'none'}; {_EXPECTED}")
    return names


def _path_of(root: Path, name: str) -> str:
    """A name with slashes, unless a file has backslashes in its name."""
    return name if "\\" not in name or (root / name).exists() else name.replace("\\", "/")


def _check_row(listing: Path, row: _Row) -> None:
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
