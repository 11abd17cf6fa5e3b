"""Reads grey images from untrusted files, and encodes images."""

import io
import logging
import math
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from sem_lightning.errors import UserError
from sem_lightning.io import jpeg, png
from sem_lightning.io.bmp import decode_bmp
from sem_lightning.io.limits import MAX_BYTES, MAX_PIXELS, CannotDecodeError, TooLargeError
from sem_lightning.io.orientation import AS_STORED, turn
from sem_lightning.io.stored_image import StoredImage
from sem_lightning.io.tiff import TIFF_MARKS, decode_tiff, decode_tiff_page

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
MAX_ASPECT = 4.0

# Our errors describe bad files.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)

_DECODERS: dict[bytes, Callable[[bytes, int], StoredImage]] = {  # by the first bytes of a file
    png.MARK: png.decode_png,
    jpeg.MARK: jpeg.decode_jpeg,
    b"BM": decode_bmp,
    **dict.fromkeys(TIFF_MARKS, decode_tiff),
}
_LONGEST_MARK = max(map(len, _DECODERS))

Span = tuple[int, int]  # first byte, number of bytes


class ImageError(UserError):
    """A file that cannot be used as an image. The message names the file and the reason."""


def read_gray(path: Path, span: Span | None = None) -> npt.NDArray[np.float32]:
    """Read an image file as brightness in [0, 1].

    Args:
        path: PNG, JPEG, BMP or TIFF, up to 16 bits, grey or colour (weighted to luma); or a TIFF of floats.
        span: First byte and number of bytes, for an image inside another file.

    Returns:
        float32 [H, W], turned as the file says it is shown: integers over white, floating-point numbers as in
        `StoredImage.brightness`.

    Raises:
        ImageError: Missing, unreadable, truncated, too large, several pages, CMYK, NaN or infinite, changed while it
            was read, or another kind of file.
    """
    return read_oriented(path, span)[0]


def read_oriented(path: Path, span: Span | None = None) -> tuple[npt.NDArray[np.float32], int]:
    """An image as in `read_gray`, and the orientation of EXIF or TIFF by which its stored pixels were turned."""
    try:
        return decode_oriented(_read_bytes(path, span))
    except CannotDecodeError as error:
        raise ImageError(f"{path}: {error}") from None


def decode_oriented(data: bytes, most_pixels: int = MAX_PIXELS) -> tuple[npt.NDArray[np.float32], int]:
    """The image in the content of a file, and its orientation, as in `read_oriented`.

    Args:
        data: The content.
        most_pixels: More are refused before anything is decoded.

    Raises:
        CannotDecodeError: It is no image that can be read. The message does not name it.
        TooLargeError: It has too many pixels, or needs too much memory.
    """
    try:
        stored = _decoder_of(data)(data, most_pixels)
        del data  # whose memory may be needed for the pixels as floating-point numbers
        return stored.brightness(), stored.orientation
    except (MemoryError, cv2.error):  # OpenCV has an error of its own for memory that is not there
        raise TooLargeError("not enough memory to decode it; cut it into parts or scale it down") from None


def read_page(path: Path, number: int) -> tuple[npt.NDArray[np.float32], int]:
    """One page of a TIFF, or the only image of another file, as in `read_oriented`.

    Args:
        path: See `read_gray`; a TIFF may have many pages, of which no other one is read.
        number: Of the page, from 0; a file of another kind has one image, whatever the number.

    Raises:
        ImageError: See `read_gray`; or there is no such page.
    """
    try:
        if not path.is_file():
            return read_oriented(path)  # which says why it cannot be read
        with path.open("rb") as stream:
            if stream.read(4) not in TIFF_MARKS:
                return read_oriented(path)
            stream.seek(0)
            stored = decode_tiff_page(stream, number)
            return stored.brightness(), stored.orientation
    except CannotDecodeError as error:
        raise ImageError(f"{path}: {error}") from None
    except (OSError, ValueError) as error:  # ValueError: the name is invalid
        raise ImageError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    except (MemoryError, cv2.error):
        raise ImageError(f"{path}: not enough memory to decode it; cut it into parts or scale it down") from None


