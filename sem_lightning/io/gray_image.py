"""A grey image with what its file says about it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sem_lightning.io.data_bar import find_data_bar
from sem_lightning.io.images import ImageError, Span, decode_oriented, read_oriented, read_page
from sem_lightning.io.limits import MAX_PIXELS
from sem_lightning.io.orientation import AS_STORED
from sem_lightning.io.pixel_size import pixel_size_in, read_pixel_size


@dataclass(frozen=True, eq=False)
class GrayImage:
    """A grey image without its data bar.

    Attributes:
        pixels: float32 [H, W] in [0, 1].
        path: The file it comes from, where it comes from one.
        pixel_size: Width of a pixel, nm, where known.
        data_bar_rows: Rows of the data bar that were cut off at the bottom.
        orientation: Of EXIF or TIFF, 1 to 8, by which the file's pixels were turned.

    Raises:
        ImageError: Pixels of another type or shape, or a pixel size that is not positive.
    """

    pixels: npt.NDArray[np.float32]
    path: Path | None = None
    pixel_size: float | None = None
    data_bar_rows: int = 0
    orientation: int = AS_STORED

    def __post_init__(self) -> None:
        if self.pixels.dtype != np.float32 or self.pixels.ndim != 2 or not self.pixels.size:
            raise ImageError(
                f"{self.path or 'array'}: found {self.pixels.dtype} {self.pixels.shape}, expected float32 [H, W] in "
                "[0, 1]"
            )
        if self.pixel_size is not None and not self.pixel_size > 0:
            raise ImageError(f"{self.path or 'array'}: found a pixel size of {self.pixel_size}, expected nm above 0")


@dataclass(frozen=True)
class ImagePage:
    """An image in a file that may hold several.

    Attributes:
        path: The file.
        number: Of the page of a TIFF, from 0; other files have one image.
    """

    path: Path
    number: int

    def open(self, crop_data_bar: bool = True) -> GrayImage:
        """Decode the image; see `open_image`.

        Raises:
            ImageError: The file cannot be used, or has no such page.
        """
        pixels, orientation = read_page(self.path, self.number)
        rows = find_data_bar(pixels) if crop_data_bar else 0
        return GrayImage(pixels[: len(pixels) - rows], self.path, read_pixel_size(self.path), rows, orientation)


def as_gray_image(pixels: npt.NDArray[Any]) -> GrayImage:
    """An array as an image.

    Args:
        pixels: uint8, uint16, or floating-point numbers in [0, 1], [H, W].

    Raises:
        ImageError: Another shape or type, or numbers out of that range.
    """
    if pixels.ndim != 2 or not pixels.size:
        raise ImageError(f"array of shape {pixels.shape}: expected a grey image [H, W]")
    if pixels.dtype in (np.uint8, np.uint16):
        return GrayImage(np.asarray(pixels, np.float32) / np.float32(np.iinfo(pixels.dtype).max))
    found = np.asarray(pixels, np.float32)
    if not np.isfinite(found).all() or found.min() < 0 or found.max() > 1:
        raise ImageError(f"array of {pixels.dtype}: expected uint8, uint16, or floating-point numbers from 0 to 1")
    return GrayImage(found)


def open_image(path: Path | str, crop_data_bar: bool = True, span: Span | None = None) -> GrayImage:
    """Decode an image file once.

    Args:
        path: See `read_gray`.
        crop_data_bar: Whether a data bar at the bottom is cut off.
        span: First byte and number of bytes of an image inside another file; such an image has no tags.

    Raises:
        ImageError: The file cannot be used.
    """
    path = Path(path)
    pixels, orientation = read_oriented(path, span)
    rows = find_data_bar(pixels) if crop_data_bar else 0
    pixel_size = read_pixel_size(path) if span is None else None
    return GrayImage(pixels[: len(pixels) - rows], path, pixel_size, rows, orientation)


def decode_image(data: bytes, crop_data_bar: bool = True, most_pixels: int = MAX_PIXELS) -> GrayImage:
    """Decode the content of an image file; its pixel size comes from its own tags.

    Args:
        data: The content.
        crop_data_bar: Whether a data bar at the bottom is cut off.
        most_pixels: More are refused before anything is decoded.

    Raises:
        CannotDecodeError: See `decode_oriented`.
    """
    pixels, orientation = decode_oriented(data, most_pixels)
    rows = find_data_bar(pixels) if crop_data_bar else 0
    return GrayImage(pixels[: len(pixels) - rows], None, pixel_size_in(data), rows, orientation)
