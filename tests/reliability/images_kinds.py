"""Image files of every kind: the same picture as the truth, or an error that names the file.

Each file is read once, with nothing printed, within 1.5 GB and 20 s of one core.
"""

import io
import zlib
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from image_checks import GREY, RNG, TRUTH, cut, large, quantised, refused, right, right_or_refused
from image_writers import DEFLATE, JPEG, LZW, PACKBITS, bmp, chunk, jpeg, png, tiff
from images_jpeg_bmp import bmp_kinds, jpeg_kinds
from images_orientation import orientations
from images_png import png_kinds
from images_tiff import tiff_colours, tiff_kinds, tiff_refused
from kind import Kind
from PIL import Image


def kinds() -> Iterable[Kind]:
    """All kinds."""
    groups = (tiff_kinds, tiff_colours, tiff_refused, png_kinds, jpeg_kinds, bmp_kinds, orientations)
    for group in (*groups, foreign, truncated, flipped, large_files):
        yield from group()


def foreign() -> Iterator[Kind]:
    """Files under a wrong suffix, and files that are no images."""
    files: dict[str, tuple[bytes, float]] = {
        ".png": (png(quantised(8), 8, 0), 0.003),
        ".jpg": (jpeg(GREY), 0.04),
        ".tif": (tiff(quantised(8), 8), 0.003),
        ".bmp": (bmp(np.dstack([GREY] * 3), 24), 0.003),
    }
    for suffix, (data, tolerance) in files.items():
        for other in (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".PNG"):
            yield right(f"{suffix} named {other}", lambda d=data: d, tolerance, suffix=other)
        for name, noise in (("random bytes", RNG.bytes(4000)), ("zeros", bytes(4000)), ("nothing", b"")):
            yield refused(f"{name} after the mark of {suffix}", lambda d=data, n=noise: d[:4] + n, suffix=suffix)
    others: dict[str, bytes] = {
        "empty": b"",
        "one byte": b"I",
        "zeros": bytes(5000),
        "random": RNG.bytes(5000),
        "text": b"hello\n" * 99,
        "HTML": b"<!DOCTYPE html><html></html>",
        "SVG": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "PDF": b"%PDF-1.7\n",
        "ZIP": b"PK\3\4" + bytes(99),
        "ELF": b"\x7fELF" + bytes(99),
        "HDF5": b"\x89HDF\r\n\x1a\n" + bytes(99),
        "PGM": b"P5 52 37 255\n" + GREY.tobytes(),
        "sparse PAM": b"P7\nWIDTH 32000\nHEIGHT 32000\nDEPTH 4\nMAXVAL 255\nENDHDR\n",
        "Radiance": b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 30000 +X 30000\n" + bytes(999),
        "JPEG 2000": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(99),
        "OpenEXR": b"v/1\1" + bytes(99),
        "AVIF": b"\0\0\0\x20ftypavif" + bytes(99),
        "PSD": b"8BPS\0\1" + bytes(99),
        "ICO": b"\0\0\1\0\1\0" + bytes(99),
        "Sun raster": b"\x59\xa6\x6a\x95" + bytes(99),
        "PFM": b"Pf\n52 37\n-1.0\n" + bytes(7696),
        "NumPy": b"\x93NUMPY\1\0" + bytes(99),
    }
    for suffix in ("GIF", "WEBP", "PPM", "JPEG2000"):
        stream = io.BytesIO()
        Image.fromarray(GREY).convert("RGB").save(stream, suffix)
        others[suffix] = stream.getvalue()
    for name, data in others.items():
        for suffix in (".png", ".tif"):
            yield refused(f"{name} named {suffix}", lambda d=data: d, "empty|not a readable image", suffix)


def valid_files() -> dict[str, tuple[bytes, str]]:
    """A valid file of each format, with its suffix."""
    grey, deep = quantised(8), quantised(16)
    return {
        "PNG": (png(grey, 8, 0, row_filter=4), ".png"),
        "PNG 16": (png(deep, 16, 0, True), ".png"),
        "PNG palette": (
            png(grey, 8, 3, before=chunk(b"PLTE", bytes(np.repeat(np.arange(256), 3).astype(np.uint8)))),
            ".png",
        ),
        "PNG RGB": (png(np.concatenate([grey] * 3, axis=2), 8, 2), ".png"),
        "JPEG": (jpeg(GREY), ".jpg"),
        "JPEG progressive": (jpeg(GREY, progressive=True), ".jpg"),
        "JPEG colour": (jpeg(np.dstack([GREY] * 3)), ".jpg"),
        "BMP": (bmp(np.dstack([GREY] * 3), 24), ".bmp"),
        "BMP palette": (bmp(GREY, 8, np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)), ".bmp"),
        "TIFF": (tiff(deep, 16, rows=8), ".tif"),
        "TIFF LZW": (tiff(grey, 8, 1, LZW, rows=8), ".tif"),
        "TIFF PackBits": (tiff(grey, 8, 1, PACKBITS, rows=8), ".tif"),
        "TIFF JPEG": (tiff(grey, 8, 1, JPEG, rows=16), ".tif"),
        "TIFF Deflate": (tiff(deep, 16, 1, DEFLATE, predictor=2, directory_last=False), ".tif"),
        "TIFF tiles": (tiff(grey, 8, 1, DEFLATE, tile=16, directory_last=False), ".tif"),
        "BigTIFF float": (tiff(TRUTH[..., None].astype(np.float32), 32, order=">", big=True), ".tif"),
    }


