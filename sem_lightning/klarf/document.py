"""What a KLARF file says: wafers, defects, their images, the table of classes."""

import math
import re
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sem_lightning.klarf.tokens import as_number, as_text, as_whole

ABSENT = 2**32 - 1  # place of a cell that its row does not have
_CELL = re.compile(rb'"[^"\r\n]*"?|[^\s;{},"][^\s;{},]*')
_CLASSES = re.compile("CLASS|BIN(NUMBER)?$|ADC$")
_FLAT_CELL = re.compile(rb'"[^"\r\n]*"?|[^\s;"][^\s;]*')

Pair = tuple[float, float]


@dataclass(frozen=True, slots=True)
class DefectImage:
    """An image that the file names.

    Attributes:
        name: Name of its file as written; ``None`` where no ``TiffFileName`` precedes it.
        number: Number of the page in a file of several pages, as written.
        kind: What the file says of it: the type number of 1.1 and 1.2, the last text of 1.8 (``Patch``); ``None`` where
            it says nothing.
    """

    name: str | None
    number: int
    kind: str | None


@dataclass(eq=False)
class Wafer:
    """A wafer, with lengths in mm.

    Attributes:
        lot: Name of the lot.
        name: Name of the wafer.
        slot: As written.
        die_pitch: Width and height of a die with its street.
        die_origin: Lower left corner of die (0, 0) from its origin.
        center: ``SampleCenterLocation``, from the origin of die (0, 0).
        diameter: Of a round wafer.
        mark: Where notch or flat lies: ``DOWN``, ``UP``, ``LEFT``, ``RIGHT``, or as written.

    What the file does not say is ``""`` or ``None``.
    """

    lot: str = ""
    name: str = ""
    slot: str = ""
    die_pitch: Pair | None = None
    die_origin: Pair | None = None
    center: Pair | None = None
    diameter: float | None = None
    mark: str = ""

    @staticmethod
    def of(fields: Mapping[str, Sequence[str]], millimetre: float, sizes_in_mm: bool) -> "Wafer":
        """From the fields of a file by their names in small letters.

        Args:
            fields: Values as texts.
            millimetre: Length of the file's unit, mm.
            sizes_in_mm: Whether ``SampleSize`` is a shape (1 is round) and lengths in mm, as in 1.1 and 1.2, and not
                two lengths in the file's unit.
        """
        size = [as_number(text) for text in fields.get("samplesize", ())]
        if sizes_in_mm:
            diameter = size[1] if len(size) > 1 and size[0] == 1 else None
        else:
            diameter = size[0] * millimetre if size and size[0] and not any(size[1:]) else None
        return Wafer(
            lot=_first(fields, "lotid"),
            name=_first(fields, "waferid"),
            slot=_first(fields, "slot") or _first(fields, "slotnumber"),
            die_pitch=_pair(fields, "diepitch", millimetre),
            die_origin=_pair(fields, "dieorigin", millimetre),
            center=_pair(fields, "samplecenterlocation", millimetre),
            diameter=diameter if diameter and diameter > 0 else None,
            mark=_first(fields, "orientationmarklocation").upper(),
        )


def _first(fields: Mapping[str, Sequence[str]], name: str) -> str:
    return next(iter(fields.get(name, ())), "")


