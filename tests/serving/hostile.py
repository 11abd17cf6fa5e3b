"""Requests that no honest client sends, as the bytes on the wire, and how a service may answer them."""

import base64
import contextlib
import http.client
import io
import json
import socket
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import tifffile

ALLOWED = {200, 400, 401, 403, 404, 405, 408, 413, 415, 422, 429, 503}
_BOUNDARY = "edge"
_TYPES = {"png": "image/png", "jpg": "image/jpeg", "tif": "image/tiff", "bmp": "image/bmp"}
PATHS = ("../../etc/passwd", "/etc/passwd", "C:\\windows\\win.ini", "a\r\nX: y", "\x00", "~root", "|id", "a" * 5000)


@dataclass(frozen=True)
class Hostile:
    """A request: its name, its bytes, and the statuses that are right."""

    name: str
    wire: bytes
    statuses: frozenset[int]


def request(body: bytes, content_type: str, *headers: str, path: str = "/predict", length: str | None = None) -> bytes:
    """A POST request."""
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: localhost",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(body) if length is None else length}",
        "Connection: close",
        *headers,
    ]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def multipart(*parts: tuple[str, str, bytes], end: str = f"--{_BOUNDARY}--\r\n") -> bytes:
    """A body of parts: field, file name, content."""
    body = b"".join(
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{key}"; filename="{name}"\r\n\r\n'.encode()
        + content
        + b"\r\n"
        for key, name, content in parts
    )
    return body + end.encode()


def of_form(*parts: tuple[str, str, bytes]) -> bytes:
    return request(multipart(*parts), f"multipart/form-data; boundary={_BOUNDARY}")


def of_json(*images: bytes) -> bytes:
    entries = [{"name": f"{i}.png", "data": base64.b64encode(each).decode()} for i, each in enumerate(images)]
    return request(json.dumps({"images": entries}).encode(), "application/json")


def send(port: int, wire: bytes, timeout: float) -> tuple[int, bytes]:
    """Status and body of the answer; status 0 if the connection ends without one."""
    with socket.create_connection(("127.0.0.1", port), timeout) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(wire)
        try:
            answer = http.client.HTTPResponse(connection, method="POST")
            answer.begin()
            return answer.status, answer.read()
        except (http.client.HTTPException, ConnectionError):
            return 0, b""


def fault_of(kind: Hostile, status: int, body: bytes) -> str | None:
    """What is wrong with an answer; ``None`` if nothing is."""
    if status not in kind.statuses:
        return f"{kind.name}: status {status}, {body[:200]!r}"
    if b"Traceback" in body or b'File "' in body:
        return f"{kind.name}: a stack trace"
    if status == 200 or status == 0:
        return None
    try:
        found = json.loads(body)
    except ValueError:
        return f"{kind.name}: status {status} without JSON, {body[:200]!r}"
    if set(found) != {"error"} or "\n" in found["error"] or len(found["error"]) > 1000:
        return f"{kind.name}: {body[:200]!r}"
    return None


def images() -> dict[str, bytes]:
    """A small picture in each format."""
    picture = np.kron(np.eye(8, dtype=np.uint8) * 120 + 60, np.ones((8, 8), np.uint8))
    picture += np.random.default_rng(0).integers(0, 40, picture.shape, dtype=np.uint8)
    stream = io.BytesIO()
    tifffile.imwrite(stream, picture, compression="zlib")
    encoded = {each: cv2.imencode(f".{each}", picture)[1].tobytes() for each in ("png", "jpg", "bmp")}
    return encoded | {"tif": stream.getvalue()}


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png_of(width: int, height: int, data: bytes, depth: int = 8, colour: int = 0) -> bytes:
    """A PNG whose header promises any size."""
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _bombs() -> Iterator[tuple[str, bytes, set[int]]]:
    zeros = zlib.compress(bytes(1 << 24), 9)
    yield "png of 60,000 x 60,000", png_of(60_000, 60_000, zeros), {413}
    yield "png of 2^31 x 2^31", png_of(2**31 - 1, 2**31 - 1, b""), {413}
    yield "png of 0 x 0", png_of(0, 0, b""), {422}
    yield "png whose data unpack to more than it promises", png_of(64, 64, zeros), {200, 422}
    yield "png whose data unpack to less", png_of(64, 64, zlib.compress(b"\0")), {422}
    yield "png of 16-bit colours", png_of(30_000, 30_000, zeros, 16, 6), {413}
    text = _chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1 << 26), 9))
    yield "png with a note that unpacks to 64 MB", images()["png"][:33] + text + images()["png"][33:], {200, 422}
    for sides in ((60_000, 60_000), (0xFFFF, 0xFFFF), (1, 1)):
        jpeg = bytearray(images()["jpg"])
        at = jpeg.index(b"\xff\xc0") + 5
        jpeg[at : at + 4] = struct.pack(">HH", *sides)
        yield f"jpeg of {sides[0]} x {sides[1]}", bytes(jpeg), {200, 413, 422}
    for sides in ((2**31 - 1, 2**31 - 1), (-1, -1), (100_000, 100_000), (0, 0)):
        bmp = bytearray(images()["bmp"])
        bmp[18:26] = struct.pack("<ii", *sides)
        yield f"bmp of {sides[0]} x {sides[1]}", bytes(bmp), {413, 422}
    stream = io.BytesIO()
    tifffile.imwrite(stream, np.zeros((6000, 6000), np.uint8), compression="zlib")
    yield "tiff of 36 million black pixels", stream.getvalue(), {413}
    for entries in (0, 65_535):
        yield f"tiff of {entries} tags", b"II*\0\x08\0\0\0" + struct.pack("<H", entries), {422}
    loop = b"II*\0\x08\0\0\0" + struct.pack("<HI", 0, 8)
    yield "tiff whose pages form a loop", loop, {422}


