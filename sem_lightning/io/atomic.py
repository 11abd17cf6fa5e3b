"""Writing files so that a reader sees a whole file or none, and locks between processes."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from sem_lightning.errors import SettingError


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a temporary file beside ``path``, then move it there.

    Raises:
        OSError: The folder cannot be written to or is full; nothing is left behind.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp{path.suffix}")
    try:
        write(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """A readable JSON file, whole or not at all."""
    text = json.dumps(content, indent=2) + "\n"
    write_atomically(path, lambda temporary: temporary.write_text(text))


def check_writable(key: str, folder: Path) -> None:
    """Refuse a folder, before any work, that files could not be written to, or that could not be made.

    Raises:
        SettingError: For ``key``.
    """
    there = next(each for each in (folder, *folder.parents) if each.exists())
    if not there.is_dir():
        raise SettingError(key, f"{there} is a file, where a folder is needed")
    if not os.access(there, os.W_OK):
        raise SettingError(key, f"{there} cannot be written to")


def printable(name: Path | str) -> str:
    """A file's name on one line, with bytes that are not UTF-8 escaped, which no terminal or text file takes."""
    text = str(name).replace("\r", "\\r").replace("\n", "\\n")
    return text.encode("utf-8", "backslashreplace").decode()


@contextmanager
def exclusive(lock: Path, on_wait: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Let one process at a time in; the lock ends with the process that holds it, however that process ends.

    Args:
        lock: The lock file, which stays.
        on_wait: Called once if another process holds the lock; if it raises, there is no waiting.
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
