"""A grey image with the metadata of its file."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sem_lightning.io.data_bar import find_data_bar
from sem_lightning.io.images import Span, read_gray
from sem_lightning.io.pixel_size import read_pixel_size


@dataclass(frozen=True)
class GrayImage:
    """A grey image without its data bar.

    Attributes:
        pixels: float32 [H, W] in [0, 1].
        path: Its file, if any.
        pixel_size: Width of a pixel in nm, if known.
        data_bar_rows: Rows of the data bar that were cropped at the bottom.
    """

    pixels: npt.NDArray[np.float32]
    path: Path | None = None
    pixel_size: float | None = None
    data_bar_rows: int = 0


def open_image(path: Path, crop_data_bar: bool = True, span: Span | None = None) -> GrayImage:
    """Decode an image file once.

    Args:
        path: See `read_gray`.
        crop_data_bar: Whether a data bar at the bottom is cropped.
        span: First byte and number of bytes of an image inside another file; such an image has no tags.

    Raises:
        ImageError: The file cannot be used.
    """
    pixels = read_gray(path, span)
    rows = find_data_bar(pixels) if crop_data_bar else 0
    pixel_size = read_pixel_size(path) if span is None else None
    return GrayImage(pixels[: len(pixels) - rows], path, pixel_size, rows)
