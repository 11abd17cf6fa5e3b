"""How much of an image repeats in a second image of the same place, given its noise."""

import cv2
import numpy as np

from sem_lightning.synthesis.field import Float32

_LEAST = 0.01


def split_half_reliability(image: Float32, factor: float) -> float:
    """Correlation that a second image with the same noise would have, after both are reduced.

    The even and the odd rows are two images with independent noise; twice as many rows have less of it (C. Spearman, W.
    Brown, Brit. J. Psychol. 3, 271 and 296 (1910)).

    Args:
        image: float32 [H, W].
        factor: Reduction of each side.

    Returns:
        0.01 to 1.
    """
    height, width = image.shape
    if height < 4:
        return _LEAST
    sides = (max(round(width / factor), 1), max(round(height / factor), 1))
    sigma = max(0.8 * factor, 1.0)
    halves = []
    for first in (0, 1):
        rows = np.ascontiguousarray(image[first : height // 2 * 2 : 2])
        smooth = cv2.GaussianBlur(rows, (0, 0), sigmaX=sigma, sigmaY=sigma / 2)
        half = cv2.resize(smooth, sides, interpolation=cv2.INTER_AREA if factor >= 2 else cv2.INTER_LINEAR)
        halves.append(half - cv2.blur(half, (sides[0] // 4 * 2 + 1, sides[1] // 4 * 2 + 1)))
    if min(float(np.ptp(half)) for half in halves) == 0:
        return _LEAST
    shared = float(np.corrcoef(halves[0].ravel(), halves[1].ravel())[0, 1])
    return float(np.clip(2 * shared / (1 + shared), _LEAST, 1)) if shared > 0 else _LEAST
