"""Atomic file writes, and locks between processes."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from sem_lightning.errors import SettingError


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a temporary file next to ``path``, then rename it.

    Raises:
        OSError: The folder is not writable or full; the temporary file is removed.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp{path.suffix}")
    try:
        write(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Write an indented JSON file atomically."""
    text = json.dumps(content, indent=2) + "\n"
    write_atomically(path, lambda temporary: temporary.write_text(text))


def check_writable(key: str, folder: Path) -> None:
    """Check early that files can be written to a folder, or that it can be made.

    Raises:
        SettingError: For ``key``.
    """
    there = next(each for each in (folder, *folder.parents) if each.exists())
    if not there.is_dir():
        raise SettingError(key, f"{there} is a file, where a folder is needed")
    if not os.access(there, os.W_OK):
        raise SettingError(key, f"{there} cannot be written to")


def printable(name: Path | str) -> str:
    """A file name on one line, with bytes that are not UTF-8 escaped for terminals and text files."""
    text = str(name).replace("\r", "\\r").replace("\n", "\\n")
    return text.encode("utf-8", "backslashreplace").decode()


@contextmanager
def exclusive(lock: Path, on_wait: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Admit one process at a time. The lock ends with its process, also if that is killed.

    Args:
        lock: The lock file; it is not removed.
        on_wait: Called once if another process holds the lock. It may raise instead of waiting.
    """
    held = FileLock(lock)
    try:
        held.acquire(timeout=0)
    except Timeout:
        on_wait()
        held.acquire()
    try:
        yield
    finally:
        held.release()
