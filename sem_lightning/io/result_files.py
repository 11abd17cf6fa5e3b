"""Text files of results, written line by line, that appear together when all is written."""

import contextlib
import json
import math
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from sem_lightning.errors import SettingError
from sem_lightning.io.atomic import atomic_file


def check_targets(targets: Sequence[tuple[str, Path | None]]) -> None:
    """Check that files can be written beside each other.

    Args:
        targets: The setting that names each file, and the file; ``None`` for one that is not written.

    Raises:
        SettingError: Two of the files have the same name, or a folder has that name.
    """
    seen = set()
    for key, path in targets:
        if path is None:
            continue
        place = os.path.realpath(path)
        if place in seen:
            raise SettingError(key, f"would be written to the same file as another list, {path}; name another")
        seen.add(place)
        if path.is_dir():
            raise SettingError(key, f"{path} is a folder; name a file")


@contextlib.contextmanager
def open_together(paths: Sequence[Path | None]) -> Iterator[list[TextIO | None]]:
    """Open temporary files for text. They get their final names at the end, unless an error occurs.

    Args:
        paths: The files; ``None`` for one that is not written, which is not opened.

    Raises:
        OSError: A folder is not writable or full.
    """
    with contextlib.ExitStack() as stack:
        for path in paths:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
        temporary = [None if path is None else stack.enter_context(atomic_file(path)) for path in paths]
        # Closed before any file gets its name. Names of files may hold bytes that are not UTF-8, written unchanged.
        yield [None if name is None else stack.enter_context(_open(name)) for name in temporary]


def _open(path: Path) -> TextIO:
    return path.open("w", newline="", encoding="utf-8", errors="surrogateescape")


def write_json_line(stream: TextIO, content: dict[str, Any]) -> None:
    """Write one line of JSON, with ``null`` in place of numbers that JSON does not have: NaN and infinite ones."""
    stream.write(json.dumps(without_nan(content), allow_nan=False) + "\n")


def without_nan(content: Any) -> Any:
    """Plain values with ``None`` in place of numbers that JSON does not have."""
    if isinstance(content, dict):
        return {name: without_nan(value) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return [without_nan(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


class DecisionCount:
    """Counts decisions, and the reasons of those that have one."""

    def __init__(self) -> None:
        self.decisions: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()

    def add(self, decision: str, reason: str | None) -> None:
        self.decisions[decision] += 1
        self.reasons.update([reason] if reason else [])

    def in_words(self, table: str, names: Iterable[str], how: str = "") -> str:
        """How many images of a table were decided how, and why those that have a reason.

        Args:
            table: The table's name, as it is shown.
            names: The decisions to list, also those that no image has.
            how: What decided, in brackets.
        """
        said = ", ".join(f"{name} {self.decisions[name]}" for name in names)
        why = ", ".join(f"{reason} {count}" for reason, count in self.reasons.most_common())
        images = f"{self.decisions.total()} images in {table}{f' ({how})' if how else ''}"
        return f"{images}: {said} ({why})" if why else f"{images}: {said}"
