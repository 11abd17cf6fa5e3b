"""Splits the bytes of a KLARF file into tokens, whose places in the file are kept."""

import re
from typing import NamedTuple

from sem_lightning.errors import UserError

# A string ends at its line's end: some writers forget the second quote. Braces and commas are part of words in 1.1 and
# 1.2, whose file names may hold them.
_FLAT = re.compile(rb'"[^"\r\n]*"?|;|\r\n?|\n|[^\s;"][^\s;]*')
_NESTED = re.compile(rb'"[^"\r\n]*"?|[;{},]|[^\s;{},"][^\s;{},]*')
_LINE_ENDS = (b"\n", b"\r\n", b"\r")  # some old writers end lines with \r alone
_NUMBER = re.compile(rb"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_KEYWORD = re.compile(rb"[A-Za-z_]\w*")
_NO_VALUE = (b"na", b"nan", b"n/a", b"null", b"none", b"inf", b"n")
_LONGEST_SHOWN = 40  # bytes


class KlarfError(UserError):
    """A file that cannot be read as KLARF. The message names the file, the line, and the reason."""


class Token(NamedTuple):
    """A word, a string with its quotes, or a mark.

    Attributes:
        raw: Its bytes.
        start: Place of its first byte in the file.
    """

    raw: bytes
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.raw)

    @property
    def text(self) -> str:
        """Without quotes. Bytes that are not UTF-8 are kept as surrogates."""
        return as_text(self.raw)

    @property
    def word(self) -> str:
        """For comparisons with keywords, whose capitals differ between writers."""
        return self.text.lower()

    @property
    def is_keyword(self) -> bool:
        """Whether a statement may begin with it; a row may not."""
        return bool(_KEYWORD.fullmatch(self.raw)) and self.raw.lower() not in _NO_VALUE


def as_text(raw: bytes) -> str:
    """The text of a token; see `Token.text`."""
    inner = raw[1:-1] if len(raw) > 1 and raw.endswith(b'"') else raw[1:]
    return (inner if raw.startswith(b'"') else raw).decode("utf-8", "surrogateescape")


def as_number(raw: bytes | str) -> float | None:
    """A decimal number; ``None`` for what is none, such as ``NA``, and for numbers beyond those of double precision."""
    text = raw.encode("utf-8", "surrogateescape") if isinstance(raw, str) else raw
    if not _NUMBER.fullmatch(text):
        return None
    number = float(text)
    return number if abs(number) < float("inf") else None


def as_whole(raw: bytes | str) -> int | None:
    """A whole number of at most 18 digits; some writers give it a decimal point."""
    number = as_number(raw)
    return int(number) if number is not None and abs(number) < 1e18 and number == int(number) else None


class Scanner:
    """Goes through the tokens of a file.

    Args:
        data: The file.
        start: Place of the first byte that counts.
        nested: Whether braces and commas are marks, as in 1.8.

    Attributes:
        position: Place behind the last token that was taken.
    """

    def __init__(self, data: bytes, start: int, nested: bool) -> None:
        self.data = data
        self.position = start
        self._pattern = _NESTED if nested else _FLAT

    def peek(self, on_line: bool = False) -> Token | None:
        """The next token, which stays the next one; ``None`` at the end.

        Args:
            on_line: Whether the end of the line counts as the end; for 1.1 and 1.2.
        """
        position = self.position
        while (found := self._pattern.search(self.data, position)) is not None:
            if found[0] not in _LINE_ENDS:
                return Token(found[0], found.start())
            if on_line:
                return None
            position = found.end()
        return None

    def take(self, on_line: bool = False) -> Token | None:
        """The next token; ``None`` at the end, see `peek`."""
        token = self.peek(on_line)
        if token is not None:
            self.position = token.end
        return token

    def expect(self, what: str) -> Token:
        """The next token.

        Raises:
            KlarfError: The file ends.
        """
        token = self.take()
        if token is None:
            raise KlarfError(f"the file ends where {what} is expected; it may be truncated")
        return token

    def expect_mark(self, mark: str) -> None:
        """Take a mark.

        Raises:
            KlarfError: Another token follows, or none.
        """
        token = self.expect(repr(mark))
        if token.raw != mark.encode():
            raise self.error(token, f"expected {mark!r}")

    def count_values(self, most: int) -> tuple[int, int, int]:
        """How many values precede the next semicolon on the rest of this line and on the two lines behind it.

        Empty lines behind it do not count. More than ``most`` values on a line are not counted, nor what follows them.
        """
        counts = [0]
        for found in self._pattern.finditer(self.data, self.position):
            if found[0] == b";":
                break
            if found[0] not in _LINE_ENDS:
                counts[-1] += 1
                if counts[-1] > most:
                    break
            elif len(counts) == 1 or counts[-1]:
                if len(counts) == 3:
                    break
                counts.append(0)
        here, following, last = (*counts, 0, 0)[:3]
        return here, following, last

    def line_number(self, place: int) -> int:
        """The number of a place's line, from 1."""
        returns, both = (self.data.count(mark, 0, place) for mark in (b"\r", b"\r\n"))
        return self.data.count(b"\n", 0, place) + returns - both + 1

    def error(self, token: Token, expected: str) -> KlarfError:
        """The error for a token that is not the one expected."""
        shown = token.raw[:_LONGEST_SHOWN].decode("utf-8", "replace")
        return KlarfError(f"line {self.line_number(token.start)}: found {shown!r}, {expected}")
