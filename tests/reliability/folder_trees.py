"""Makes labelled folders for the kinds, and compares how they are read with what is right."""

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from sem_lightning.data.labelled_folder import read_folder
from sem_lightning.errors import UserError

Make = Callable[[Path], object]
Check = Callable[[Path], str | None]

_PICTURE = np.tile(np.linspace(0, 255, 32).astype(np.uint8), (32, 1))
_SQUARE = np.zeros((32, 32), np.uint8)
_SQUARE[8:16, 8:16] = 255
TWO = {"good": 2, "gap": 2}
PAIR = ("good/0.png", "good/1.png", "gap/0.png", "gap/1.png")


@dataclass(frozen=True)
class Right:
    """What is right for a labelled folder.

    Attributes:
        labels: Images of each class.
        splits: Images of each split, where the folder says them.
        masks: Number of images with a mask.
        classes: Class names, in order.
        said: Words of the warnings, or of the error if there are no ``labels``; without any, there is no warning.
    """

    labels: dict[str, int] = field(default_factory=dict)
    splits: dict[str, int] = field(default_factory=dict)
    masks: int = 0
    classes: tuple[str, ...] = ()
    said: tuple[str, ...] = ()


def save(root: Path, *names: str, picture: "np.ndarray[Any, Any]" = _PICTURE) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(cv2.imencode(Path(name).suffix.lower(), picture)[1].tobytes())


def images(*names: str) -> Make:
    return lambda root: save(root, *names)


def with_masks(images: tuple[str, ...], *masks: str) -> Make:
    def make(root: Path) -> None:
        save(root, *images)
        save(root, *masks, picture=_SQUARE)

    return make


def with_files(images: tuple[str, ...], *names: str, content: bytes = b"content") -> Make:
    def make(root: Path) -> None:
        save(root, *images)
        for name in names:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content)

    return make


def listed(text: str | bytes, images: tuple[str, ...] = PAIR) -> Make:
    def make(root: Path) -> None:
        save(root, *images)
        (root / "labels.csv").write_bytes(text if isinstance(text, bytes) else text.encode())

    return make


def linked(*links: tuple[str, str], images: tuple[str, ...] = PAIR) -> Make:
    """Images, and links from a name to a target."""

    def make(root: Path) -> None:
        save(root, *images)
        for name, target in links:
            (root / name).symlink_to(target)

    return make


def in_splits(*splits: str, classes: tuple[str, ...] = ("good", "gap")) -> Make:
    return images(*(f"{split}/{label}/{i}.png" for split in splits for label in classes for i in range(2)))


def piped(name: str) -> Make:
    """A pipe."""
    return lambda root: os.mkfifo(root / name)


def all_of(*makes: Make) -> Make:
    """One after the other."""

    def make(root: Path) -> None:
        for each in makes:
            each(root)

    return make


BOTH = Right(TWO, classes=("good", "gap"))
HALVES = {"train": 2, "val": 1, "test": 1}


@contextmanager
def warnings_of() -> Iterator[list[str]]:
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("sem_lightning")
    logger.addHandler(handler)
    propagate, logger.propagate = logger.propagate, False
    try:
        yield lines
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate


def judge(root: Path, right: Right) -> str | None:
    """Read a labelled folder and compare it with what is right."""
    with warnings_of() as said:
        try:
            files, classes = read_folder(root, None, "error")
        except UserError as error:
            if right.labels or "\n" in str(error):
                return f"error: {error}"
            return next((f"{error!s} does not say {word}" for word in right.said if word not in str(error)), None)
    if not right.labels:
        return f"read {Counter(file.label for file in files)}, right is an error"
    found = Right(
        dict(Counter(file.label for file in files)),
        dict(Counter(file.split for file in files if file.split)),
        sum(file.mask is not None for file in files),
        tuple(classes) if right.classes else (),
        right.said,
    )
    if found != right:
        return f"read {found}, right is {right}"
    text = " | ".join(said)
    if said and not right.said:
        return f"said {text}"
    return next((f"said {text!r}, not {word!r}" for word in right.said if word not in text), None)


def made(make: Make, right: Right) -> Callable[[Path], str | None]:
    def check(folder: Path) -> str | None:
        make(folder)
        root = folder / "set" if (folder / "set").is_dir() else folder
        return judge(root, right)

    return check
