"""One image of a labelled folder."""

from dataclasses import dataclass
from pathlib import Path

from sem_lightning.io.atomic import printable
from sem_lightning.io.images import Span

_NAMED_AT_MOST = 10


@dataclass(frozen=True)
class LabelledFile:
    """One image of a labelled folder.

    Attributes:
        path: Its file, or the tar file that holds it.
        label: Class.
        split: Split, if ``labels.csv`` or the folder says it.
        span: Start and number of its bytes in a tar file.
        mask_span: The same for its mask.
        mask: File of its mask.
        name: Name in ``labels.csv``.
        aspect: Height over width without the data bar, once it has been read.
    """

    path: Path
    label: str
    split: str | None = None
    span: Span | None = None
    mask_span: Span | None = None
    mask: Path | None = None
    name: str | None = None
    aspect: float = 1.0


def name_some(items: list[str]) -> str:
    """The first items on one line, and how many more there are."""
    rest = len(items) - _NAMED_AT_MOST
    return printable("; ".join(items[:_NAMED_AT_MOST])) + (f"; and {rest} more" if rest > 0 else "")
