"""Reading grey images from files that anybody may have made, and writing our own."""

import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from sem_lightning.errors import UserError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")


Span = tuple[int, int]  # first byte, number of bytes


class ImageError(UserError):
    """A file that cannot be used as an image; the message names it and says why."""


def read_gray(path: Path, span: Span | None = None) -> npt.NDArray[np.float32]:
    """An image file as brightness in [0, 1].

    Args:
        path: PNG, JPEG, BMP or TIFF, 8 or 16 bits, grey or colour (weighted to luma).
        span: First byte and number of bytes, for an image inside another file.

    Returns:
        float32 [H, W]: 8-bit values over 255, 16-bit values over 65535.

    Raises:
        ImageError: Missing, unreadable, truncated, or not an image of those kinds.
    """
    try:
        data = path.read_bytes() if span is None else _read_span(path, span)
    except (OSError, ValueError) as error:  # ValueError for a name that no file can have
        raise ImageError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    if not data:
        raise ImageError(f"{path}: the file is empty")
    if _is_truncated(data):
        raise ImageError(f"{path}: the file is truncated")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH)
    except cv2.error:
        image = None
    if image is None:
        raise ImageError(f"{path}: not a readable image (expected {', '.join(IMAGE_SUFFIXES)})")
    if image.dtype not in (np.uint8, np.uint16):
        raise ImageError(f"{path}: holds {image.dtype} pixels, expected 8- or 16-bit integers")
    full_scale = 255 if image.dtype == np.uint8 else 65535
    brightness: npt.NDArray[np.float32] = np.asarray(image, np.float32) / np.float32(full_scale)
    return brightness


def _read_span(path: Path, span: Span) -> bytes:
    start, count = span
    if start + count > path.stat().st_size:  # also keeps a broken listing from asking for all memory
        raise ImageError(f"{path}: shorter than the image listed at byte {start}")
    with path.open("rb") as stream:
        stream.seek(start)
        return stream.read(count)


def encode_image(image: npt.NDArray[Any], suffix: str, pixel_size: float) -> bytes:
    """An image as the content of a file.

    Args:
        image: uint8 or uint16 [H, W], or uint8 [H, W, 3] in OpenCV's order of colours.
        suffix: ``.png``, or ``.tif`` for grey images with the pixel size in their tags.
        pixel_size: nm.

    Raises:
        UserError: TIFF without the extra that writes it.
    """
    if suffix == ".png":
        return cv2.imencode(".png", image)[1].tobytes()
    try:
        import tifffile
    except ImportError:
        raise UserError("writer.format=tiff needs the extra: pip install 'sem-lightning[tiff]'") from None
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
    """Whether a PNG or JPEG lacks its end: OpenCV would fill what is missing with grey and only log a warning."""
    if data.startswith(b"\x89PNG"):
        return b"IEND" not in data
    # A JPEG may carry a whole thumbnail, so only an end marker at the very end counts; some cameras pad with zeros.
    return data.startswith(b"\xff\xd8\xff") and not data.rstrip(b"\0").endswith(b"\xff\xd9")


def fit_to(image: npt.NDArray[np.float32], size: int) -> npt.NDArray[np.float32]:
    """The whole image resized to ``size`` x ``size``, averaging where it shrinks; its aspect ratio is not kept."""
    if image.shape == (size, size):
        return image
    shrinks = size < min(image.shape)
    resized = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return np.asarray(resized, np.float32)
