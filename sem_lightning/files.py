"""Writing files so that a reader sees all of one or nothing."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
