"""The bar that microscopes burn into the bottom of an image: magnification, voltage, a scale."""

import numpy as np
import numpy.typing as npt

_DEEPEST = 0.3  # of the image's height
_LEAST_ROWS = 6
_FLAT_SHARE = 0.4  # of a row's pixels that have the bar's ground colour
_TOLERANCE = 3 / 255  # JPEG stirs flat colours by so much
_INK = 60 / 255  # text differs from its ground by more
_LEAST_INK, _MOST_INK = 0.003, 0.6


def find_data_bar(image: npt.NDArray[np.float32]) -> int:
    """Rows at the bottom of an image [H, W] in [0, 1] that are a data bar; 0 where there is none.

    A bar has one colour, free of noise, over most of every row, some writing on it, and ends where the image begins.
    """
    height, _ = image.shape
    # a frame around the bar may be its last rows
    for frame in (0, 1, 2):
        rows = _flat_rows(image[: height - frame], int(height * _DEEPEST))
        if rows:
            return rows + frame
    return 0


def _flat_rows(image: npt.NDArray[np.float32], deepest: int) -> int:
    height = len(image)
    if height < 4 * _LEAST_ROWS or deepest < _LEAST_ROWS:
        return 0
    ground = float(np.median(image[-2:]))
    part = image[height - deepest - _LEAST_ROWS :]
    shares = (np.abs(part - np.float32(ground)) <= np.float32(_TOLERANCE)).mean(axis=1)
    flat = shares[::-1] >= _FLAT_SHARE
    # writing may cross a row or two from side to side
    if not flat[:2].all():
        return 0
    rows = 0
    while rows < len(flat) and flat[rows : rows + 3].any():
        rows += 1
    while rows and not flat[rows - 1]:
        rows -= 1
    if not _LEAST_ROWS <= rows <= deepest:
        return 0
    bar = image[height - rows :]
    above = shares[: len(shares) - rows][-_LEAST_ROWS:]
    ink = float((np.abs(bar - np.float32(ground)) > _INK).mean())
    # an edge of the pattern, in an image without noise, has no writing on it
    return rows if _LEAST_INK <= ink <= _MOST_INK and float(above.mean()) < _FLAT_SHARE / 2 else 0
