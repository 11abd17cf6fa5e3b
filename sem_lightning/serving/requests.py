"""Reads the images and references of a request, within its limits."""

import base64
import binascii
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from starlette.requests import ClientDisconnect, Request

from sem_lightning.io.atomic import printable
from sem_lightning.serving.limits import ServiceLimits
from sem_lightning.serving.multipart import split_parts
from sem_lightning.serving.refusal import RefusedError

RAW_TYPES = ("image/png", "image/tiff", "image/jpeg", "image/bmp", "application/octet-stream")
_MULTIPART, _JSON = "multipart/form-data", "application/json"
_LONGEST_NAME = 200
_SIGNS, _SIGNS_OF_IMAGE = (b",", b"{", b"[", b":"), 1000
_EXPECTED_JSON = 'expected {"images": [{"name": "a.png", "data": "<base64>"}], "references": [...]} as JSON'


@dataclass(frozen=True)
class SentImage:
    """The content of an image file, and what the client calls it."""

    name: str
    data: bytes


@dataclass(frozen=True)
class SentImages:
    """The images of a request, and the references that each of them is compared with."""

    images: list[SentImage]
    references: list[SentImage]


class HeldBytes:
    """Counts the bytes of all bodies that are held at once."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.count = 0

    @contextmanager
    def share(self) -> Iterator["Share"]:
        """A request's share, given back at the end."""
        share = Share(self)
        try:
            yield share
        finally:
            self.count -= share.count

    def add(self, count: int) -> None:
        """Take more.

        Raises:
            RefusedError: There is no room.
        """
        if self.count + count > self._most:
            raise RefusedError(429, "too many bytes are held for other requests; try again")
        self.count += count


@dataclass
class Share:
    """The bytes that are held for one request."""

    of: HeldBytes
    count: int = 0

    def grow_to(self, count: int) -> None:
        """Take more, if this is more than before."""
        if count > self.count:
            self.of.add(count - self.count)
            self.count = count


async def read_body(request: Request, limits: ServiceLimits, share: Share) -> bytes:
    """The body of a request.

    Raises:
        RefusedError: Too large, compressed, empty, or not sent whole.
    """
    most = limits.request_bytes
    if request.headers.get("content-encoding", "identity") != "identity":
        raise RefusedError(415, "content-encoding: found a compressed body, expected one that is not")
    declared = request.headers.get("content-length", "0")
    if int(declared) > most:
        raise RefusedError(413, f"a body of {declared} bytes, more than {most}")
    share.grow_to(int(declared))
    body = bytearray()
    try:
        async for chunk in request.stream():
            if len(body) + len(chunk) > most:
                raise RefusedError(413, f"a body of more than {most} bytes")
            share.grow_to(len(body) + len(chunk))
            body += chunk
    except ClientDisconnect:
        raise RefusedError(400, "the body was not sent whole") from None
    if not body:
        raise RefusedError(422, "the body is empty")
    return bytes(body)


def read_images(content_type: str, body: bytes, limits: ServiceLimits) -> SentImages:
    """The images and references in a body.

    Raises:
        RefusedError: Another type of content, a damaged body, no image, or too many.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind in RAW_TYPES:
        found = SentImages([SentImage("image", body)], [])
    elif kind == _MULTIPART:
        found = _of_form(content_type, body, limits.images)
    elif kind == _JSON:
        found = _of_json(body, limits.images)
    else:
        allowed = ", ".join((_MULTIPART, _JSON, *RAW_TYPES))
        raise RefusedError(415, f"content-type: found {_name(kind) or 'none'}, expected one of {allowed}")
    if not found.images:
        raise RefusedError(422, "no image: found none, expected at least one")
    count = len(found.images) * (1 + len(found.references))
    if count > limits.images:
        raise RefusedError(422, f"found {count} images with their references, expected at most {limits.images}")
    return found


def _of_form(content_type: str, body: bytes, most: int) -> SentImages:
    fields: dict[str, list[SentImage]] = {"image": [], "reference": []}
    for part in split_parts(content_type, body, most):
        if part.key not in fields:
            raise RefusedError(422, f"the field {_name(part.key)!r} is not known, expected image or reference")
        if part.content or part.file_name:  # a browser sends an empty part where no file was chosen
            fields[part.key].append(SentImage(_name(part.file_name) or part.key, bytes(part.content)))
    return SentImages(fields["image"], fields["reference"])


def _of_json(body: bytes, most: int) -> SentImages:
    # A few bytes of nested or empty values would take many bytes of memory; base64 has none of these signs.
    if sum(map(body.count, _SIGNS)) > _SIGNS_OF_IMAGE * (most + 1):
        raise RefusedError(422, _EXPECTED_JSON)
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        raise RefusedError(422, _EXPECTED_JSON) from None
    if not isinstance(content, dict) or not set(content) <= {"images", "references"}:
        raise RefusedError(422, _EXPECTED_JSON)
    images, references = (_of_list(content.get(key, [])) for key in ("images", "references"))
    return SentImages(images, references)


def _of_list(entries: Any) -> list[SentImage]:
    if not isinstance(entries, list):
        raise RefusedError(422, _EXPECTED_JSON)
    found = []
    for entry in entries:
        if not isinstance(entry, dict) or not isinstance(entry.get("data"), str):
            raise RefusedError(422, _EXPECTED_JSON)
        name = _name(str(entry.get("name", "image")))
        try:
            found.append(SentImage(name, base64.b64decode(entry["data"], validate=True)))
        except (ValueError, binascii.Error):
            raise RefusedError(422, f"{name}: its data are not base64") from None
    return found


def _name(name: str) -> str:
    """A client's name on one line."""
    return printable(name[:_LONGEST_NAME])
