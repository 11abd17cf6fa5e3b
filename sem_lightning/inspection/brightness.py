"""Gives a registered reference the brightness of the image."""

import itertools

import numpy as np
import numpy.typing as npt

from sem_lightning.synthesis.field import Float32

_LEVELS = 16
_FEWEST = 50  # pixels of a level


def match_brightness(reference: Float32, image: Float32, shown: npt.NDArray[np.bool_]) -> Float32:
    """The reference with a rising tone curve that fits the image: other gain, offset, gamma.

    The curve joins the medians of the image at levels of the reference that hold equally many pixels. Both should be
    smooth, because noise of the reference flattens the curve.

    Args:
        reference: float32 [H, W], registered.
        image: float32 [H, W].
        shown: bool [H, W], where the reference shows something.
    """
    before, wanted = reference[shown], image[shown]
    count = min(_LEVELS, len(before) // _FEWEST)
    if count < 2:
        return reference
    limits = np.quantile(before, np.linspace(0, 1, count + 1)[1:-1])
    part = np.searchsorted(limits, before)
    order = np.argsort(part, kind="stable")
    edges = np.searchsorted(part[order], np.arange(count + 1))
    groups = [order[start:end] for start, end in itertools.pairwise(edges) if end > start]
    levels = np.array([np.median(before[group]) for group in groups])
    fitted = np.maximum.accumulate([float(np.median(wanted[group])) for group in groups])
    # beyond the outermost levels the curve goes on as it rises on average
    rise = (fitted[-1] - fitted[0]) / max(float(levels[-1] - levels[0]), 1e-6)
    levels = np.array([levels[0] - 1, *levels, levels[-1] + 1])
    fitted = np.array([fitted[0] - rise, *fitted, fitted[-1] + rise])
    return np.asarray(np.interp(reference, levels, fitted), np.float32)
