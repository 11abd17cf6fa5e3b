"""Reads a KLARF file, and writes it with other class numbers."""

import codecs
import itertools
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sem_lightning.errors import UserError
from sem_lightning.io.atomic import write_atomically
from sem_lightning.io.result_files import check_targets
from sem_lightning.klarf import flat, nested
from sem_lightning.klarf.document import Defect, Parsed, Wafer
from sem_lightning.klarf.flat import FlatParser
from sem_lightning.klarf.limits import LARGEST_CLASS, MAX_BYTES
from sem_lightning.klarf.nested import NestedParser
from sem_lightning.klarf.tokens import KlarfError, Scanner

CLASS_COLUMN = "CLASSNUMBER"
_BEHIND_CELL = b" \t\r\n\v\f;"  # what may follow a cell; in 1.8 also braces and commas
_HEAD = 4096  # bytes in which a file says that it is KLARF


@dataclass(frozen=True, eq=False)
class KlarfFile:
    """A KLARF file with its bytes.

    Attributes:
        path: The file; ``None`` for bytes.
        data: Its content.
        version: ``1.1``, ``1.2`` or ``1.8``.
        wafers: Its wafers, in the order of the file.
        defects: Its defects, in the order of the file.
        lookup: Names of the classes by number, of ``ClassLookup``.

    Example:
        >>> lot = read_klarf("lot.klarf")
        >>> lot.with_classes({defect.index: 7 for defect in lot.defects}).write("lot.classified.klarf")
    """

    path: Path | None
    data: bytes
    version: str
    wafers: tuple[Wafer, ...]
    defects: tuple[Defect, ...]
    lookup: Mapping[int, str]

    def with_classes(self, numbers: Mapping[int, int], column: str = CLASS_COLUMN) -> "KlarfFile":
        """The file with other numbers in a column of classes; every other byte stays.

        Args:
            numbers: New class numbers, 0 to 2^31 - 1, by the index of the defect; others keep theirs.
            column: The column, such as ``CLASSNUMBER``, ``ROUGHBINNUMBER`` or ``FINEBINNUMBER``.

        Raises:
            UserError: No such column of classes, no such defect, a number out of range, or a cell in quotes that
                another one touches, so that a number would become a part of it.
        """
        parts: list[bytes] = []
        done = 0
        checked: set[int] = set()
        for index, number in sorted(numbers.items()):
            if not 0 <= index < len(self.defects):
                raise UserError(f"found no defect with the index {index}, expected 0 to {len(self.defects) - 1}")
            if isinstance(number, bool) or not 0 <= number <= LARGEST_CLASS:
                raise UserError(f"found the class number {number}, expected 0 to {LARGEST_CLASS}")
            defect = self.defects[index]
            if id(defect.columns) not in checked:  # one list has many defects
                self._check_column(defect, column)
                checked.add(id(defect.columns))
            span = defect.span(column)
            assert span is not None  # a column of classes is in every row
            allowed = _BEHIND_CELL + (b"{}," if self.version == nested.VERSION else b"")
            if self.data[span[1] : span[1] + 1].strip(allowed):
                raise UserError(f"{self.path or 'KLARF'}: the class of defect {defect.id} touches what follows it")
            parts += [self.data[done : span[0]], str(int(number)).encode()]
            done = span[1]
        return parse_klarf(b"".join([*parts, self.data[done:]]), self.path)

    def check_column(self, column: str) -> None:
        """Check that every defect list has a column of classes.

        Raises:
            UserError: A list has no such column, or it holds no classes.
        """
        for defect in {id(defect.columns): defect for defect in self.defects}.values():
            self._check_column(defect, column)

    def _check_column(self, defect: Defect, column: str) -> None:
        known = defect.class_columns
        if column.upper() not in known:
            raise UserError(
                f"{self.path or 'KLARF'}: found no column {column} of classes, expected one of "
                f"{', '.join(known) or 'none, because the file has no column of classes'}"
            )

    def write(self, path: str | Path) -> None:
        """Write the file atomically.

        Raises:
            SettingError: It would overwrite the file that was read.
            OSError: The folder is not writable or full.
        """
        target = Path(path).expanduser()
        check_targets([("output", target)], [("images", [self.path] if self.path else [])])
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(target, lambda temporary: temporary.write_bytes(self.data))


