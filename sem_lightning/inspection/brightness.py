"""Gives a registered reference the brightness of the image."""

import functools
import math

import numpy as np
import numpy.typing as npt

from sem_lightning.synthesis.field import Float32

Bools = npt.NDArray[np.bool_]

_LEVELS = 16
_FEWEST = 30  # pixels of a level
_SAMPLES = 50_000  # pixels
_GOLDEN_RATIO = (math.sqrt(5) - 1) / 2
_SHARED_NOISE = 0.5  # percent of the pixels at either end that set no level


@functools.lru_cache(maxsize=8)
def sample(count: int) -> npt.NDArray[np.int64]:
    """Which of ``count`` pixels statistics are taken from: all, or 50,000 that are spread evenly.

    Multiples of the golden ratio, modulo 1, are spread evenly, and do not fall on the same columns of an image, which
    could be lines. Read-only, because the array is shared.
    """
    chosen = (
        np.arange(count) if count <= _SAMPLES else (np.arange(_SAMPLES) * _GOLDEN_RATIO % 1 * count).astype(np.int64)
    )
    chosen.flags.writeable = False
    return chosen


def match_brightness(reference: Float32, image: Float32, shown: Bools) -> Float32:
    """The reference with a rising tone curve that fits the image: other gain, offset, gamma.

    The curve joins the medians of the image at equally spaced levels of the reference, so that a few thin lines count
    as much as the ground around them. Both should be smooth, because noise of the reference flattens the curve.

    Args:
        reference: float32 [H, W], registered.
        image: float32 [H, W].
        shown: bool [H, W], where the reference shows something.
    """
    before, wanted = reference[shown], image[shown]
    chosen = sample(len(before))
    before, wanted = before[chosen], wanted[chosen]
    if len(before) < 2 * _FEWEST:
        return reference
    low, high = np.percentile(before, [_SHARED_NOISE, 100 - _SHARED_NOISE])
    part = np.clip((before - low) * (_LEVELS / max(float(high - low), 1e-6)), 0, _LEVELS - 1).astype(np.int16)
    order = np.argsort(part, kind="stable")
    ends = np.cumsum(np.bincount(part, minlength=_LEVELS))
    groups = [group for group in np.split(order, ends[:-1]) if len(group) >= _FEWEST]
    levels = np.array([np.median(before[group]) for group in groups])
    fitted = np.maximum.accumulate([float(np.median(wanted[group])) for group in groups])
    if len(levels) < 2:
        return np.asarray(reference + np.float32(fitted[0] - levels[0]), np.float32)
    # beyond the outermost levels the curve goes on as it rises on average
    rise = (fitted[-1] - fitted[0]) / max(float(levels[-1] - levels[0]), 1e-6)
    levels = np.array([levels[0] - 1, *levels, levels[-1] + 1])
    fitted = np.array([fitted[0] - rise, *fitted, fitted[-1] + rise])
    return np.asarray(np.interp(reference, levels, fitted), np.float32)
