"""Says why an image cannot be judged: it shows no pattern, is saturated, defocused, partly blank or too small.

The limits were set on 2,322 simulated images and 1,380 pictures without a pattern, drawn with one seed, and measured on
others (`benchmarks/usability.py`; docs/results/usability.md has the figures).
"""

import cv2
import numpy as np

from sem_lightning.metrology.pattern_evidence import amplitude_unit, shows_pattern
from sem_lightning.synthesis.field import Float32

NO_PATTERN, SATURATED, DEFOCUSED = "no pattern", "saturated", "defocused"
PARTLY_BLANK, TOO_SMALL = "partly blank", "too small"
FAULTS = (NO_PATTERN, SATURATED, DEFOCUSED, PARTLY_BLANK, TOO_SMALL)

SMALLEST = 32  # pixels along a side; in fewer a pattern cannot be told from noise
_BLANK = 0.1  # share of the rows, or columns, that are blank
_LITTLE, _LEVELS = 1 / 32, 32  # of full scale; grey levels from which such a file is not merely dark
_EMPTY = 0.9  # share from which nothing is left
_EVEN = 1.5 / 255  # of full scale: range of the grey levels of a blank row
_MOSTLY = 0.5
_NOISY = 0.9 / 255  # median second difference along the rows of a scan
_ELSEWHERE = 0.05  # share of the other rows' pixels with the blank rows' grey level
_CLIPPED = 0.5  # share of black or white pixels
_COARSE = 32  # pixels along the longer side of what is left of a picture out of focus
_SMOOTH, _VISIBLE = 0.6, 1.0  # correlation of neighbouring pixels then, and their least deviation in amplitude units


def find_fault(image: Float32, smallest: int = SMALLEST) -> str | None:
    """Why an image cannot be judged, one of ``FAULTS``; ``None`` for an image that shows a pattern.

    Args:
        image: float32 [H, W] in [0, 1], without its data bar.
        smallest: Pixels along its shorter side below which it is too small. Below 32 only flat images are recognised.
    """
    if min(image.shape) < smallest:
        return TOO_SMALL
    image = _stretched(image)
    blank = max(_blank_share(image), _blank_share(image.T))
    if blank >= _EMPTY:
        return SATURATED if float(image.mean()) > 0.99 else NO_PATTERN
    if blank >= _BLANK:
        return PARTLY_BLANK
    if min(image.shape) < SMALLEST or shows_pattern(image):
        return None
    if max(float(np.mean(image <= 0)), float(np.mean(image >= 1))) > _CLIPPED:
        return SATURATED
    return DEFOCUSED if _is_blurred(image) else NO_PATTERN


def _stretched(image: Float32) -> Float32:
    """The image with white at its brightest pixel, where a file uses little of its range: 8 bits in a file of 16.

    A few grey levels are left as they are, because they are the rounding of a dark image.
    """
    brightest = float(image.max())
    if not 0 < brightest < _LITTLE or len(np.unique(image)) < _LEVELS:
        return image
    return np.asarray(image / np.float32(brightest), np.float32)


def _blank_share(image: Float32) -> float:
    """Share of the rows that a broken scan left: one grey level along each, beside rows that were scanned.

    A drawing without noise has even rows, too; so without noise only black or white rows count, where other rows are
    neither, or at least half of the image.
    """
    low, high = image.min(axis=1), image.max(axis=1)
    even = high - low <= _EVEN
    if not even.any():
        return 0.0
    level = float(np.median(low[even]))
    blank = even & (np.abs(low - level) <= _EVEN)
    share, rest = float(blank.mean()), image[~blank]
    if share >= _MOSTLY or not rest.size or rest.shape[1] < 3:
        return share
    if float(np.median(np.abs(np.diff(rest, n=2, axis=1)))) >= _NOISY:
        return share
    is_cut = level in (0.0, 1.0) and float(np.mean(rest == level)) <= _ELSEWHERE
    return share if is_cut else 0.0


def _is_blurred(image: Float32) -> bool:
    """Whether structure is left at a scale without edges, apart from shading and from bands along the rows."""
    shrink = max(max(image.shape) / _COARSE, 1.0)
    size = (max(round(image.shape[1] / shrink), 4), max(round(image.shape[0] / shrink), 4))
    coarse = cv2.resize(np.ascontiguousarray(image), size, interpolation=cv2.INTER_AREA).astype(np.float64)
    y, x = (axis.ravel() for axis in np.mgrid[-1 : 1 : size[1] * 1j, -1 : 1 : size[0] * 1j])
    shading = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)
    left = coarse.ravel() - shading @ np.linalg.lstsq(shading, coarse.ravel(), rcond=None)[0]
    left = left.reshape(coarse.shape)
    left -= left.mean(axis=1, keepdims=True)
    power = float(np.mean(left * left))
    if power <= (_VISIBLE * amplitude_unit(image)) ** 2:
        return False
    return min(float(np.mean(left[1:] * left[:-1])), float(np.mean(left[:, 1:] * left[:, :-1]))) > _SMOOTH * power
