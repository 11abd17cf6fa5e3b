"""The field of view, and signed distance fields ``phi`` on it: float32 [H, W], nm, positive inside the feature."""

import functools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class FieldOfView:
    """What the microscope sees: ``height`` x ``width`` pixels of ``pixel_size`` nm, its origin in the middle."""

    height: int
    width: int
    pixel_size: float

    @property
    def extent(self) -> tuple[float, float]:
        """Height and width in nm."""
        return self.height * self.pixel_size, self.width * self.pixel_size

    def half_extent(self, angle: float) -> tuple[float, float]:
        """How far the image reaches from its middle, across and along a frame turned by ``angle`` degrees, nm."""
        cos, sin = abs(math.cos(math.radians(angle))), abs(math.sin(math.radians(angle)))
        height, width = self.extent
        return (width * cos + height * sin) / 2, (height * cos + width * sin) / 2

    def axes(self, angle: float) -> tuple[Float32, Float32]:
        """Coordinates of every pixel's middle in a frame turned by ``angle`` degrees.

        Returns:
            ``across`` and ``along``, nm, [H, W] each: at 0 degrees ``across`` is the image's x (to the right) and
            ``along`` its y (downwards). Shared between calls: never write into them.
        """
        return _axes(self, angle)

    def contains(self, across: float, along: float, angle: float) -> bool:
        """Whether a point given in the turned frame lies inside the image."""
        cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        x, y = across * cos - along * sin, across * sin + along * cos
        height, width = self.extent
        return abs(x) <= width / 2 and abs(y) <= height / 2


@functools.lru_cache(maxsize=8)
def _axes(view: FieldOfView, angle: float) -> tuple[Float32, Float32]:
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    x = (np.arange(view.width, dtype=np.float32) - (view.width - 1) / 2) * np.float32(view.pixel_size)
    y = (np.arange(view.height, dtype=np.float32)[:, None] - (view.height - 1) / 2) * np.float32(view.pixel_size)
    across = (x * np.float32(cos) + y * np.float32(sin)).astype(np.float32)
    along = (y * np.float32(cos) - x * np.float32(sin)).astype(np.float32)
    across.flags.writeable = along.flags.writeable = False
    return across, along


def smooth_union(a: Float32, b: Float32, radius: float) -> Float32:
    """Union of two shapes, its inner corners filled over ``radius`` nm (polynomial smooth maximum, I. Quilez)."""
    blend = np.maximum(np.float32(radius) - np.abs(a - b), np.float32(0))
    union: Float32 = np.maximum(a, b) + blend * blend * np.float32(0.25 / radius)
    return union


def smooth_subtraction(a: Float32, b: Float32, radius: float) -> Float32:
    """What is left of ``a`` without ``b``, its outer corners rounded over ``radius`` nm."""
    return -smooth_union(-a, b, radius)


def coverage(phi: Float32, pixel_size: float) -> Float32:
    """Share of each pixel that the feature covers, in [0, 1]: the anti-aliased picture of the geometry."""
    share: Float32 = np.clip(phi * np.float32(1 / pixel_size) + np.float32(0.5), 0, 1)
    return share
