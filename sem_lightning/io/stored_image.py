"""The pixels of a file as stored, and how they are meant."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sem_lightning.io.limits import CannotDecodeError
from sem_lightning.io.orientation import AS_STORED, turn

_AT_ONCE = 1 << 20  # pixels


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

        Whole numbers are divided by white. Floating-point numbers are unchanged if they are in [0, 1], else stretched.

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
    stretched = low < 0 or high > 1
    rows = max(1, _AT_ONCE // image.shape[1])
    for start in range(0, len(image), rows):
        part = image[start : start + rows].astype(np.float64)  # the range of large float32 numbers is beyond float32
        if stretched:
            part = (part - low) / (high - low) if high > low else np.zeros_like(part)
        found[start : start + rows] = part
    return found
