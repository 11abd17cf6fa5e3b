"""What a reviewer says about an image."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sem_lightning.decision.rule import UNSURE_NAME
from sem_lightning.errors import SettingError
from sem_lightning.io.atomic import printable
from sem_lightning.io.limits import MAX_SIDE
from sem_lightning.synthesis.defects.mix import GOOD

MOST_BOXES = 200
_LONGEST_NAME = 64


@dataclass(frozen=True)
class Box:
    """A part of an image that a reviewer has marked, in the file's pixels.

    Attributes:
        x: Left edge.
        y: Upper edge.
        width: At least 1.
        height: At least 1.
    """

    x: int
    y: int
    width: int
    height: int

    def __post_init__(self) -> None:
        numbers = (self.x, self.y, self.width, self.height)
        whole = all(isinstance(each, int) and 0 <= each < MAX_SIDE for each in numbers)
        if not whole or not (self.width and self.height):
            raise SettingError("boxes", f"found {list(numbers)}, expected whole pixels x, y, width and height")


@dataclass(frozen=True)
class Answer:
    """An answer, before it is stored.

    Attributes:
        image: Name of the image below the reviewed folder, with slashes.
        sha256: Of the file that was shown.
        reviewer: Who answers, see `check_reviewer`.
        label: A class, or ``unsure``.
        boxes: Where the defect is; none for other labels.
        model: The classifier whose answer was shown.
        said: What it said: label, decision, probabilities and scores.

    Raises:
        SettingError: Boxes of an image that is good or unsure, or too many.
    """

    image: str
    sha256: str
    reviewer: str
    label: str
    boxes: tuple[Box, ...] = ()
    model: str = ""
    said: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.boxes and self.label in (GOOD, UNSURE_NAME):
            raise SettingError("boxes", f"found {len(self.boxes)} of an image that is {self.label}, expected none")
        if len(self.boxes) > MOST_BOXES:
            raise SettingError("boxes", f"found {len(self.boxes)}, expected at most {MOST_BOXES} in an image")


@dataclass(frozen=True)
class StoredAnswer:
    """An answer of the store.

    Attributes:
        number: Its row; later ones are larger.
        at: When, UTC, ISO 8601.
        answer: What was said.
    """

    number: int
    at: str
    answer: Answer


def check_reviewer(name: object) -> str:
    """A reviewer's name without spaces around it.

    Raises:
        SettingError: No text of 1 to 64 printable characters.
    """
    stripped = name.strip() if isinstance(name, str) else ""
    if not 0 < len(stripped) <= _LONGEST_NAME or printable(stripped) != stripped:
        raise SettingError("reviewer", f"found {str(name)[:80]!r}, expected 1 to {_LONGEST_NAME} printable characters")
    return stripped
