"""Says why an image cannot be judged: it shows no pattern, is saturated, defocused, partly blank or too small.

The limits were set on 4,644 simulated images and 2,420 pictures without a pattern, and measured on others
(`benchmarks/usability.py`; docs/results/usability.md has the figures).
"""

import cv2
import numpy as np
import numpy.typing as npt

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
_NOISY = 8 / 255  # median of the differences that neither lines nor streaks have; of noise with a deviation of 2 / 255
_ELSEWHERE = 0.05  # share of the other rows' pixels with the blank rows' grey level
_REPEATED = 1 / 8  # share of the rows that are one row
_SOME = 8  # columns from one to the next of those that are looked at first
_DARK, _BRIGHTER = 24 / 255, 0.01  # of full scale, a row without signal; share of its pixels that may exceed it
_SUDDEN, _NEIGHBOURS = 0.5, 5  # brightness of the first row with a signal, of the brightest of so many rows there
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
    if blank >= _BLANK or any(_is_broken_off(each) for each in (image, image.T)):
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
    """Share of the rows that a broken scan left in one piece: one grey level, beside rows that were scanned.

    A drawing without noise has even rows, too; so without noise only black or white rows count, where other rows are
    neither, or at least half of the image.
    """
    low, high = image.min(axis=1), image.max(axis=1)
    even = high - low <= _EVEN
    if not even.any():
        return 0.0
    level = float(np.median(low[even]))
    first, last = _longest_run(even & (np.abs(low - level) <= _EVEN))
    share, rest = (last - first) / len(image), np.delete(image, slice(first, last), axis=0)
    if share >= _EMPTY or _is_noisy(rest):
        return share
    is_cut = level in (0.0, 1.0) and (share >= _MOSTLY or float(np.mean(rest == level)) <= _ELSEWHERE)
    return share if is_cut else 0.0


def _is_broken_off(image: Float32) -> bool:
    """Whether a scan goes on with its last row, or with the noise of a detector without signal."""
    return _repeated_share(image) >= _REPEATED or _dark_share(image) >= _BLANK


def _repeated_share(image: Float32) -> float:
    """Share of the rows that are one row, without any noise, beside rows that have noise."""
    for columns in (image[:, ::_SOME], image):  # some of them rule it out at little cost
        first, last = _longest_run(_repeats(columns))
        if last - first < _REPEATED * len(image):
            return 0.0
    if float(np.abs(image[first:last] - image[(first + last) // 2]).max()) > _EVEN:  # a gradual change
        return 0.0
    return (last - first) / len(image) if _is_noisy(np.delete(image, slice(first, last), axis=0)) else 0.0


def _repeats(image: Float32) -> npt.NDArray[np.bool_]:
    """Whether each row is the one before it."""
    same = np.abs(np.diff(image, axis=0)).max(axis=1) <= _EVEN
    return np.concatenate([[False], same])


def _longest_run(found: npt.NDArray[np.bool_]) -> tuple[int, int]:
    """The first row of the longest sequence of those that were found, and the row after its last."""
    others = np.concatenate([[-1], np.flatnonzero(~found), [len(found)]])
    longest = int(np.argmax(np.diff(others)))
    return int(others[longest]) + 1, int(others[longest + 1])


def _dark_share(image: Float32) -> float:
    """Share of the rows at the upper or lower end that are darker than all others, without a gradual edge."""
    dark = np.mean(image > _DARK, axis=1) <= _BRIGHTER
    upper, lower = int(np.argmin(dark)), int(np.argmin(dark[::-1]))
    count = max(upper, lower)
    if count < _BLANK * len(image):  # also if all are dark
        return 0.0
    image = image if upper >= lower else image[::-1]
    part, rest = image[:count], image[count:]
    if float(np.mean(rest <= float(np.percentile(part, 99)))) > _ELSEWHERE:
        return 0.0
    rise = rest[:_NEIGHBOURS].mean(axis=1) - float(part.mean())
    return count / len(image) if float(rise[0]) >= _SUDDEN * float(rise.max()) else 0.0


def _is_noisy(image: Float32) -> bool:
    """Whether neighbouring pixels differ by noise, as in any scan, and not in a drawing."""
    mixed = np.diff(np.diff(image, n=2, axis=1), n=2, axis=0)
    return mixed.size > 0 and float(np.median(np.abs(mixed))) >= _NOISY


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
