"""Reads which images are good and which defective, and where their defects are."""

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sem_lightning.data.class_names import map_names
from sem_lightning.data.labelled_file import name_some
from sem_lightning.data.listing import SYNONYMS
from sem_lightning.errors import SettingError, UserError
from sem_lightning.inspection.references import full_path
from sem_lightning.io.csv_table import Row, read_table, with_slashes
from sem_lightning.synthesis.defects.mix import GOOD

_BOX = ("x", "y", "width", "height")
_COLUMNS = {"filename": SYNONYMS["filename"], "label": SYNONYMS["label"]} | {name: (name,) for name in _BOX}
_EXPECTED = "expected image,label and optionally x,y,width,height in the first line"


@dataclass(frozen=True)
class Box:
    """The box around a defect, in the file's pixels."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Truth:
    """What is known of an image: its label, and the boxes of its defects as far as they are known."""

    label: str
    boxes: tuple[Box, ...] = ()

    @property
    def is_defective(self) -> bool:
        return self.label != GOOD


class Labels:
    """The labels of images, by their paths."""

    def __init__(self, table: Path, truths: dict[str, Truth]) -> None:
        self._table = table
        self._truths = truths

    def of(self, image: Path) -> Truth | None:
        """What is known of an image; ``None`` if it has no label."""
        return self._truths.get(full_path(image))

    def count(self, images: Sequence[Path]) -> tuple[int, int]:
        """How many of some images are good, and how many defective.

        Raises:
            SettingError: None of them has a label.
        """
        found = [truth.is_defective for image in images if (truth := self.of(image)) is not None]
        if not found:
            raise SettingError(
                "labels",
                f"{self._table} lists none of {len(images)} images, such as {images[0]}; it has "
                f"{os.path.relpath(next(iter(self._truths)))} (its names are relative to its own folder)",
            )
        return found.count(False), found.count(True)

    def missing(self, images: Sequence[Path]) -> list[str]:
        """The images with a label that are not among some images, from the working folder."""
        there = {full_path(image) for image in images}
        return [os.path.relpath(image) for image in self._truths if image not in there]


def read_labels(table: str | Path) -> Labels:
    """Read a table with the columns ``image`` and ``label``, relative to its own folder.

    The label ``good`` (or one word like it, such as ``OK``) is that of images without a defect; any other is a defect.
    The optional columns ``x``, ``y``, ``width`` and ``height`` are the defect's box in the file's pixels. Several lines
    of an image are several defects, each with a box. See `read_table` for separators and encodings.

    Raises:
        UserError: No such file, no such columns, no lines, or a line that cannot be.
    """
    table = Path(table).expanduser()
    if not table.is_file():
        raise UserError(f"labels: {table} is no file; expected a table with the columns image and label")
    rows: dict[str, list[Row]] = defaultdict(list)
    for row in read_table(table, _COLUMNS, ("filename", "label"), _EXPECTED):
        for column in ("filename", "label"):
            if not row.cells.get(column):
                raise UserError(f"{table}, line {row.number}: the {column} is empty; expected one in every line")
        rows[full_path(table.parent / with_slashes(table.parent, row.cells["filename"]))].append(row)
    if not rows:
        raise UserError(f"{table}: lists no images; expected one in every line after the first")
    names = map_names({row.cells["label"] for each in rows.values() for row in each}, None)
    truths = {image: _truth_of(table, each, names) for image, each in rows.items()}
    return Labels(table, truths)


def _truth_of(table: Path, rows: list[Row], names: dict[str, str]) -> Truth:
    labels = [names[row.cells["label"]] for row in rows]
    boxes = [box for row in rows if (box := _box_of(table, row)) is not None]
    if len(rows) > 1 and (GOOD in labels or len(boxes) < len(rows)):
        raise UserError(
            f"{table}, line {rows[1].number}: {name_some([rows[1].cells['filename']])} is listed more than once; "
            "expected one line, or a box in each for several defects"
        )
    if boxes and labels[0] == GOOD:
        raise UserError(f"{table}, line {rows[0].number}: found a box of a good image, expected none")
    return Truth(labels[0], tuple(boxes))


def _box_of(table: Path, row: Row) -> Box | None:
    cells = [row.cells.get(name, "") for name in _BOX]
    if not any(cells):
        return None
    try:
        x, y, width, height = (float(cell) for cell in cells)
    except ValueError:
        x = y = width = height = 0.0
    if not (min(width, height) > 0 and all(abs(each) < 1e9 for each in (x, y, width, height))):
        raise UserError(
            f"{table}, line {row.number}: found the box {', '.join(cells)}, expected four numbers x, y, width, height, "
            "the last two above 0, or four empty cells"
        )
    return Box(x, y, width, height)
