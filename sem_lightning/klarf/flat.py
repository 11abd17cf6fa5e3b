"""Reads versions 1.1 and 1.2: statements that end in a semicolon, and rows of defects on lines of their own."""

from sem_lightning.klarf.defect_rows import FlatRows
from sem_lightning.klarf.document import Columns, Parsed
from sem_lightning.klarf.limits import MAX_CLASSES, MAX_COLUMNS, MAX_NAME, MAX_WAFERS
from sem_lightning.klarf.tokens import KlarfError, Scanner, Token, as_whole

VERSIONS = ("1.1", "1.2")
_MICROMETRE = 1e-3  # mm
_FIELDS = {"lotid", "waferid", "slot", "diepitch", "dieorigin", "samplecenterlocation", "samplesize",
           "orientationmarklocation"}  # fmt: skip
_MOST_VALUES = 8  # of a field
_TIFF, _SPEC, _LIST, _LOOKUP, _END = "tifffilename", "defectrecordspec", "defectlist", "classlookup", "endoffile"
_KNOWN = _FIELDS | {
    _TIFF, _SPEC, _LIST, _LOOKUP, _END, "fileversion", "filetimestamp", "tiffspec", "inspectionstationid", "sampletype",
    "resulttimestamp", "deviceid", "setupid", "stepid", "resultsid", "sampleorientationmarktype", "inspectiontest",
    "sampletestplan", "areapertest", "summaryspec", "summarylist", "orientationinstructions", "coordinatesmirrored",
}  # fmt: skip


class FlatParser:
    """Reads a file of version 1.1 or 1.2.

    Args:
        data: The file.
        start: Place behind ``FileVersion``.
        version: ``1.1`` or ``1.2``.
    """

    def __init__(self, data: bytes, start: int, version: str) -> None:
        self._scanner = Scanner(data, start, nested=False)
        self._found = Parsed(version, _MICROMETRE, [{}], [], {})
        self._columns: Columns | None = None
        self._tiff: str | None = None
        self._in_list = False

    def parse(self) -> Parsed:
        """Read all statements.

        Raises:
            KlarfError: What is no KLARF, or more than the limits allow.
        """
        while (token := self._scanner.take()) is not None and token.word != _END:
            if token.raw != b";":
                self._read_statement(token)
        return self._found

    def _read_statement(self, token: Token) -> None:
        word = token.word
        if word == _TIFF:
            self._tiff = self._rest_of_line() or None
            if self._in_list:
                self._read_rows()
        elif word == _LIST:
            if self._columns is None:
                raise self._scanner.error(token, "expected DefectRecordSpec before it")
            self._in_list = True
            self._read_rows()
        elif word == _SPEC:
            self._columns = self._read_columns(token)
        elif word == _LOOKUP:
            self._read_lookup()
        elif word in _FIELDS:
            self._set_field(word, self._values())
        else:
            self._skip()

    def _set_field(self, name: str, values: list[str]) -> None:
        wafers = self._found.wafers
        if name in ("waferid", "lotid") and wafers[-1].get("waferid"):
            if len(wafers) == MAX_WAFERS:
                raise KlarfError(f"more than {MAX_WAFERS} wafers")
            wafers.append({key: value for key, value in wafers[-1].items() if key not in ("waferid", "slot")})
        wafers[-1][name] = values

    def _values(self) -> list[str]:
        """The first tokens up to the semicolon or the line's end; those of the next line where there are none."""
        values: list[str] = []
        token = self._scanner.take()  # also from the next line
        while token is not None and token.raw != b";":
            if len(values) < _MOST_VALUES:
                values.append(token.text)
            token = self._scanner.take(on_line=True)
        return values

    def _rest_of_line(self) -> str:
        """What stands before the semicolon or the line's end, as one text: names of files may hold spaces."""
        start = end = self._scanner.position
        while (token := self._scanner.take(on_line=True)) is not None and token.raw != b";":
            end = token.end
        if end - start > MAX_NAME:
            raise KlarfError(f"line {self._scanner.line_number(start)}: a file's name of {end - start} bytes")
        return self._scanner.data[start:end].strip().strip(b'"').decode("utf-8", "surrogateescape")

    def _read_columns(self, keyword: Token) -> Columns:
        """The names behind ``DefectRecordSpec n``, up to the semicolon, or n of them."""
        count = as_whole(self._scanner.expect("the number of columns").raw)
        if count is None or not 1 <= count <= MAX_COLUMNS:
            raise self._scanner.error(keyword, f"expected a number of columns from 1 to {MAX_COLUMNS} behind it")
        names: list[str] = []
        while True:
            token = self._scanner.peek()
            if token is None or (len(names) >= count and token.raw != b";" and token.word in _KNOWN):
                break
            self._scanner.position = token.end
            if token.raw == b";":
                break
            names.append(token.text.upper())
            if len(names) > count:
                break
        if len(names) != count:
            raise self._scanner.error(keyword, f"it announces {count} columns and names {len(names)}")
        lists = [number for number, name in enumerate(names) if name == "IMAGELIST"]
        return Columns(tuple(names), frozenset(lists), nested=False)

    def _read_lookup(self) -> None:
        """Lines of a number and a name, up to a keyword. Some writers end each of them with a semicolon."""
        self._scanner.expect("the number of classes")
        while (first := self._scanner.peek()) is not None and not first.is_keyword:
            self._scanner.position = first.end
            if first.raw == b";":
                continue
            words: list[str] = []
            while (token := self._scanner.take(on_line=True)) is not None and token.raw != b";":
                words.append(token.text)
                if len(words) > _MOST_VALUES:
                    raise self._scanner.error(first, "expected a number and a name in quotes on this line")
            number = as_whole(first.raw)
            if number is None:
                raise self._scanner.error(first, "expected the number of a class")
            if len(self._found.lookup) == MAX_CLASSES:
                raise KlarfError(f"more than {MAX_CLASSES} classes")
            self._found.lookup[number] = " ".join(words)

    def _read_rows(self) -> None:
        assert self._columns is not None
        rows = FlatRows(self._scanner, self._columns, len(self._found.wafers) - 1, self._tiff)
        rows.read(self._found.rows)

    def _skip(self) -> None:
        """Pass a statement that says nothing about defects: to its semicolon, or to a known keyword on a new line."""
        while (token := self._scanner.peek()) is not None:
            between = self._scanner.data[self._scanner.position : token.start]
            if (b"\n" in between or b"\r" in between) and token.word in _KNOWN:
                return
            self._scanner.position = token.end
            if token.raw == b";":
                return
