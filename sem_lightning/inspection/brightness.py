"""Gives an image and its registered reference the same brightness and the same focus."""

import cv2
import numpy as np
import numpy.typing as npt

from sem_lightning.synthesis.field import Float32

Bools = npt.NDArray[np.bool_]

_LEVELS = 16
_FEWEST = 30  # pixels of a level
_SHARED_NOISE = 0.5  # percent of the pixels at either end that set no level
_BLURS = (0.7, 1.0, 1.4, 2.0, 2.8)  # pixels: standard deviations of the blur that is tried on the sharper one
_EDGES = 0.95  # quantile of the gradient from which pixels are edges
_SAME_FOCUS = 0.04  # difference of the slopes of edges, of the slope


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
    if len(before) < 2 * _FEWEST:
        return reference
    low, high = np.percentile(before, [_SHARED_NOISE, 100 - _SHARED_NOISE])
    part = np.clip((before - low) * (_LEVELS / max(float(high - low), 1e-6)), 0, _LEVELS - 1).astype(np.int64)
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


def match_focus(image: Float32, reference: Float32, shown: Bools, scale: float) -> tuple[Float32, Float32]:
    """Image and reference, of which the sharper one is blurred until its edges are as steep as the other's.

    Args:
        image: float32 [H, W].
        reference: float32 [H, W], registered.
        shown: bool [H, W], where the reference shows something.
        scale: Standard deviation of the smoothing before slopes are compared, pixels.
    """
    seen = np.asarray(cv2.GaussianBlur(image, (0, 0), scale), np.float32)
    moved = match_brightness(np.asarray(cv2.GaussianBlur(reference, (0, 0), scale), np.float32), seen, shown)
    steeper = _slope_ratio(seen, moved, shown)
    if abs(steeper - 1) <= _SAME_FOCUS:
        return image, reference
    sharp, other = (seen, moved) if steeper > 1 else (moved, seen)
    found = [(abs(np.log(_slope_ratio(other, _blur(sharp, blur), shown))), blur) for blur in _BLURS]
    blur = min(found)[1]
    return (_blur(image, blur), reference) if steeper > 1 else (image, _blur(reference, blur))


def _blur(image: Float32, sigma: float) -> Float32:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.float32)


def _slope_ratio(image: Float32, reference: Float32, shown: Bools) -> float:
    """Slope of the image's edges over that of the reference's, where the reference is steepest; at least 0.05."""
    (x, y), (a, b) = (
        (cv2.Sobel(each, cv2.CV_32F, 1, 0, ksize=1), cv2.Sobel(each, cv2.CV_32F, 0, 1, ksize=1))
        for each in (reference, image)
    )
    power = np.where(shown, x * x + y * y, 0)
    edges = power >= max(float(np.quantile(power, _EDGES)), 1e-12)
    return max(float(np.sum((a * x + b * y)[edges]) / max(float(np.sum(power[edges])), 1e-12)), 0.05)
