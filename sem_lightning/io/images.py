"""Reads grey images from untrusted files, and encodes images."""

import io
import itertools
import math
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image

from sem_lightning.errors import UserError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")


# Headers are checked against our own limits, with messages that name the fix.
Image.MAX_IMAGE_PIXELS = None
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # our errors describe bad files
MAX_PIXELS = 1 << 28  # 16,384 x 16,384; 1 GiB as float32
MAX_BYTES = 2 << 30
_PAGES_COUNTED = 100
MAX_ASPECT = 4.0

Span = tuple[int, int]  # first byte, number of bytes


class ImageError(UserError):
    """A file that cannot be used as an image. The message names the file and the reason."""


def read_gray(path: Path, span: Span | None = None) -> npt.NDArray[np.float32]:
    """Read an image file as brightness in [0, 1].

    Args:
        path: PNG, JPEG, BMP or TIFF, 8 or 16 bits, grey or colour (weighted to luma); or a TIFF of floats.
        span: First byte and number of bytes, for an image inside another file.

    Returns:
        float32 [H, W]: 8-bit values over 255, 16-bit values over 65535, floating-point numbers unchanged if they are in
        [0, 1], else stretched to it.

    Raises:
        ImageError: Missing, unreadable, truncated, too large, several pages, CMYK, NaN or infinite, changed while it
            was read, or another kind of file.
    """
    try:
        data = _read_file(path) if span is None else _read_span(path, span)
    except (OSError, ValueError) as error:  # ValueError: the name is invalid
        raise ImageError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    if not data:
        raise ImageError(f"{path}: the file is empty")
    if span is not None:
        _check_header(path, io.BytesIO(data))
    if _is_truncated(data):
        raise ImageError(f"{path}: the file is truncated")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH)
    except cv2.error:
        image = None
    if image is None:
        raise ImageError(f"{path}: not a readable image (expected {', '.join(IMAGE_SUFFIXES)})")
    if image.dtype in (np.float32, np.float64):
        return _from_floats(path, image)
    if image.dtype not in (np.uint8, np.uint16):
        raise ImageError(
            f"{path}: holds {image.dtype} pixels, expected 8- or 16-bit integers or floating-point numbers"
        )
    full_scale = 255 if image.dtype == np.uint8 else 65535
    brightness: npt.NDArray[np.float32] = np.asarray(image, np.float32) / np.float32(full_scale)
    return brightness


def _read_file(path: Path) -> bytes:
    """Read a file after its header has been checked."""
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # opening a pipe would block
        raise ImageError(f"{path}: is no file but a pipe or a device")
    with path.open("rb") as stream:
        before = os.fstat(stream.fileno())
        if before.st_size > MAX_BYTES:
            raise ImageError(
                f"{path}: {before.st_size / 2**30:.1f} GiB, more than {MAX_BYTES >> 30} GiB; cut it into parts"
            )
        _check_header(path, stream)
        stream.seek(0)
        data = stream.read(before.st_size + 1)  # limits a growing file
        after = os.fstat(stream.fileno())
    if len(data) != before.st_size or after.st_mtime_ns != before.st_mtime_ns:
        raise ImageError(f"{path}: changed while it was read; try again when it is complete")
    return data


def _check_header(path: Path, stream: BinaryIO) -> None:
    """Refuse files that are too large or ambiguous before any pixel is decoded.

    Files with an unreadable header pass; decoding will reject them.
    """
    start = stream.read(4)
    stream.seek(0)
    try:
        if start in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
            height, width, pages, mode = _describe_tiff(path, stream)
        else:
            with Image.open(stream) as header:
                (width, height), mode, pages = header.size, header.mode, getattr(header, "n_frames", 1)
    except ImageError:
        raise
    except Exception:  # the parsers raise many types of errors on foreign files
        return
    if height * width > MAX_PIXELS:
        raise ImageError(
            f"{path}: {width} x {height} pixels, more than {MAX_PIXELS} in all; cut it into parts or scale it down"
        )
    if pages > 1:
        raise ImageError(f"{path}: holds {pages} pages or frames; save the one that is meant as a file of its own")
    if mode == "CMYK":
        raise ImageError(f"{path}: is in CMYK colours for print; save it as grey")