def _damaged(truncations: int, flips: int) -> Iterator[tuple[str, bytes, set[int]]]:
    rng = np.random.default_rng(1)
    for kind, whole in images().items():
        for i in range(truncations):
            yield f"{kind}, part {i} of {truncations}", whole[: len(whole) * i // truncations], {422}
        for i in range(flips):
            broken = bytearray(whole)
            for at in rng.integers(0, len(whole), 1 + i % 8):
                broken[at] ^= int(rng.integers(1, 256))
            yield f"{kind}, flips {i}", bytes(broken), {200, 413, 422}
        yield f"{kind} twice", whole * 2, {200, 422}
        yield f"{kind} and a script", whole + b"<script>alert(1)</script>", {200, 422}
    for name, content in {
        "gif": b"GIF89a\1\0\1\0\0\0\0;", "svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>", "zip": b"PK\3\4" * 9,
        "pickle": b"\x80\4\x95cos\nsystem\n(S'id'\ntR.", "html": b"<html>", "zeros": bytes(10_000), "mark": b"\x89PNG",
        "xml": b"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>",
    }.items():  # fmt: skip
        yield name, content, {422}


def _of_transport() -> Iterator[tuple[str, bytes, set[int]]]:
    png = images()["png"]
    for path in PATHS:
        shown = path.replace("\r\n", "%0d%0a").replace("\\", "\\\\")
        yield f"file name {path[:20]!r}", of_form(("image", shown, png)), {200, 422}
        entry = {"images": [{"name": path, "data": base64.b64encode(png).decode()}]}
        yield f"JSON name {path[:20]!r}", request(json.dumps(entry).encode(), "application/json"), {200}
        yield f"path {path[:20]!r} in JSON", request(json.dumps({"images": [path]}).encode(), "application/json"), {422}
    form = f"multipart/form-data; boundary={_BOUNDARY}"
    yield "no last boundary", request(multipart(("image", "a", png), end=""), form), {422}
    yield "another boundary", request(multipart(("image", "a", png)), "multipart/form-data; boundary=other"), {422}
    yield "no boundary", request(multipart(("image", "a", png)), "multipart/form-data"), {422}
    yield "long boundary", request(b"--x", "multipart/form-data; boundary=" + "x" * 5000), {422}
    yield "foreign field", of_form(("file", "a", png)), {422}
    yield "no file", of_form(("image", "", b"")), {422}
    yield "empty file", of_form(("image", "a.png", b"")), {422}
    yield "1,000 parts", of_form(*[("image", "a", b"x")] * 1000), {422}
    yield "reference alone", of_form(("reference", "a", png)), {422}
    yield "broken reference", of_form(("image", "a", png), ("reference", "b", png[:50])), {422}
    yield "header without end", request(b"--edge\r\n" + b"a" * 20_000, form), {422}
    yield "many headers", request(b"--edge\r\n" + b"a: b\r\n" * 2000 + b"\r\n--edge--\r\n", form), {422}
    yield "near boundaries", request(b"--edge\r\n\r\n" + b"\r\n--edg" * 20_000 + b"\r\n--edge--\r\n", form), {422}
    for name, text in {
        "no JSON": b"{", "a number": b"1", "null": b"null", "a list": b"[]", "deep": b"[" * 100_000, "NaN": b"NaN",
        "deep objects": b'{"images":' * 900, "no images": b"{}", "empty list": b'{"images":[]}',
        "images a text": b'{"images":"a"}', "images null": b'{"images":null}', "image null": b'{"images":[null]}',
        "data a number": b'{"images":[{"data":1}]}', "data null": b'{"images":[{"data":null}]}',
        "no base64": b'{"images":[{"data":"*"}]}', "not ASCII": '{"images":[{"data":"\u00e9"}]}'.encode(),
        "bad padding": b'{"images":[{"data":"abc"}]}', "empty data": b'{"images":[{"data":""}]}',
        "name a list": b'{"images":[{"data":"","name":[1]}]}', "a path key": b'{"images":[{"path":"/etc/passwd"}]}',
        "foreign key": b'{"images":[],"x":1}', "latin-1": b'{"images":[{"data":"\xff"}]}', "spaces": b" " * 100_000,
        "long number": b'{"images":' + b"9" * 5000 + b"}", "objects": b'{"images":[' + b"{}," * 50_000 + b"{}]}",
        "numbers": b'{"images":[' + b"0," * 100_000 + b"0]}", "surrogate": b'{"images":[{"data":"","name":"\\ud800"}]}',
    }.items():  # fmt: skip
        yield f"JSON: {name}", request(text, "application/json"), {422}
    yield "33 images", of_json(*[png] * 33), {422}
    yield "a url", request(b"http://169.254.169.254/", "text/uri-list"), {415}
    yield "no type", request(png, ""), {415}
    yield "gzip", request(zlib.compress(png), "image/png", "Content-Encoding: gzip"), {415}
    yield "empty body", request(b"", "image/png"), {422}


def _of_protocol() -> Iterator[tuple[str, bytes, set[int]]]:
    png = images()["png"]
    for length in ("-1", "x", "1e9", "0x10", "9" * 30, "1, 2", ""):
        yield f"length {length!r}", request(png, "image/png", length=length), {400, 413}
    yield "length of 10 GB", request(png, "image/png", length=str(10**10)), {413}
    yield "length too small", request(png, "image/png", length="10"), {422}
    yield "two lengths", request(png, "image/png", "Content-Length: 3"), {400}
    head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n"
    yield "chunk without a size", head + b"zz\r\n", {0, 400}
    yield "negative chunk", head + b"-5\r\nhello\r\n0\r\n\r\n", {0, 400}
    yield "chunk of 2^60", head + b"1000000000000000\r\n" + png, {0, 400, 408}
    yield "chunks of one byte", head + b"1\r\na\r\n" * 2000 + b"0\r\n\r\n", {422}
    for name, wire in {
        "noise": bytes(range(256)) * 20,
        "TLS": b"\x16\x03\x01\x02\0\1\0\1\xfc\3\3" + bytes(200),
        "no version": b"GET /\r\n\r\n",
        "long path": b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        "header of 100 kB": b"GET / HTTP/1.1\r\nA: " + b"a" * 100_000 + b"\r\n\r\n",
        "two hosts": b"GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "no host": b"GET /health HTTP/1.1\r\n\r\n",
        "nul": b"GET /\0 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    }.items():
        yield name, wire, {400}
    yield "HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {404}
    yield "HTTP/9", b"GET /nowhere HTTP/9.9\r\n\r\n", {404}
    for path in ("/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/static/..%2f..%2fetc/passwd", "//etc/passwd",
                 "/predict/../../x", "/docs", "/redoc", "/.env", "/%00", "/predict;x", "/predict%2f"):  # fmt: skip
        wire = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
        yield f"GET {path}", wire, {404, 405}
    for method in ("GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"):
        wire = f"{method} /predict HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
        yield f"{method} /predict", wire, {405}
    foreign = request(png, "image/png").replace(b"Host: localhost", b"Host: evil.example")
    yield "a foreign page's host", foreign, {403}
    upgrade = b"GET /predict HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n"
    yield "websocket", upgrade, {405}


def hostile_requests(truncations: int = 16, flips: int = 32) -> Iterator[Hostile]:
    """All kinds; the numbers are those of each format."""
    for name, wire, statuses in (*_of_protocol(), *_of_transport()):
        yield Hostile(name, wire, frozenset(statuses))
    for number, (name, data, statuses) in enumerate((*_bombs(), *_damaged(truncations, flips))):
        kind = next((kind for kind in _TYPES if name.startswith(kind)), "png")
        sent = (request(data, _TYPES[kind]), of_form(("image", name, data)), of_json(data))[number % 3]
        yield Hostile(name, sent, frozenset(statuses))
