"""Judges two images of one place by what is left of them without their largest difference, which may be a defect."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from sem_lightning.synthesis.field import Float32

_SIDE = 0.28  # of the image's longer side: the square that is left out
_FEWEST = 100  # pixels that are left
_FLAT = 1e-9  # of the variances of both images, below which one of the two is flat
_LIMIT = 2.5  # standard deviations from the mean beyond which brightness is cut off
_ROUNDS = 3
_FAR = 1.5  # times that limit, from which it is worth while


@dataclass(frozen=True)
class Part:
    """A rectangle of an image, in shares of its sides from the upper left corner."""

    left: float
    top: float
    right: float
    bottom: float

    def mask(self, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
        """uint8 of this shape: 0 in the rectangle, 255 elsewhere."""
        height, width = shape
        rows = slice(int(self.top * height), math.ceil(self.bottom * height))
        columns = slice(int(self.left * width), math.ceil(self.right * width))
        used = np.full((height, width), 255, np.uint8)
        used[rows, columns] = 0
        return used


def correlate_without_part(image: Float32, moved: Float32, shown: npt.NDArray[np.bool_]) -> tuple[float, Part]:
    """Correlation without the square whose removal raises it most, and that square.

    A defect that is brighter than the pattern lowers the correlation of a whole image; other places differ everywhere.

    Args:
        image: float32 [H, W].
        moved: float32 [H, W], the reference on the image.
        shown: bool [H, W], where it shows something.

    Returns:
        -1 to 1, or 0 if too little is left; and a square of 0.28 of the longer side, 8 % of the area.
    """
    side = max(int(_SIDE * max(image.shape)), 3) | 1
    nothing = Part(0, 0, 0, 0)
    if np.count_nonzero(shown) < _FEWEST:
        return 0.0, nothing
    a, b = (np.where(shown, each - each[shown].mean(), 0).astype(np.float64) for each in (image, moved))
    count, sum_a, sum_b, power_a, power_b, product = (
        each.sum() - cv2.boxFilter(each, -1, (side, side), normalize=False, borderType=cv2.BORDER_CONSTANT)
        for each in (shown.astype(np.float64), a, b, a * a, b * b, a * b)
    )
    many = np.maximum(count, 1)
    spread = np.maximum(power_a - sum_a**2 / many, 0) * np.maximum(power_b - sum_b**2 / many, 0)
    floor = max(_FLAT * float((a * a).sum() * (b * b).sum()), 1e-12)
    correlation = (product - sum_a * sum_b / many) / np.sqrt(np.maximum(spread, floor))
    correlation[count < _FEWEST] = 0
    y, x = np.unravel_index(int(np.argmax(correlation)), correlation.shape)
    height, width = image.shape
    half = side / 2
    edges = ((x + 0.5 - half) / width, (y + 0.5 - half) / height, (x + 0.5 + half) / width, (y + 0.5 + half) / height)
    return float(correlation[y, x]), Part(*(float(min(max(each, 0), 1)) for each in edges))


def cut_off(image: Float32) -> Float32 | None:
    """An image with its brightness cut off where it is far from the rest's; ``None`` if it is not.

    Args:
        image: float32 [H, W].
    """
    smooth = np.asarray(cv2.GaussianBlur(image, (0, 0), 1.5), np.float32)
    cut, low, high = smooth, -np.inf, np.inf
    for _ in range(_ROUNDS):
        mean, reach = float(cut.mean()), _LIMIT * float(cut.std())
        low, high = mean - reach, mean + reach
        cut = np.clip(cut, low, high)
    beyond = max(float(smooth.max()) - high, low - float(smooth.min()))
    return np.clip(image, low, high) if beyond > (_FAR - 1) * (high - low) / 2 else None