def read_mask(path: Path, span: Span | None, orientation: int, shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Read the mask of an image, turned as the image is.

    A mask has the pixels of the stored image, so it is turned by the image's orientation, unless it has an orientation
    of its own, or a shape that fits the image as shown alone.

    Args:
        path: As in `read_gray`.
        span: As in `read_gray`.
        orientation: That of the image, see `read_oriented`.
        shape: Height and width of the image as shown.

    Returns:
        float32 [H, W], of its own resolution.

    Raises:
        ImageError: See `read_gray`; or its sides are in another ratio than those of the image.
    """
    mask, own = read_oriented(path, span)
    if orientation != AS_STORED and own == AS_STORED:
        turned = turn(mask, orientation)
        mask = turned if _is_in_ratio(turned.shape, shape) else mask
    if not _is_in_ratio(mask.shape, shape):
        raise ImageError(
            f"{path}: {mask.shape[1]} x {mask.shape[0]} pixels do not fit the image of {shape[1]} x {shape[0]}; a mask "
            "has the pixels of its image, with its data bar"
        )
    return mask


def _is_in_ratio(shape: tuple[int, ...], other: tuple[int, int]) -> bool:
    """Whether an image of one shape is the other one scaled, give or take a pixel."""
    return abs(shape[0] - other[0] * shape[1] / other[1]) <= 1 or abs(shape[1] - other[1] * shape[0] / other[0]) <= 1


def _decoder_of(data: bytes) -> Callable[[bytes, int], StoredImage]:
    """The decoder of a file, by its content."""
    found = next((each for mark, each in _DECODERS.items() if data.startswith(mark)), None)
    if found is None:
        raise CannotDecodeError(f"not a readable image (expected {', '.join(IMAGE_SUFFIXES)})")
    return found


def _read_bytes(path: Path, span: Span | None) -> bytes:
    """The content of a file, or of a part of it.

    Raises:
        ImageError: It cannot be read, is empty, too large, or of a kind that no decoder reads.
    """
    try:
        data = _read_file(path) if span is None else _read_span(path, span)
    except (OSError, ValueError) as error:  # ValueError: the name is invalid
        raise ImageError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    except MemoryError:
        raise ImageError(f"{path}: not enough memory to read it") from None
    except CannotDecodeError as error:
        raise ImageError(f"{path}: {error}") from None
    if not data:
        raise ImageError(f"{path}: the file is empty")
    return data


def _read_file(path: Path) -> bytes:
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # opening a pipe would block
        raise ImageError(f"{path}: is no file but a pipe or a device")
    with path.open("rb") as stream:
        before = os.fstat(stream.fileno())
        if before.st_size:
            _decoder_of(stream.read(_LONGEST_MARK))  # a large file of another kind is not read at all
            stream.seek(0)
        if before.st_size > MAX_BYTES:
            raise ImageError(
                f"{path}: {before.st_size / 2**30:.1f} GiB, more than {MAX_BYTES / 2**30:.2f} GiB; cut it into parts"
            )
        data = stream.read(before.st_size + 1)  # limits a growing file
        after = os.fstat(stream.fileno())
    if len(data) != before.st_size or after.st_mtime_ns != before.st_mtime_ns:
        raise ImageError(f"{path}: changed while it was read; try again when it is complete")
    return data


def _read_span(path: Path, span: Span) -> bytes:
    start, count = span
    if start + count > path.stat().st_size:  # a broken listing must not request all memory
        raise ImageError(f"{path}: shorter than the image listed at byte {start}")
    if count > MAX_BYTES:
        raise ImageError(f"{path}: an image of {count / 2**30:.1f} GiB, more than {MAX_BYTES / 2**30:.2f} GiB")
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
    import tifffile  # takes long to import, and reading does without

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