def _pair(fields: Mapping[str, Sequence[str]], name: str, millimetre: float) -> Pair | None:
    numbers = [as_number(text) for text in fields.get(name, ())][:2]
    if len(numbers) < 2 or numbers[0] is None or numbers[1] is None:
        return None
    return numbers[0] * millimetre, numbers[1] * millimetre


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """The columns of a defect list, in order.

    Attributes:
        names: In capitals.
        image_lists: Numbers of those that hold images.
        nested: Whether the file is of version 1.8.
    """

    names: tuple[str, ...]
    image_lists: frozenset[int]
    nested: bool
    numbers: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        numbers = {name: number for number, name in reversed(list(enumerate(self.names)))}  # of two the first
        object.__setattr__(self, "numbers", numbers)


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """A row of a defect list.

    Attributes:
        wafer: Number of its wafer.
        columns: Its columns.
        starts: Place of each cell in the file, `ABSENT` for an image list that is not there.
        images: Its images.
    """

    wafer: int
    columns: Columns
    starts: "array[int]"  # no generic type at run time before Python 3.12
    images: tuple[DefectImage, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Defect:
    """A defect of a KLARF file.

    Attributes:
        index: Its place in the file, from 0. Numbers of defects (``id``) can repeat, in one wafer as well.
        wafer: Its wafer.
        images: Every image of it that the file names, references included.
    """

    index: int
    wafer: Wafer
    images: tuple[DefectImage, ...]
    _row: Row
    _data: bytes
    _millimetre: float

    @property
    def id(self) -> str:
        """``DEFECTID`` as written."""
        return self.cell("DEFECTID") or ""

    @property
    def die(self) -> tuple[int, int] | None:
        """``XINDEX`` and ``YINDEX``; ``None`` where the file does not say."""
        x, y = as_whole(self.cell("XINDEX") or ""), as_whole(self.cell("YINDEX") or "")
        return None if x is None or y is None else (x, y)

    @property
    def in_die(self) -> Pair | None:
        """``XREL`` and ``YREL`` in mm; ``None`` where the file does not say."""
        x, y = as_number(self.cell("XREL") or ""), as_number(self.cell("YREL") or "")
        return None if x is None or y is None else (x * self._millimetre, y * self._millimetre)

    @property
    def position(self) -> Pair | None:
        """Where the defect lies on the wafer, mm from its centre to the right and up.

        ``XINDEX * DiePitch + XREL - SampleCenterLocation``, and the same in y: ``XREL`` counts from the origin of the
        defect's die, and ``SampleCenterLocation`` is the wafer's centre as seen from the origin of die (0, 0)
        (Artwork Conversion Software, "KLARF", artwork.com/package/wmapconvert/map_formats/KLARF). ``None`` where the
        file does not say one of them.
        """
        die, inside, pitch, center = self.die, self.in_die, self.wafer.die_pitch, self.wafer.center
        if die is None or inside is None or pitch is None or center is None:
            return None
        x, y = (die[axis] * pitch[axis] + inside[axis] - center[axis] for axis in (0, 1))
        return (x, y) if math.isfinite(x) and math.isfinite(y) else None

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns of its list, in capitals."""
        return self._row.columns.names

    @property
    def class_columns(self) -> list[str]:
        """Names of the columns that hold classes, such as ``CLASSNUMBER``, ``ROUGHBINNUMBER`` and ``FINEBINNUMBER``."""
        lists = self._row.columns.image_lists
        return [name for i, name in enumerate(self.columns) if i not in lists and _CLASSES.search(name)]

    def cell(self, column: str) -> str | None:
        """What a column holds, as written without quotes; ``None`` if there is no such column, or nothing in it."""
        span = self.span(column)
        return None if span is None else as_text(self._data[slice(*span)])

    def class_number(self, column: str = "CLASSNUMBER") -> int | None:
        """The number in a column of classes; ``None`` if there is none."""
        return as_whole(self.cell(column) or "")

    def span(self, column: str) -> tuple[int, int] | None:
        """First byte of a cell in the file, and the place behind it."""
        number = self._row.columns.numbers.get(column.upper())
        if number is None or self._row.starts[number] == ABSENT:
            return None
        found = (_CELL if self._row.columns.nested else _FLAT_CELL).match(self._data, self._row.starts[number])
        return None if found is None else found.span()


@dataclass
class Parsed:
    """What a parser has found.

    Attributes:
        version: ``1.1``, ``1.2`` or ``1.8``.
        millimetre: Length of the file's unit, mm.
        wafers: Fields of each wafer by their names in small letters, with those of its lot.
        rows: In the order of the file.
        lookup: Names of the classes by number.
    """

    version: str
    millimetre: float
    wafers: list[dict[str, list[str]]]
    rows: list[Row]
    lookup: dict[int, str]
