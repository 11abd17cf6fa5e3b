"""Reads the rows of a ``DefectList`` of versions 1.1 and 1.2."""

from array import array

from sem_lightning.klarf.document import ABSENT, Columns, DefectImage, Row
from sem_lightning.klarf.limits import MAX_DEFECTS
from sem_lightning.klarf.tokens import KlarfError, Scanner, Token, as_whole

_OWN_COUNT, _PAIRS, _NUMBERS = "own count", "pairs", "numbers"  # forms of an image list
_STATEMENTS = {"tifffilename", "defectlist", "defectrecordspec", "summaryspec", "summarylist", "endoffile", "waferid"}


class FlatRows:
    """Reads rows until another statement begins.

    A row begins on a new line, may go on over further lines, and ends with a line or a semicolon. So a row with too few
    or too many values is noticed.

    Args:
        scanner: Stands behind ``DefectList``.
        columns: Of ``DefectRecordSpec``.
        wafer: Number of the wafer.
        tiff: Name of the file of images.
    """

    def __init__(self, scanner: Scanner, columns: Columns, wafer: int, tiff: str | None) -> None:
        self._scanner, self._columns, self._wafer, self._tiff = scanner, columns, wafer, tiff

    def read(self, rows: list[Row]) -> None:
        """Append the rows to a list.

        Raises:
            KlarfError: A row that does not fit the columns, or too many rows.
        """
        while (first := self._scanner.peek()) is not None and not first.is_keyword:
            if first.raw == b";":
                self._scanner.position = first.end
                continue
            if len(rows) == MAX_DEFECTS:
                raise KlarfError(f"more than {MAX_DEFECTS} defects; cut the file into parts")
            rows.append(self._read_row(first))

    def _read_row(self, first: Token) -> Row:
        starts = array("I")
        images: tuple[DefectImage, ...] = ()
        count: int | None = None
        names, image_lists = self._columns.names, self._columns.image_lists
        for number, name in enumerate(names):
            if number in image_lists:
                place, images = self._read_images(first, count, len(names) - 1 - number)
                starts.append(place)
                continue
            token = self._next(first)
            starts.append(token.start)
            if name == "IMAGECOUNT":
                count = max(as_whole(token.raw) or 0, 0)
        behind = self._scanner.peek(on_line=True)
        if behind is not None and behind.raw != b";":
            raise self._misfit(first, "more")
        if behind is not None:
            self._scanner.position = behind.end
        return Row(self._wafer, self._columns, starts, images)

    def _next(self, row: Token) -> Token:
        token = self._scanner.take()
        if token is None:
            line = self._scanner.line_number(row.start)
            raise KlarfError(f"line {line}: the file ends within a row; it may be truncated")
        if token.raw == b";" or token.word in _STATEMENTS:
            raise self._misfit(row, "fewer")
        return token

    def _misfit(self, row: Token, how: str) -> KlarfError:
        return KlarfError(
            f"line {self._scanner.line_number(row.start)}: a row with {how} values than DefectRecordSpec has columns, "
            f"{len(self._columns.names)}; correct the file"
        )

    def _read_images(self, row: Token, count: int | None, behind: int) -> tuple[int, tuple[DefectImage, ...]]:
        """Place and images of an image list; ``behind`` columns follow it."""
        if count == 0:
            return self._pass_empty_list(row, behind), ()
        form = _OWN_COUNT if count is None else self._find_form(count, behind)
        place, held = ABSENT, count or 0
        if form == _OWN_COUNT:
            token = self._next(row)
            place, held = token.start, as_whole(token.raw) or 0
        images = []
        for _ in range(held):
            number = self._next(row)
            kind = None if form == _NUMBERS else self._next(row).text
            place = min(place, number.start)
            page = as_whole(number.raw)
            if page is None or page < 0:
                raise self._scanner.error(number, "expected the number of an image; correct the file")
            images.append(DefectImage(self._tiff, page, kind))
        return place, tuple(images)

    def _pass_empty_list(self, row: Token, behind: int) -> int:
        """Pass the zero of an empty list, which may stand on this line or alone on the next one, or be left out."""
        left, following, _ = self._scanner.count_values(behind + 1)
        if left > behind:
            return self._next(row).start
        following_token = self._scanner.peek()
        alone = left == behind == 0 and following == 1 and following_token is not None and following_token.raw == b"0"
        return self._next(row).start if alone and len(self._columns.names) > 1 else ABSENT

    def _find_form(self, count: int, behind: int) -> str:
        """The form of an image list, by the number of values on the line on which it begins.

        The common form has its own count and then pairs of number and type. Some writers leave out that count, or the
        types as well.
        """
        left, following, last = self._scanner.count_values(2 * count + behind + 1)
        if left == 0:
            left, following = following, last
        if left == 2 * count + behind:
            return _PAIRS
        own_count_alone = left == 1 and following == 2
        return _NUMBERS if left == count + behind and not own_count_alone else _OWN_COUNT
