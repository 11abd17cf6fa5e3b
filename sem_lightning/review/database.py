"""SQLite files whose commits are on the disk, with errors in one line."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sem_lightning.errors import UserError

_PATIENCE = 2.0  # seconds to wait for another program's transaction
_REASONS = {
    sqlite3.SQLITE_BUSY: "another program holds it; close that program",
    sqlite3.SQLITE_LOCKED: "another program holds it; close that program",
    sqlite3.SQLITE_FULL: "the disk is full; make room",
    sqlite3.SQLITE_IOERR: "the disk cannot be written to; check that it is there and has room",
    sqlite3.SQLITE_READONLY: "it may not be written to; change its permissions",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; check that its folder is there and may be written to",
    sqlite3.SQLITE_PERM: "it may not be written to; change its permissions",
    sqlite3.SQLITE_NOTADB: "it is no SQLite file; name another folder",
    sqlite3.SQLITE_CORRUPT: "it is damaged; restore it from a copy",
}


class DatabaseError(UserError):
    """A database that cannot be read or written now. What was committed before is unharmed."""


class Database:
    """An SQLite file in WAL mode (https://sqlite.org/wal.html): a commit returns when its rows are on the disk.

    Threads share one connection, one at a time.

    Args:
        path: The file, on a local disk; it is made if it is not there.
        number: The application's number in the file's header, which tells it from other programs' files.
        schema: SQL that makes the tables of a new file.

    Raises:
        DatabaseError: The file cannot be used, or belongs to another program.
    """

    def __init__(self, path: Path, number: int, schema: str) -> None:
        self.path = path
        self._lock = threading.Lock()
        with self.explained():
            self._connection = sqlite3.connect(path, _PATIENCE, isolation_level=None, check_same_thread=False)
        try:
            with self.explained():
                self._prepare(number, schema)
        except UserError:
            self._connection.close()
            raise

    def _prepare(self, number: int, schema: str) -> None:
        run = self._connection.execute
        run("PRAGMA trusted_schema = OFF")
        found = run("PRAGMA application_id").fetchone()[0]
        tables = run("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        if found != number and (found or tables):
            raise DatabaseError(f"{self.path}: belongs to another program; name another folder")
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = FULL")
        if not tables:
            self._connection.executescript(f"BEGIN IMMEDIATE; PRAGMA application_id = {number}; {schema} COMMIT;")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Rows that are written together, or not at all.

        Raises:
            DatabaseError: They could not be written; nothing was.
        """
        with self._lock, self.explained():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def rows(self, query: str, values: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
        """The rows of a query.

        Raises:
            DatabaseError: They could not be read.
        """
        with self._lock, self.explained():
            return self._connection.execute(query, values).fetchall()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Errors of SQLite in one line that says what to do."""
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # without the extended part
            raise DatabaseError(f"{self.path}: {_REASONS.get(code, str(error))}") from None
