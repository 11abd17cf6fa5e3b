"""The field of view, and signed distance fields ``phi`` on it: float32 [H, W], nm, positive inside the feature."""

import functools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
Window = tuple[slice, slice]
WHOLE: Window = (slice(None), slice(None))


@dataclass(frozen=True)
class FieldOfView:
    """The imaged area: ``height`` x ``width`` pixels of ``pixel_size`` nm, with the origin in the middle."""

    height: int
    width: int
    pixel_size: float

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.height, self.width

    @property
    def extent(self) -> tuple[float, float]:
        """Height and width in nm."""
        return self.height * self.pixel_size, self.width * self.pixel_size

    def grown(self, margin: int) -> "FieldOfView":
        """The area with ``margin`` more pixels on each side, around the same middle."""
        return FieldOfView(self.height + 2 * margin, self.width + 2 * margin, self.pixel_size)

    def half_extent(self, angle: float) -> tuple[float, float]:
        """Half extent of the image across and along a frame turned by ``angle`` degrees, nm."""
        cos, sin = abs(math.cos(math.radians(angle))), abs(math.sin(math.radians(angle)))
        height, width = self.extent
        return (width * cos + height * sin) / 2, (height * cos + width * sin) / 2

    def axes(self, x: float, y: float, angle: float, window: Window = WHOLE) -> tuple[Float32, Float32]:
        """Coordinates of pixel centres in a frame turned by ``angle`` degrees about the point (x, y).

        Args:
            x: nm to the right of the image's middle.
            y: nm below it.
            angle: At 0 degrees ``across`` is the image's x and ``along`` its y.
            window: The part of the image.

        Returns:
            ``across`` and ``along``, nm, float32 [h, w] each.
        """
        cos, sin = np.float32(math.cos(math.radians(angle))), np.float32(math.sin(math.radians(angle)))
        right = self._positions(self.width, x)[window[1]]
        down = self._positions(self.height, y)[window[0], None]
        across: Float32 = right * cos + down * sin
        along: Float32 = down * cos - right * sin
        return across, along

    def _positions(self, count: int, origin: float) -> Float32:
        return centred(count, self.pixel_size) - np.float32(origin)

    def window(self, x: float, y: float, radius: float) -> Window:
        """The pixels within ``radius`` nm of a point, as slices of rows and columns; empty outside the image."""
        slices = []
        for count, middle in ((self.height, y), (self.width, x)):
            first = (middle - radius) / self.pixel_size + (count - 1) / 2
            last = (middle + radius) / self.pixel_size + (count - 1) / 2
            start = min(max(math.floor(first), 0), count)
            slices.append(slice(start, max(min(math.ceil(last) + 1, count), start)))
        return slices[0], slices[1]

    def contains(self, x: float, y: float, margin: float = 0.0) -> bool:
        """Whether a point lies inside the image, at least ``margin`` nm from its border."""
        height, width = self.extent
        return abs(x) <= width / 2 - margin and abs(y) <= height / 2 - margin


@functools.lru_cache(maxsize=16)
def centred(count: int, step: float) -> Float32:
    """Positions of ``count`` samples around 0. Read-only, because the array is shared."""
    places = (np.arange(count, dtype=np.float32) - np.float32((count - 1) / 2)) * np.float32(step)
    places.flags.writeable = False
    return places


def smooth_union(a: Float32, b: Float32, radius: float) -> Float32:
    """Union of two shapes, its inner corners filled over ``radius`` nm (polynomial smooth maximum, I. Quilez)."""
    blend = np.maximum(np.float32(radius) - np.abs(a - b), np.float32(0))
    union: Float32 = np.maximum(a, b) + blend * blend * np.float32(0.25 / radius)
    return union


def smooth_subtraction(a: Float32, b: Float32, radius: float) -> Float32:
    """``a`` without ``b``, with outer corners rounded over ``radius`` nm."""
    return -smooth_union(-a, b, radius)


def coverage(phi: Float32, pixel_size: float) -> Float32:
    """Share of each pixel that the feature covers, in [0, 1]: the anti-aliased geometry."""
    share: Float32 = phi * np.float32(1 / pixel_size)
    share += np.float32(0.5)
    return np.clip(share, 0, 1, out=share)
