"""Atomic file writes, and locks between processes."""

import errno
import functools
import itertools
import json
import os
import platform
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from sem_lightning.errors import SettingError


def _name_host() -> str:
    """This machine and, in a container, its space of process numbers, which other containers do not share."""
    space = Path("/proc/self/ns/pid")
    number = space.stat().st_ino if space.exists() else 0
    return f"{re.sub(r'[^A-Za-z0-9]', '_', platform.node())[:40]}-{number}"


_HOST = _name_host()
_OURS = re.compile(rf"\..*\.{_HOST}-(\d+)-\d+\.tmp(\..*)?", re.DOTALL)
_numbers = itertools.count()
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)  # writing fails so, and the error names no file
# control characters, line separators, changes of the writing direction, bytes that are not UTF-8
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """A new name to write a file under, which then becomes ``path``, whole or not at all.

    The temporary file lies in the same folder and is renamed once it is on the disk. A link stays a link to the file
    that is replaced. What is no file is never replaced: a character device or a pipe receives the content at the end.
    Temporary files that killed processes of this machine have left in the folder are removed.

    Raises:
        OSError: The folder is not writable or full, or ``path`` cannot be written to; nothing is left behind.
    """
    mode = _mode(path)
    if mode is not None and not stat.S_ISREG(mode):
        with _sent_to(path, mode) as temporary:
            yield temporary
        return
    target = Path(os.path.realpath(path)) if path.is_symlink() else path
    _remove_stale(target.parent.absolute())
    # suffixes at the end, because some writers take the format from them
    name = f".{target.name[:40]}.{_HOST}-{os.getpid()}-{next(_numbers)}.tmp{target.suffix[:20]}"
    temporary = target.with_name(name)
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(target)
    except OSError as error:
        if error.filename == str(temporary) or (error.filename is None and error.errno in _DISK):
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """A new folder to write files into, which then becomes ``path``, whole or not at all; see `atomic_file`.

    Raises:
        OSError: ``path`` is something else than an empty folder, or cannot be written.
    """
    target = path.absolute()
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_stale(target.parent)
    temporary = target.with_name(f".{target.name[:40]}.{_HOST}-{os.getpid()}-{next(_numbers)}.tmp")
    try:
        temporary.mkdir()
        yield temporary
        for each in temporary.iterdir():
            with each.open("rb") as written:
                os.fsync(written.fileno())
        if target.is_dir() and os.name != "posix":  # which replaces an empty folder
            target.rmdir()
        temporary.rename(target)
    except OSError as error:
        if error.filename in (None, str(temporary)) or Path(error.filename).parent == temporary:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)


def _mode(path: Path) -> int | None:
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return None


@contextmanager
def _sent_to(path: Path, mode: int) -> Iterator[Path]:
    """A temporary file, whose content is sent to a character device or a pipe."""
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "is a folder, where a file is to be written", str(path))
    if not (stat.S_ISCHR(mode) or stat.S_ISFIFO(mode)):
        raise OSError(errno.EINVAL, "is neither a file nor a pipe, and is not written to", str(path))
    with tempfile.TemporaryDirectory() as folder:
        temporary = Path(folder) / path.name
        yield temporary
        try:
            with temporary.open("rb") as content, path.open("wb", buffering=0) as stream:
                shutil.copyfileobj(content, stream)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from error


@functools.cache  # once a process, because a folder can hold many files
def _remove_stale(folder: Path) -> None:
    """Remove the temporary files of processes of this machine that have ended."""
    if os.name != "posix" or not folder.is_dir():  # elsewhere os.kill would end the process
        return
    with suppress(OSError):  # a folder that cannot be listed can be written to all the same
        for entry in os.scandir(folder):
            found = _OURS.fullmatch(entry.name)
            if found and not _is_running(int(found[1])):
                with suppress(OSError):  # a file of another user
                    _remove(Path(entry.path))


def _remove(path: Path) -> None:
    """Remove a temporary file or folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # of another user
        return True
    return True


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a temporary file, which becomes ``path``; see `atomic_file`."""
    with atomic_file(path) as temporary:
        write(temporary)


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
    """A name on one line, with everything escaped that a terminal obeys or cannot show."""
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), str(name))


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
