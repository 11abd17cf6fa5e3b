"""Which files of a folder are whole: those that have not changed for some time."""

import hashlib
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sem_lightning.errors import SettingError
from sem_lightning.io.find import find_images

_AT_ONCE = 1 << 20  # bytes


@dataclass(frozen=True)
class FileState:
    """By what a change of a file is seen: its size in bytes, and its time in nanoseconds."""

    size: int
    mtime_ns: int

    @staticmethod
    def of(path: Path) -> "FileState | None":
        """The present state; ``None`` for what is no file, or no longer there."""
        try:
            found = path.stat()
        except (OSError, ValueError):
            return None
        return FileState(found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else None


@dataclass(frozen=True)
class Arrival:
    """A file that has come.

    Attributes:
        path: The file.
        state: As it was seen last.
        age: Seconds for which it has been seen in this state.
    """

    path: Path
    state: FileState
    age: float


class Arrivals:
    """Remembers since when each file is as it is.

    Args:
        folder: The folder, with its subfolders.
        leave_out: A folder to skip.
    """

    def __init__(self, folder: Path, leave_out: Path) -> None:
        self._folder = folder
        self._leave_out = leave_out
        self._since: dict[Path, tuple[FileState, float]] = {}

    def look(self, now: float) -> list[Arrival]:
        """The images in the folder, sorted by name; none while it is not there.

        Args:
            now: Time in seconds, of a clock that is never set.
        """
        try:
            paths = find_images(str(self._folder), self._leave_out) if self._folder.is_dir() else []
        except (SettingError, OSError):  # empty, or changed while it was read
            paths = []
        found = [arrival for path in paths if (arrival := self.see(path, now)) is not None]
        gone = self._since.keys() - set(paths)
        for path in gone:
            if FileState.of(path) is None:  # others are references elsewhere
                del self._since[path]
        return found

    def see(self, path: Path, now: float) -> Arrival | None:
        """One file; ``None`` if it is not there."""
        state = FileState.of(path)
        if state is None:
            return None
        known = self._since.get(path)
        if known is None or known[0] != state:
            known = self._since[path] = (state, now)
        return Arrival(path, state, now - known[1])

    def are_settled(self, paths: Iterable[Path], settle: float, now: float) -> bool:
        """Whether all of these files have not changed for ``settle`` seconds."""
        seen = [self.see(path, now) for path in paths]
        return all(each is not None and each.age >= settle for each in seen)


def digest(path: Path) -> str | None:
    """SHA-256 of a file; ``None`` if it cannot be read."""
    found = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while part := stream.read(_AT_ONCE):
                found.update(part)
    except OSError:
        return None
    return found.hexdigest()


def name_in(folder: Path, path: Path) -> str:
    """A file's name below a folder, with slashes."""
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else os.fspath(path)
