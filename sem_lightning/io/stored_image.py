"""The pixels of a file as stored, and how they are meant."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sem_lightning.io.limits import CannotDecodeError
from sem_lightning.io.orientation import AS_STORED, turn

_AT_ONCE = 1 << 20  # pixels
_WHITE_OF_16_BITS = 65535


@dataclass
class StoredImage:
    """A decoded image.

    Attributes:
        pixels: uint8, uint16 or floating-point numbers [H, W], as stored.
        white: Value of white, for whole numbers.
        negative: Whether 0 stands for white.
        orientation: 1 to 8, as in EXIF and TIFF: how the pixels are turned to be shown.
    """

    pixels: npt.NDArray[Any]
    white: int = 255
    negative: bool = False
    orientation: int = AS_STORED

    def brightness(self) -> npt.NDArray[np.float32]:
        """float32 [H, W] in [0, 1] as shown. The pixels are given up, since a second copy may not fit in memory.

        Whole numbers are divided by white. Floating-point numbers are unchanged if they are in [0, 1];
        whole ones up to 255 or 65535 are divided by that; others are stretched.

        Raises:
            CannotDecodeError: Numbers that are not finite.
        """
        image, self.pixels = turn(self.pixels, self.orientation), np.empty((0, 0))
        if image.dtype.kind == "f":
            found = _from_floats(image)
            return np.subtract(np.float32(1), found, out=found) if self.negative else found
        if self.negative:
            image = image.dtype.type(self.white) - image
        found = image.astype(np.float32)
        found /= np.float32(self.white)
        return found


def _from_floats(image: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    low, high = float(image.min()), float(image.max())
    if not math.isfinite(high - low):  # NaN makes both NaN
        raise CannotDecodeError("holds numbers that are not finite (NaN or infinite); fill or cut those pixels")
    found = image if image.dtype == np.float32 else np.empty(image.shape, np.float32)
    if 1 < high <= _WHITE_OF_16_BITS and low >= 0 and _are_whole(image):  # integers that a program converted
        low, high = 0.0, float(255 if high <= 255 else _WHITE_OF_16_BITS)
    stretched = low < 0 or high > 1
    for part, rows in _blocks(image):
        part = part.astype(np.float64)  # the range of large float32 numbers is beyond float32
        if stretched:
            part = (part - low) / (high - low) if high > low else np.zeros_like(part)
        found[rows] = part
    return found


def _are_whole(image: npt.NDArray[Any]) -> bool:
    return all(bool((np.rint(part) == part).all()) for part, _ in _blocks(image))


def _blocks(image: npt.NDArray[Any]) -> Iterator[tuple[npt.NDArray[Any], slice]]:
    """Some rows at a time, since a copy of a large image may not fit in memory."""
    count = max(1, _AT_ONCE // image.shape[1])
    for start in range(0, len(image), count):
        rows = slice(start, start + count)
        yield image[rows], rows
