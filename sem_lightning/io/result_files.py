"""Text files of results, written line by line, that appear together when all is written."""

import contextlib
import json
import math
import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from sem_lightning.errors import SettingError
from sem_lightning.io.atomic import atomic_file
from sem_lightning.io.find import is_inside

Targets = Sequence[tuple[str, Path | None]]  # the setting that names each file; None for one that is not written
Inputs = Sequence[tuple[str, Iterable[Path]]]  # a setting, and the files that are read because of it


def check_targets(targets: Targets, inputs: Inputs = ()) -> None:
    """Check that files can be written beside each other, and over none that is read.

    Args:
        targets: What is written.
        inputs: What is read.

    Raises:
        SettingError: Two of the files have the same name, a folder has that name, or one of them is read.
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
    check_spared(targets, inputs)


def check_spared(targets: Targets, inputs: Inputs) -> None:
    """Check that nothing is written over a file that is read, by whatever name or link.

    Args:
        targets: Files that would be written, and folders that would be emptied.
        inputs: What is read; names that do not exist do not count.

    Raises:
        SettingError: One of the targets is read, or holds what is read.
    """
    there = [(key, path, path.stat()) for key, path in targets if path is not None and path.exists()]
    there = [each for each in there if stat.S_ISREG(each[2].st_mode) or stat.S_ISDIR(each[2].st_mode)]
    if not there:
        return
    for source, files in inputs:
        for file in files:
            for key, path, facts in there:
                if _is_lost(file, path, facts):
                    raise SettingError(key, f"would overwrite {file}, which {source}=... reads; name another")


def _is_lost(file: Path, target: Path, facts: os.stat_result) -> bool:
    """Whether a file is the target, or lies in it."""
    if stat.S_ISDIR(facts.st_mode):
        return os.path.lexists(file) and is_inside(file, Path(os.path.realpath(target)))
    try:
        return os.path.samestat(file.stat(), facts)
    except (OSError, ValueError):  # it is not there
        return False


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

    def in_words(self, table: str, names: Iterable[str], how: str = "", things: str = "images") -> str:
        """How many images of a table were decided how, and why those that have a reason.

        Args:
            table: The table's name, as it is shown.
            names: The decisions to list, also those that no image has.
            how: What decided, in brackets.
            things: What is counted.
        """
        said = ", ".join(f"{name} {self.decisions[name]}" for name in names)
        why = ", ".join(f"{reason} {count}" for reason, count in self.reasons.most_common())
        images = f"{self.decisions.total()} {things} in {table}{f' ({how})' if how else ''}"
        return f"{images}: {said} ({why})" if why else f"{images}: {said}"