def _describe_tiff(path: Path, stream: BinaryIO) -> tuple[int, int, int, str]:
    """Height, width, number of pages without thumbnails, and colour mode of a TIFF."""
    with tifffile.TiffFile(stream) as tiff:
        page = tiff.pages.first
        if getattr(page, "is_reduced", False):
            raise ImageError(f"{path}: begins with a thumbnail; save the full image as a file of its own")
        pages = sum(not getattr(other, "is_reduced", False) for other in itertools.islice(tiff.pages, _PAGES_COUNTED))
        separated = page.photometric == tifffile.PHOTOMETRIC.SEPARATED
        return int(page.imagelength), int(page.imagewidth), pages, "CMYK" if separated else ""


def _from_floats(path: Path, image: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    image = image.astype(np.float64)  # the range of large float32 numbers is beyond float32
    low, high = float(image.min()), float(image.max())
    if not math.isfinite(high - low):  # NaN makes both NaN
        raise ImageError(f"{path}: holds numbers that are not finite (NaN or infinite); fill or cut those pixels")
    if low < 0 or high > 1:
        image = (image - low) / (high - low) if high > low else np.zeros_like(image)
    return np.asarray(image, np.float32)


def _read_span(path: Path, span: Span) -> bytes:
    start, count = span
    if start + count > path.stat().st_size:  # a broken listing must not request all memory
        raise ImageError(f"{path}: shorter than the image listed at byte {start}")
    with path.open("rb") as stream:
        stream.seek(start)
        return stream.read(count)


def encode_image(image: npt.NDArray[Any], suffix: str, pixel_size: float) -> bytes:
    """Encode an image as the content of a file.

    Args:
        image: uint8 or uint16 [H, W], or uint8 [H, W, 3] in BGR order.
        suffix: ``.png``, or ``.tif`` for grey images with the pixel size in their tags.
        pixel_size: nm.

    """
    if suffix == ".png":
        return cv2.imencode(".png", image)[1].tobytes()
    stream = io.BytesIO()
    per_centimetre = 1e7 / pixel_size
    tifffile.imwrite(
        stream,
        image,
        photometric="minisblack",
        compression="zlib",
        predictor=True,
        resolution=(per_centimetre, per_centimetre),
        resolutionunit="CENTIMETER",
        description=f'{{"pixel_size_nm": {pixel_size!r}}}',
        software="sem-lightning",
        metadata=None,
    )
    return stream.getvalue()


def _is_truncated(data: bytes) -> bool:
    """Whether a PNG or JPEG is truncated. OpenCV would fill the rest with grey and only log a warning."""
    if data.startswith(b"\x89PNG"):
        return b"IEND" not in data
    # A JPEG may hold a thumbnail, so only an end marker at the end counts; some cameras pad with zeros.
    return data.startswith(b"\xff\xd8\xff") and not data.rstrip(b"\0").endswith(b"\xff\xd9")


def center_crop(image: npt.NDArray[np.float32], largest: int) -> npt.NDArray[np.float32]:
    """The middle of an image [H, W], at most ``largest`` pixels along each side."""
    top, left = (max(0, side - largest) // 2 for side in image.shape)
    return image[top : top + largest, left : left + largest]


def whole_shape(aspect: float, size: int) -> tuple[int, int]:
    """Height and width of a whole image resized to the number of pixels of a square of ``size``.

    Args:
        aspect: Height over width of the image; limited to 1/4 to 4, because longer images would be too narrow.
        size: Side of the square, pixels.
    """
    root = math.sqrt(min(max(aspect, 1 / MAX_ASPECT), MAX_ASPECT))
    return round(size * root), round(size / root)


def resize_to(image: npt.NDArray[np.float32], shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Resize the whole image to a height and width; pixels are averaged if both shrink."""
    if image.shape == shape:
        return image
    shrinks = shape[0] < image.shape[0] and shape[1] < image.shape[1]
    resized = cv2.resize(image, shape[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return np.asarray(resized, np.float32)
