"""Finds the data bar at the bottom of an image: magnification, voltage, scale bar."""

import cv2
import numpy as np
import numpy.typing as npt

_DEEPEST = 0.3  # of the image's height
_LEAST_ROWS = 6
_THICKEST_FRAME = 4  # rows of a line around the bar
_THICKEST_RULE = 5  # rows that text or a rule may cover over the whole width
_FLAT_SHARE = 0.4  # of a row's pixels with the background colour of the bar
_FLAT_ABOVE = 0.35  # the share in the image just above is below this
_TOLERANCE = 3 / 255  # of the image's range; JPEG changes flat colours by so much
_EXACT_SHARE = 0.5  # of these pixels with exactly equal values; a real surface has fewer
_INK = 40 / 255  # of the range; text differs from its background by more
_LEAST_INK, _MOST_INK = 0.003, 0.6  # share of the bar
_FEWEST_SIGNS = 4  # separate characters; a few defects in a plain line are fewer


def find_data_bar(image: npt.NDArray[np.float32]) -> int:
    """Number of rows of the data bar at the bottom of an image [H, W] in [0, 1]; 0 without a bar.

    A bar has one noise-free colour over most of every row, several characters on it, and a sharp upper end.
    """
    height = len(image)
    deepest = int(height * _DEEPEST)
    if deepest < _LEAST_ROWS or image.shape[1] < _FEWEST_SIGNS:
        return 0
    # most images have no bar; with noise, few neighbours along a row are equal
    last = image[-(_THICKEST_FRAME + 2) :]
    if float((last[:, 1:] == last[:, :-1]).mean(axis=1).max()) < _EXACT_SHARE * _FLAT_SHARE:
        return 0
    span = float(image.max() - image.min())
    if span == 0:
        return 0
    # a frame around the bar may be its last rows
    for frame in range(_THICKEST_FRAME + 1):
        rows = _bar_rows(image[: height - frame], deepest, span)
        if rows:
            return rows + frame
    return 0


def crop_data_bar(image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """An image without its data bar, which is at another side if the image was turned."""
    for turns in range(4):
        turned = np.rot90(image, turns)
        rows = find_data_bar(np.ascontiguousarray(turned))
        if rows:
            return np.ascontiguousarray(np.rot90(turned[: len(turned) - rows], -turns))
    return image


def _bar_rows(image: npt.NDArray[np.float32], deepest: int, span: float) -> int:
    ground = np.float32(np.median(image[-2:]))
    part = np.abs(image[-(deepest + _LEAST_ROWS) :] - ground)
    shares = (part <= np.float32(_TOLERANCE * span)).mean(axis=1)
    flat = shares[::-1] >= _FLAT_SHARE
    if not flat[:2].all():
        return 0
    rows = 0
    while rows < len(flat) and flat[rows : rows + _THICKEST_RULE + 1].any():
        rows += 1
    while not flat[rows - 1]:
        rows -= 1
    if not _LEAST_ROWS <= rows <= deepest:
        return 0
    above = shares[: len(shares) - rows][-_LEAST_ROWS:]
    bar = part[-rows:]
    if (bar == 0).mean() < _EXACT_SHARE * float((bar <= np.float32(_TOLERANCE * span)).mean()):
        return 0
    ink = (bar > np.float32(_INK * span)).astype(np.uint8)
    if not _LEAST_INK <= float(ink.mean()) <= _MOST_INK or float(above.mean()) >= _FLAT_ABOVE:
        return 0
    return rows if _count_signs(ink) >= _FEWEST_SIGNS else 0


def _count_signs(ink: npt.NDArray[np.uint8]) -> int:
    """Number of characters that are not connected to the image above."""
    count, _, boxes, _ = cv2.connectedComponentsWithStats(ink, connectivity=8)
    return sum(int(boxes[number][cv2.CC_STAT_TOP]) > 0 for number in range(1, count))
