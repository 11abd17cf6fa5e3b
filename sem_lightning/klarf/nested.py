"""Reads version 1.8: records within each other, fields, and lists with typed columns."""

from array import array
from dataclasses import dataclass, field

from sem_lightning.klarf.document import Columns, DefectImage, Parsed, Row
from sem_lightning.klarf.limits import MAX_CLASSES, MAX_COLUMNS, MAX_DEFECTS, MAX_DEPTH, MAX_NAME, MAX_WAFERS
from sem_lightning.klarf.tokens import KlarfError, Scanner, Token, as_whole

VERSION = "1.8"
_NANOMETRE = 1e-6  # mm
_MOST_VALUES = 8  # of a field
_NO_IMAGES = {"n", "na", "0"}
_IMAGES, _IMAGE_LIST = "images", "imagelist"


@dataclass
class _Record:
    """A record that is being read.

    Attributes:
        kind: Its name in small letters.
        fields: Its values and those of the records around it, by their names in small letters.
        wafers: Wafers within it, which get fields that follow them.
    """

    kind: str
    fields: dict[str, list[str]]
    wafers: list[dict[str, list[str]]] = field(default_factory=list)


class NestedParser:
    """Reads a file of version 1.8.

    Args:
        data: The file.
        start: Place of its first byte that counts.
    """

    def __init__(self, data: bytes, start: int) -> None:
        self._scanner = Scanner(data, start, nested=True)
        self._found = Parsed(VERSION, _NANOMETRE, [], [], {})
        self._open: list[_Record] = []

    def parse(self) -> Parsed:
        """Read all records.

        Raises:
            KlarfError: What is no KLARF, or more than the limits allow.
        """
        while (token := self._scanner.take()) is not None:
            word = token.word
            if word == "record":
                self._open_record(token)
            elif word == "field":
                self._read_field()
            elif word == "list":
                self._read_list()
            elif token.raw == b"}" and self._open:
                self._close_record()
            elif word == "endoffile" and not self._open:
                return self._found
            elif token.raw != b";":
                raise self._scanner.error(token, "expected Record, Field, List or }")
        if self._open:
            raise KlarfError("the file ends within a record; it may be truncated")
        return self._found

    def _open_record(self, keyword: Token) -> None:
        if len(self._open) == MAX_DEPTH:
            raise self._scanner.error(keyword, f"within {MAX_DEPTH} records, which are too many")
        kind = self._scanner.expect("the name of a record").word
        name = ""
        token = self._scanner.expect("'{'")
        if token.raw != b"{":
            name = token.text
            self._scanner.expect_mark("{")
        around = self._open[-1].fields if self._open else {}
        record = _Record(kind, dict(around))
        if kind == "lotrecord":
            record.fields["lotid"] = [name]
        if kind == "waferrecord":
            record.fields["waferid"] = [name]
            self._add_wafer(record)
        self._open.append(record)

    def _add_wafer(self, record: _Record) -> None:
        if len(self._found.wafers) == MAX_WAFERS:
            raise KlarfError(f"more than {MAX_WAFERS} wafers")
        self._found.wafers.append(record.fields)
        record.wafers.append(record.fields)

    def _close_record(self) -> None:
        record = self._open.pop()
        for wafer in record.wafers:  # fields of a lot may follow its wafers, whose own fields come first
            for name, values in record.fields.items():
                wafer.setdefault(name, values)
        if self._open:
            self._open[-1].wafers += record.wafers

    def _read_field(self) -> None:
        name = self._scanner.expect("the name of a field").word
        self._scanner.expect("the number of values")
        self._scanner.expect_mark("{")
        values: list[str] = []
        while (token := self._scanner.expect("'}'")).raw != b"}":
            if token.raw == b"{":
                raise self._scanner.error(token, "expected a value")
            if token.raw not in (b",", b";") and len(values) < _MOST_VALUES:
                values.append(token.text)
        if self._open and len(self._open[-1].fields) < MAX_COLUMNS:
            self._open[-1].fields[name] = values

    def _read_list(self) -> None:
        name = self._scanner.expect("the name of a list").word
        self._scanner.expect_mark("{")
        if name not in ("defectlist", "classlookuplist"):
            self._pass_braces()
            return
        rows: list[Row] = []
        columns: Columns | None = None
        while (token := self._scanner.expect("'}'")).raw != b"}":
            if token.word == "columns":
                columns = self._read_columns(token)
            elif token.word == "data" and columns is not None:
                self._read_rows(columns, self._found.rows if name == "defectlist" else rows, self._wafer_number())
            elif token.raw != b";":
                raise self._scanner.error(token, "expected Columns and then Data")
        if name == "classlookuplist" and columns is not None:
            self._keep_classes(columns, rows)

    def _wafer_number(self) -> int:
        if not self._found.wafers:  # a list without a wafer
            record = self._open[-1] if self._open else _Record("", {})
            self._add_wafer(record)
        return len(self._found.wafers) - 1

    def _pass_braces(self) -> None:
        """Pass a list that says nothing about defects, behind its first brace."""
        depth = 1
        while depth:
            raw = self._scanner.expect("'}'").raw
            depth += (raw == b"{") - (raw == b"}")

    def _read_columns(self, keyword: Token) -> Columns:
        self._scanner.expect("the number of columns")
        self._scanner.expect_mark("{")
        columns: list[list[str]] = [[]]
        while (token := self._scanner.expect("'}'")).raw != b"}":
            if token.raw == b",":
                columns.append([])
            elif token.raw in (b"{", b";") or len(columns[-1]) == 2:
                raise self._scanner.error(token, "expected columns as a type and a name, with commas between them")
            else:
                columns[-1].append(token.text)
            if len(columns) > MAX_COLUMNS:
                raise self._scanner.error(keyword, f"expected at most {MAX_COLUMNS} columns")
        if not all(columns):
            raise self._scanner.error(keyword, "expected a name for each column")
        lists = {number for number, words in enumerate(columns) if words[0].lower() == _IMAGE_LIST}
        return Columns(tuple(words[-1].upper() for words in columns), frozenset(lists), nested=True)

    def _read_rows(self, columns: Columns, rows: list[Row], wafer: int) -> None:
        self._scanner.expect("the number of rows")
        self._scanner.expect_mark("{")
        while (token := self._scanner.expect("'}'")).raw != b"}":
            if token.raw == b";":
                continue
            if len(rows) == MAX_DEFECTS:
                raise KlarfError(f"more than {MAX_DEFECTS} rows; cut the file into parts")
            rows.append(self._read_row(token, columns, wafer))

    def _read_row(self, first: Token, columns: Columns, wafer: int) -> Row:
        starts = array("I")
        images: tuple[DefectImage, ...] = ()
        token = first
        for number in range(len(columns.names)):
            if number:
                token = self._scanner.expect("a value")
            if token.raw in (b";", b"}", b"{", b","):
                raise self._misfit(first, columns)
            starts.append(token.start)
            if number in columns.image_lists:
                images += self._read_images(token)
        behind = self._scanner.peek()
        if behind is None or behind.raw not in (b";", b"}"):
            raise self._misfit(first, columns)
        return Row(wafer, columns, starts, images)

    def _misfit(self, row: Token, columns: Columns) -> KlarfError:
        return self._scanner.error(
            row, f"expected a row of {len(columns.names)} values that ends in a semicolon; correct the file"
        )

    def _read_images(self, token: Token) -> tuple[DefectImage, ...]:
        """``N``, or ``Images n { "path" "JPG" 1 "Patch", ... }``, of which ``Images`` was taken."""
        if token.word in _NO_IMAGES:
            return ()
        if token.word != _IMAGES:
            raise self._scanner.error(token, "expected N or Images")
        self._scanner.expect("the number of images")
        self._scanner.expect_mark("{")
        images: list[DefectImage] = []
        entry: list[Token] = []
        while True:
            part = self._scanner.expect("'}'")
            if part.raw in (b"{", b";") or len(entry) > _MOST_VALUES:
                raise self._scanner.error(part, "expected images with a path, a format, a number and a type each")
            if part.raw not in (b",", b"}"):
                entry.append(part)
                continue
            images += [self._make_image(entry)] if entry else []
            entry = []
            if part.raw == b"}":
                return tuple(images)

    def _make_image(self, entry: list[Token]) -> DefectImage:
        texts = [token.text for token in entry if token.raw.startswith(b'"') or as_whole(token.raw) is None]
        numbers = [number for token in entry if not token.raw.startswith(b'"')
                   and (number := as_whole(token.raw)) is not None]  # fmt: skip
        name = texts[0] if texts else self._tiff_name()
        if name is not None and len(name) > MAX_NAME:
            raise self._scanner.error(entry[0], f"a file's name of {len(name)} characters")
        kind = texts[2] if len(texts) > 2 else str(numbers[1]) if len(numbers) > 1 else None
        return DefectImage(name, numbers[0] if numbers else 1, kind)

    def _tiff_name(self) -> str | None:
        return next(iter(self._open[-1].fields.get("tifffilename", ())), None) if self._open else None

    def _keep_classes(self, columns: Columns, rows: list[Row]) -> None:
        number_at, name_at = columns.numbers.get("CLASSNUMBER"), columns.numbers.get("CLASSNAME")
        if number_at is None or name_at is None:
            return
        for row in rows[:MAX_CLASSES]:
            cells = (
                Scanner(self._scanner.data, row.starts[place], nested=True).peek() for place in (number_at, name_at)
            )
            number, name = cells
            if number is not None and name is not None and (whole := as_whole(number.raw)) is not None:
                self._found.lookup[whole] = name.text