def read_klarf(path: str | Path) -> KlarfFile:
    """Read a KLARF file of version 1.1, 1.2 or 1.8.

    Args:
        path: The file, at most 128 MiB.

    Raises:
        UserError: It cannot be read, or is no such file. The message names the file, the line and what was expected.

    Example:
        >>> lot = read_klarf("lot.klarf")
        >>> for defect in lot.defects:
        ...     print(defect.wafer.name, defect.id, defect.die, defect.images)
    """
    path = Path(path).expanduser()
    try:
        with path.open("rb") as stream:
            facts = os.fstat(stream.fileno())
            if not stat.S_ISREG(facts.st_mode):
                raise KlarfError(f"{path}: is no file")
            if facts.st_size > MAX_BYTES:
                raise KlarfError(
                    f"{path}: {facts.st_size / 2**20:.0f} MiB, more than {MAX_BYTES >> 20}; cut it into parts"
                )
            data = stream.read(MAX_BYTES)
    except (OSError, ValueError) as error:  # ValueError: the name is invalid
        raise KlarfError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    return parse_klarf(data, path)


def parse_klarf(data: bytes, path: Path | None = None) -> KlarfFile:
    """Read the content of a KLARF file; see `read_klarf`.

    Args:
        data: The content.
        path: Its file, for messages and for the names of images.

    Raises:
        UserError: It is no KLARF file.
    """
    try:
        found = _parse(data)
    except KlarfError as error:
        raise KlarfError(f"{path or 'KLARF'}: {error}") from None
    wafers = [Wafer.of(fields, found.millimetre, found.version != nested.VERSION) for fields in found.wafers]
    defects = (
        Defect(index, wafers[row.wafer], row.images, row, data, found.millimetre)
        for index, row in zip(itertools.count(), found.rows, strict=False)
    )
    return KlarfFile(path, data, found.version, tuple(wafers), tuple(defects), found.lookup)


def _parse(data: bytes) -> Parsed:
    start = len(codecs.BOM_UTF8) if data.startswith(codecs.BOM_UTF8) else 0
    scanner = Scanner(data[: start + _HEAD], start, nested=False)
    words: list[str] = []
    while len(words) < 4 and (token := scanner.take(on_line=bool(words))) is not None and token.raw != b";":
        words.append(token.text)
    kind = [word.lower() for word in words[:2]]
    if kind == ["record", "filerecord"]:
        if words[2:3] != [nested.VERSION]:
            raise KlarfError(_wrong_version(" ".join(words[2:3])))
        return NestedParser(data, start).parse()
    if kind[:1] != ["fileversion"]:
        raise KlarfError("is no KLARF file: it begins with neither FileVersion nor Record FileRecord")
    version = ".".join(words[1:])
    if version not in flat.VERSIONS:
        raise KlarfError(_wrong_version(version))
    return FlatParser(data, start, version).parse()


def _wrong_version(found: str) -> str:
    return f"is of version {found or 'unknown'}, expected {', '.join(flat.VERSIONS)} or {nested.VERSION}"


def is_klarf(path: Path) -> bool:
    """Whether a file says in its first bytes that it is KLARF, or has such a suffix."""
    if not path.is_file():
        return False
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD).removeprefix(codecs.BOM_UTF8).split(maxsplit=2)
    except OSError:
        return False
    words = [word.lower() for word in head[:2]]
    return path.suffix.lower() == ".klarf" or words[:1] == [b"fileversion"] or words == [b"record", b"filerecord"]
