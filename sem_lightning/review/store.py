"""The label store: one row for each answer, never changed, on the disk before the next image is shown."""

import json
from collections.abc import Sequence
from dataclasses import astuple
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sem_lightning.errors import SettingError
from sem_lightning.review.answers import Answer, Box, StoredAnswer
from sem_lightning.review.database import Database

STORE = "labels.sqlite"  # in the output folder
_NUMBER = 0x53454D4C  # "SEML"
_LONGEST_TOKEN = 100
_SCHEMA = """
CREATE TABLE answers (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  token TEXT NOT NULL,
  part INTEGER NOT NULL,
  at TEXT NOT NULL,
  reviewer TEXT NOT NULL,
  image TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  label TEXT NOT NULL,
  boxes TEXT NOT NULL,
  model TEXT NOT NULL,
  said TEXT NOT NULL,
  withdraws INTEGER UNIQUE REFERENCES answers (number),
  UNIQUE (token, part)
) STRICT;
CREATE INDEX answers_of ON answers (reviewer, number);
CREATE TRIGGER never_changed BEFORE UPDATE ON answers BEGIN SELECT RAISE(ABORT, 'answers are never changed'); END;
CREATE TRIGGER never_deleted BEFORE DELETE ON answers BEGIN SELECT RAISE(ABORT, 'answers are never deleted'); END;
"""
_COLUMNS = "number, at, image, sha256, reviewer, label, boxes, model, said"
_VALID = "withdraws IS NULL AND number NOT IN (SELECT withdraws FROM answers WHERE withdraws IS NOT NULL)"
_INSERT = "INSERT INTO answers (token, part, at, image, sha256, reviewer, label, boxes, model, said, withdraws)"


class LabelStore:
    """The answers of all reviewers to images of one folder.

    A row is one answer, or withdraws one. The answer that counts is, for each reviewer, image and content, the last one
    that is not withdrawn: reviewers never overwrite each other, and a file whose content changes has no answer.

    Args:
        path: The SQLite file; it is made if it is not there.

    Raises:
        DatabaseError: See `Database`; also from every method. Then nothing of the call was written.

    Example:
        >>> store = LabelStore(Path("labels.sqlite"))
        >>> store.add([Answer("a.png", sha256, "anna", "gap")], token="1")
        >>> store.valid_answers()
    """

    def __init__(self, path: Path) -> None:
        self._database = Database(path, _NUMBER, _SCHEMA)

    def add(self, answers: Sequence[Answer], token: str) -> list[StoredAnswer]:
        """Store answers together; they are on the disk when this returns.

        Args:
            answers: Of one reviewer.
            token: Identifies the call: repeated with the same token, it changes nothing.

        Returns:
            The answers of that token, as stored.

        Raises:
            SettingError: The token was used for other answers; nothing is stored.
        """
        _check_token(token)
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        query = f"SELECT {_COLUMNS} FROM answers WHERE token = ? AND withdraws IS NULL ORDER BY part"
        with self._database.transaction() as connection:
            if not (rows := connection.execute(query, (token,)).fetchall()):
                connection.executemany(
                    f"{_INSERT} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL) ON CONFLICT (token, part) DO NOTHING",
                    [(token, part, at, *_as_row(answer)) for part, answer in enumerate(answers)],
                )
                rows = connection.execute(query, (token,)).fetchall()
            stored = [_from_row(row) for row in rows]
            if [_what_was_said(each.answer) for each in stored] != [_what_was_said(answer) for answer in answers]:
                raise SettingError("token", f"{token!r} belongs to other answers; take a new one for each call")
            return stored

    def withdraw_last(self, reviewer: str, token: str) -> list[StoredAnswer]:
        """Withdraw a reviewer's last answer that counts, with those that were stored together with it.

        Args:
            reviewer: Whose.
            token: As in `add`.

        Returns:
            What was withdrawn; empty if there was nothing left.
        """
        _check_token(token)
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        with self._database.transaction() as connection:
            done = f"SELECT {_COLUMNS} FROM answers WHERE number IN (SELECT withdraws FROM answers WHERE token = ?)"
            if repeated := connection.execute(done, (token,)).fetchall():
                return [_from_row(row) for row in repeated]
            last = f"SELECT token FROM answers WHERE reviewer = ? AND {_VALID} ORDER BY number DESC LIMIT 1"
            query = f"SELECT {_COLUMNS} FROM answers WHERE token = ({last}) AND {_VALID} ORDER BY part"
            found = [_from_row(row) for row in connection.execute(query, (reviewer,)).fetchall()]
            connection.executemany(
                f"{_INSERT} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [(token, part, at, *_as_row(each.answer), each.number) for part, each in enumerate(found)],
            )
        return found

    def valid_answers(self) -> list[StoredAnswer]:
        """The answers that count, the oldest first."""
        last = f"SELECT max(number) FROM answers WHERE {_VALID} GROUP BY reviewer, image, sha256"
        query = f"SELECT {_COLUMNS} FROM answers WHERE number IN ({last}) ORDER BY number"
        return [_from_row(row) for row in self._database.rows(query)]

    def answer_of(self, reviewer: str, image: str, sha256: str) -> StoredAnswer | None:
        """A reviewer's answer to an image that counts."""
        query = f"SELECT {_COLUMNS} FROM answers WHERE reviewer = ? AND image = ? AND sha256 = ? AND {_VALID}"
        rows = self._database.rows(f"{query} ORDER BY number DESC LIMIT 1", (reviewer, image, sha256))
        return _from_row(rows[0]) if rows else None

    def count_rows(self) -> int:
        """All rows, also those that were withdrawn or withdraw."""
        (count,) = self._database.rows("SELECT count(*) FROM answers")[0]
        assert isinstance(count, int)
        return count

    def close(self) -> None:
        """Close the file."""
        self._database.close()


def _check_token(token: str) -> None:
    if not (0 < len(token) <= _LONGEST_TOKEN and token.isascii() and token.isprintable()):
        found = f"{token[:_LONGEST_TOKEN]!r} of {len(token)} characters"
        raise SettingError("token", f"found {found}, expected 1 to {_LONGEST_TOKEN} of printable ASCII")


def _what_was_said(answer: Answer) -> tuple[object, ...]:
    return answer.image, answer.sha256, answer.reviewer, answer.label, answer.boxes


def _as_row(answer: Answer) -> tuple[str, ...]:
    boxes = json.dumps([astuple(box) for box in answer.boxes])
    said = json.dumps(dict(answer.said), allow_nan=False)
    return answer.image, answer.sha256, answer.reviewer, answer.label, boxes, answer.model, said


def _from_row(row: tuple[Any, ...]) -> StoredAnswer:
    number, at, image, sha256, reviewer, label, boxes, model, said = row
    found = tuple(Box(*numbers) for numbers in json.loads(boxes))
    return StoredAnswer(number, at, Answer(image, sha256, reviewer, label, found, model, json.loads(said)))
