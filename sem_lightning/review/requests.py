"""Reads what the page sends. Nothing of it is trusted."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sem_lightning.errors import SettingError
from sem_lightning.review.answers import Box, check_reviewer
from sem_lightning.serving.refusal import RefusedError

MOST_IMAGES = 200  # of a request
MOST_LEFT_OUT = 2000
_EXPECTED = 'expected {"reviewer": "anna", "token": "...", "answers": [{"id": 3, "label": "gap", "boxes": []}]} as JSON'


@dataclass(frozen=True)
class SentAnswers:
    """Answers of a reviewer: number of the image, label and boxes; empty to withdraw the last."""

    reviewer: str
    token: str
    answers: list[tuple[int, str, list[Box]]]


@dataclass(frozen=True)
class SentQuestion:
    """What a browser wants to show next; see `ReviewSession.next_images`."""

    reviewer: str
    browser: str
    strategy: str
    count: int
    leave_out: list[int]


def read_answers(content_type: str, body: bytes) -> SentAnswers:
    """The answers in a body.

    Raises:
        RefusedError: Another type of content, or another structure. A foreign page cannot send JSON without being asked
            for permission by its browser, which this service never gives.
    """
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise RefusedError(415, f"content-type: {_EXPECTED}")
    try:
        content: Any = json.loads(body)
        token, entries = content["token"], content.get("answers", [])
        if not isinstance(token, str) or not isinstance(entries, list) or len(entries) > MOST_IMAGES:
            raise TypeError
        answers = [(_whole(entry["id"]), str(entry["label"]), _boxes(entry.get("boxes", []))) for entry in entries]
        return SentAnswers(check_reviewer(content["reviewer"]), token, answers)
    except SettingError as error:
        raise RefusedError(422, str(error)) from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise RefusedError(422, _EXPECTED) from None


def read_question(query: Mapping[str, str]) -> SentQuestion:
    """What a browser asks for.

    Raises:
        RefusedError: A value that is missing or cannot be.
    """
    try:
        left_out = [int(each) for each in query.get("leave", "").split(",") if each][:MOST_LEFT_OUT]
        count = min(int(query.get("count", "8")), MOST_IMAGES)
        if count < 0:
            raise ValueError
        reviewer = check_reviewer(query.get("reviewer"))
    except SettingError as error:
        raise RefusedError(422, str(error)) from None
    except ValueError:
        raise RefusedError(422, "count, leave: expected whole numbers from 0") from None
    return SentQuestion(reviewer, query.get("browser", "")[:100], query.get("strategy", ""), count, left_out)


def _boxes(found: Any) -> list[Box]:
    return [Box(*(_whole(box[key]) for key in ("x", "y", "width", "height"))) for box in found]


def _whole(number: Any) -> int:
    if not isinstance(number, int) or isinstance(number, bool):
        raise TypeError
    return number