def truncated() -> Iterator[Kind]:
    """Files that end too early."""
    for name, (data, suffix) in valid_files().items():
        for share in (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.97):
            yield refused(f"{name} cut at {share}", lambda d=data, s=share: cut(d, s), suffix=suffix)
        if suffix != ".bmp":  # which has nothing by which it could be noticed
            yield refused(
                f"{name} zeros from the middle on", lambda d=data: cut(d, 0.5).ljust(len(d), b"\0"), suffix=suffix
            )


def flipped() -> Iterator[Kind]:
    """Files in formats with checksums, of which a bit is flipped in each of 20 places."""
    for name, (data, suffix) in valid_files().items():
        if name.startswith("PNG") or name in ("TIFF Deflate", "TIFF tiles"):
            first = 0 if suffix == ".png" else data.index(b"\x78\x9c")
            for place in np.linspace(first, len(data) - 1, 20).astype(int).tolist():
                yield right_or_refused(
                    f"{name} bit flipped at {place}",
                    lambda d=data, p=place: d[:p] + bytes((d[p] ^ 1 << p % 8,)) + d[p + 1 :],
                    suffix,
                )


def large_files() -> Iterator[Kind]:
    """Images near the limits of size and memory."""
    for side, bits, read in (
        (15_500, 8, True),
        (16_385, 8, False),
        (13_600, 16, True),
        (16384, 16, False),
        (13_600, 32, True),
        (16384, 32, False),
        (8_600, 64, True),
        (16384, 64, False),
    ):
        name = f"sparse TIFF of {side} x {side}, {bits} bits"
        yield large(name, partial(write_sparse, side=side, bits=bits), (side, side) if read else None)
    for side, bits, read in ((16384, 8, True), (15500, 16, True), (16384, 16, False)):
        yield large(
            f"PNG of {side} x {side}, {bits} bits",
            partial(write_png, side=side, depth=bits),
            (side, side) if read else None,
        )
    yield large("JPEG of 16000 x 16000", partial(write_jpeg, shape=(16000, 16000)), (16000, 16000))
    yield large(
        "JPEG of 12000 x 12000, progressive",
        partial(write_jpeg, shape=(12000, 12000), progressive=True),
        (12000, 12000),
    )
    yield large("JPEG of 12000 x 12000, in colours", partial(write_jpeg, shape=(12000, 12000, 3)), (12000, 12000))
    yield large("Deflate TIFF of 16384 x 16384 in strips", partial(write_deflate, rows=256), (16384, 16384))
    yield large("Deflate TIFF of 16384 x 16384 in one strip", partial(write_deflate, rows=16384), (16384, 16384))
    yield large("Deflate TIFF whose strips are bombs", partial(write_deflate, rows=16, longer=1000), None)


def write_sparse(path: Path, side: int, bits: int) -> None:
    """An uncompressed black TIFF without blocks on the disk."""
    tags = {256: side, 257: side, 278: side, 279: side * side * bits // 8, 273: 1000, 258: bits}
    samples = np.zeros((1, 1, 1), np.uint8 if bits < 32 else np.float32)
    head = tiff(samples, 8 if bits < 32 else 32, tags=tags, directory_last=False)
    with path.open("wb") as stream:
        stream.write(head)
        stream.truncate(1000 + side * side * bits // 8)


def write_png(path: Path, side: int, depth: int) -> None:
    pack = zlib.compressobj(1)
    row = bytes(1 + side * depth // 8)
    pixels = b"".join(pack.compress(row) for _ in range(side)) + pack.flush()
    path.write_bytes(png(np.zeros((1, 1, 1)), depth, 0, size=(side, side), compressed=pixels))


def write_jpeg(path: Path, shape: tuple[int, ...], progressive: bool = False) -> None:
    path.write_bytes(jpeg(np.zeros(shape, np.uint8), progressive=progressive))


def write_deflate(path: Path, rows: int, longer: int = 1) -> None:
    """A black TIFF all of whose strips are the same part of the file."""
    side = 16384
    strip = zlib.compress(bytes(rows * side * longer))
    count = side // rows
    tags = {256: side, 257: side, 278: rows, 273: [200_000] * count, 279: [len(strip)] * count, 259: DEFLATE}
    head = tiff(np.zeros((1, 1, 1), np.uint8), 8, tags=tags, directory_last=False)
    path.write_bytes(head.ljust(200_000, b"\0") + strip)
