"""Requests and answers as the OpenAPI page describes them."""

from typing import Any

from pydantic import BaseModel

from sem_lightning.serving.requests import RAW_TYPES

_BINARY = {"type": "string", "format": "binary"}
_FILES = {"type": "array", "items": _BINARY}
_SENT = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "data": {"type": "string", "contentEncoding": "base64"}},
    "required": ["data"],
}

REQUEST_BODY: dict[str, Any] = {
    "required": True,
    "description": "One image or several; each reference is compared with every image.",
    "content": {
        "multipart/form-data": {
            "schema": {"type": "object", "properties": {"image": _FILES, "reference": _FILES}, "required": ["image"]}
        },
        "application/json": {
            "schema": {
                "type": "object",
                "properties": {key: {"type": "array", "items": _SENT} for key in ("images", "references")},
                "required": ["images"],
            }
        },
        **{kind: {"schema": _BINARY} for kind in RAW_TYPES},
    },
}


class Place(BaseModel):
    """A suspicious part of an image, in the file's pixels."""

    x: int
    y: int
    width: int
    height: int
    label: str
    score: float


class Registration(BaseModel):
    """How the reference lies on the image, see the table of sem-inspect."""

    shift_x: float
    shift_y: float
    rotation_deg: float
    scale: float
    correlation: float
    overlap: float
    residual: float | None


class Answer(BaseModel):
    """What is said about an image. The keys after ``places`` depend on whether a reference was sent."""

    name: str
    decision: str
    reason: str | None
    places: list[Place]
    height: int
    width: int
    pixel_size_nm: float | None
    data_bar_rows: int
    label: str | None = None
    probabilities: dict[str, float] | None = None
    ood_score: float | None = None
    inverted: bool | None = None
    registration: Registration | None = None
    remarks: list[str] | None = None


class Answers(BaseModel):
    """One answer for each image, in their order."""

    classifier: str
    answers: list[Answer]


class Problem(BaseModel):
    """Why there is no answer, in one line."""

    error: str


PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": reason}
    for status, reason in {
        401: "no key, or a wrong one",
        408: "the body took too long",
        413: "too many bytes or pixels",
        415: "another type of content",
        422: "no image that can be read",
        429: "too many requests; try again",
        503: "not ready, or no answer in time",
    }.items()
}
