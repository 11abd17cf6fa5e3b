"""Takes a body of ``multipart/form-data`` apart, in memory and whole."""

from dataclasses import dataclass, field

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from sem_lightning.serving.refusal import RefusedError


@dataclass
class Part:
    """A part of the body.

    Attributes:
        key: Name of the form's field; empty if it has none.
        file_name: Name that the client gives the file; never used as a path.
        content: The bytes.
    """

    key: str = ""
    file_name: str = ""
    content: bytearray = field(default_factory=bytearray)


def split_parts(content_type: str, body: bytes, most: int) -> list[Part]:
    """The parts of a body.

    Args:
        content_type: With the boundary.
        body: The whole body.
        most: Number of parts that are allowed.

    Raises:
        RefusedError: No boundary, too many parts, or a body that is damaged or ends before its last boundary.
    """
    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        raise RefusedError(422, "multipart/form-data without a boundary")
    collector = _Collector(most)
    try:
        parser = MultipartParser(boundary, collector.callbacks())  # type: ignore[arg-type]
        parser.write(body)
        parser.finalize()
    except FormParserError:
        raise RefusedError(422, "the multipart body is damaged") from None
    if not collector.is_whole:
        raise RefusedError(422, "the multipart body ends before its last boundary")
    return collector.parts


class _Collector:
    def __init__(self, most: int) -> None:
        self.parts: list[Part] = []
        self.is_whole = False
        self._most = most
        self._name, self._value = bytearray(), bytearray()

    def callbacks(self) -> dict[str, object]:
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._name.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._end_header,
            "on_part_data": lambda data, start, end: self.parts[-1].content.extend(data[start:end]),
            "on_end": self._end,
        }

    def _begin(self) -> None:
        if len(self.parts) == self._most:
            raise RefusedError(422, f"more than {self._most} parts")
        self.parts.append(Part())

    def _end_header(self) -> None:
        if self._name.lower() == b"content-disposition":
            options = parse_options_header(bytes(self._value))[1]
            self.parts[-1].key = options.get(b"name", b"").decode("utf-8", "replace")
            self.parts[-1].file_name = options.get(b"filename", b"").decode("utf-8", "replace")
        self._name.clear()
        self._value.clear()

    def _end(self) -> None:
        self.is_whole = True
