"""Publishes answers to files, each exactly once, whenever the process is killed."""

import io
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sem_lightning.errors import UserError
from sem_lightning.io.atomic import write_json
from sem_lightning.io.csv_rows import write_row
from sem_lightning.io.result_files import without_nan
from sem_lightning.serving.arrivals import FileState

TABLE, DETAILS = "answers.csv", "json"
STATE = ".sem-watch"
COLUMNS = ("path", "decision", "reason", "label", "places", "reference", "details")


@dataclass(frozen=True)
class Answered:
    """A file that has its answer.

    Attributes:
        size: Its size, bytes.
        mtime_ns: Its time.
        sha256: Of its content.
        version: 1, and one more for each time that a file of this name came with another content.
    """

    size: int
    mtime_ns: int
    sha256: str
    version: int

    @property
    def state(self) -> FileState:
        return FileState(self.size, self.mtime_ns)


@dataclass(frozen=True)
class Publication:
    """An answer to be published.

    Attributes:
        path: The file's name below the watched folder.
        answered: Its state.
        row: Cells of `COLUMNS` between ``path`` and ``details``; ``None`` if only the file's time has changed.
        details: For its JSON file.
    """

    path: str
    answered: Answered
    row: tuple[object, ...] | None
    details: dict[str, Any]


class Journal:
    """The table, the JSON files, and the list of what is in them.

    Before anything is appended, it is written down whole together with the lengths of the files before. After a crash
    the files are cut to these lengths, and everything is appended again.

    Args:
        folder: Where answers are written.

    Raises:
        UserError: The list is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._table = folder / TABLE
        self._list = folder / STATE / "answered.jsonl"
        self._pending = folder / STATE / "pending.json"
        self._list.parent.mkdir(parents=True, exist_ok=True)
        self.recover()
        self._answered = self._read_list()

    def answered(self, path: str) -> Answered | None:
        """The last answered content of a file; ``None`` if there was none."""
        return self._answered.get(path)

    def publish(self, publications: Sequence[Publication]) -> None:
        """Publish answers together."""
        lines = "".join(f"{json.dumps({'path': each.path} | asdict(each.answered))}\n" for each in publications)
        answers = [each for each in publications if each.row is not None]
        details = {self._details_of(each): without_nan(each.details) for each in answers}
        rows = [(Path(each.path), *(each.row or ()), name) for each, name in zip(answers, details, strict=True)]
        pending = {
            "table": {"length": _length(self._table), "text": _as_csv(rows)},
            "details": details,
            "list": {"length": _length(self._list), "text": lines},
        }
        write_json(self._pending, pending)
        _sync_folder(self._pending.parent)
        self._finish(pending)
        self._answered |= {each.path: each.answered for each in publications}

    def recover(self) -> None:
        """Finish what a killed process has begun to publish.

        Raises:
            UserError: The list is shorter than it was.
        """
        if not self._pending.exists():
            return
        pending = json.loads(self._pending.read_bytes())
        length, text = pending["list"]["length"], pending["list"]["text"]
        found = _length(self._list)
        if found < length:
            raise UserError(f"{self._list}: {found} bytes, expected {length} or more; restore it, or name a new output")
        if found < length + len(text):
            self._finish(pending)

    def _finish(self, pending: dict[str, Any]) -> None:
        rows = pending["table"]["text"]
        if rows:
            length = pending["table"]["length"]
            start = length if _length(self._table) >= length else 0  # it was taken away
            _append(self._table, start, rows if start else _as_csv([COLUMNS]) + rows)
        for name, content in pending["details"].items():
            target = self._folder / name
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                write_json(target, content)
        _append(self._list, pending["list"]["length"], pending["list"]["text"])  # last: it says that all is done

    def _details_of(self, publication: Publication) -> str:
        version = publication.answered.version
        return f"{DETAILS}/{publication.path}{f'.{version}' if version > 1 else ''}.json"

    def _read_list(self) -> dict[str, Answered]:
        found: dict[str, Answered] = {}
        if not self._list.exists():
            return found
        for number, line in enumerate(self._list.read_text("ascii").splitlines(), start=1):
            try:
                content = json.loads(line)
                path = content.pop("path")
                found[path] = Answered(**content)
            except (ValueError, TypeError, KeyError):
                raise UserError(f"{self._list}, line {number}: damaged; restore it, or name a new output") from None
        return found


def _as_csv(rows: Sequence[Sequence[object]]) -> str:
    stream = io.StringIO(newline="")
    for row in rows:
        write_row(stream, row)
    return stream.getvalue()


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _append(path: Path, start: int, text: str) -> None:
    """Write text at a place, so that it is the end of the file and on the disk."""
    is_new = not path.exists()
    with path.open("wb" if is_new else "r+b") as stream:
        stream.truncate(start)
        stream.seek(start)
        stream.write(text.encode("utf-8", "surrogateescape"))
        stream.flush()
        os.fsync(stream.fileno())
    if is_new:
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk."""
    if os.name != "posix":  # other systems open no folders
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
