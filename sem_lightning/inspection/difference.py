"""Compares an image with its registered reference: how unlikely each difference is in a pair without defects."""

import math
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from sem_lightning.inspection.brightness import match_brightness, sample
from sem_lightning.synthesis.field import Float32

Bools = npt.NDArray[np.bool_]

_SCALES = (1.5, 3.0)  # pixels: standard deviations of the smoothing, for small and for larger defects
_BORDER = 6  # pixels along the edge of what the reference shows that are not compared
_SLOW = 8  # a side holds so many standard deviations of the blur whose result is slow change of brightness
_CLIPPED = 2.0  # standard deviations beyond which a difference does not count as slow change
_GROUPS = 10  # of pixels with similar gradients
_SHARE = 0.9  # quantile of a group's differences from which its standard deviation comes
_AT_SHARE = 1.645  # of a standard normal distribution's absolute value
# Line ends and corners are displaced by more than straight edges, and change by more with focus. These factors of the
# spread at edges were chosen on 600 pairs of dense metal (seed 2902).
AT_EDGES = 2.0  # for the spread that edges add to that of flat areas, at the same gradient
NEAR_EDGES = 0.4  # for the spread at the steepest edges, which may lie beside any pixel
_FEWEST = 100  # pixels that can be compared
_LEAST_SPREAD = 1e-4  # of white
_SCORES = (3.0, 3.5, 4.0, 4.5, 5.0, 5.5, 6.0, 7.0, 8.0)
# Places above these in a million pixels of clean pairs
_RATES = (110.9, 24.5, 5.72, 1.64, 0.64, 0.40, 0.20, 0.13, 0.07)
# The same rates for the network in the package: by itself, and joined with the difference and the pair's noise
# (`PlaceClassifier.rate`)
_NETWORK_LOG_ODDS = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)
_NETWORK_RATES = (83.5, 48.6, 19.3, 7.03, 2.48, 0.80, 0.23)
_LOG_ODDS = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0)
_RATES_BY_ODDS = (95.9, 77.0, 46.4, 17.5, 5.82, 1.54, 0.27, 0.03)


def compare(
    image: Float32, reference: Float32, shown: Bools, at_edges: float = AT_EDGES, near_edges: float = NEAR_EDGES
) -> Float32:
    """The difference in standard deviations of those that noise and roughness make in this pair.

    The pair itself says what noise and roughness make, because nearly all of it has no defect: pixels are grouped by
    the reference's gradient, since a displaced edge changes brightness by its gradient, and each group's spread is
    taken from a quantile that defects do not reach. The result is the larger one of two scales.

    Args:
        image: float32 [H, W] in [0, 1].
        reference: float32 [H, W], registered.
        shown: bool [H, W], where the reference shows something.
        at_edges: Factor of the spread that edges add to that of flat areas.
        near_edges: Share of the spread at the steepest edges that counts everywhere.

    Returns:
        float32 [H, W], positive where the image is brighter; 0 where nothing can be compared.
    """
    used = find_compared(shown)
    if np.count_nonzero(used) < _FEWEST:
        return np.zeros(image.shape, np.float32)
    scores = [_compare_at(image, reference, used, scale, (at_edges, near_edges)) for scale in _SCALES]
    return np.asarray(np.where(np.abs(scores[0]) >= np.abs(scores[1]), scores[0], scores[1]), np.float32)


def find_compared(shown: Bools) -> Bools:
    """Where `compare` compares: what the reference shows, without a strip of 6 pixels along its edge."""
    inside = np.ones((2 * _BORDER + 1, 2 * _BORDER + 1), np.uint8)
    return cv2.erode(shown.astype(np.uint8), inside, borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0


def share_compared(shown: Sequence[Bools]) -> float:
    """Share of an image, without the strip along its own edge, that is compared with at least one of its references."""
    compared = np.any([find_compared(each) for each in shown], axis=0)
    whole = int(np.count_nonzero(find_compared(np.ones(compared.shape, np.bool_))))
    return int(np.count_nonzero(compared)) / max(whole, 1)


def _compare_at(image: Float32, reference: Float32, used: Bools, scale: float, edges: tuple[float, float]) -> Float32:
    smooth, moved = (np.asarray(cv2.GaussianBlur(each, (0, 0), scale), np.float32) for each in (image, reference))
    moved = match_brightness(moved, smooth, used)
    difference = np.where(used, smooth - moved, np.float32(0))
    chosen = np.flatnonzero(used)[sample(int(np.count_nonzero(used)))]
    spread = max(float(np.median(np.abs(difference.flat[chosen]))) / 0.6745, _LEAST_SPREAD)
    difference = difference - _slow_change(np.clip(difference, -_CLIPPED * spread, _CLIPPED * spread), used)
    steep = cv2.dilate(_gradient(moved), np.ones((3, 3), np.uint8))
    levels, spreads = _spread_by_gradient(difference.flat[chosen], np.asarray(steep, np.float32).flat[chosen])
    by_edges = np.sqrt(np.maximum(spreads**2 - spreads[0] ** 2, 0))
    spreads = np.sqrt(spreads[0] ** 2 + (edges[0] * by_edges) ** 2 + (edges[1] * by_edges[-1]) ** 2)
    expected = np.interp(steep, levels, np.maximum(spreads, spread)).astype(np.float32)
    return np.asarray(np.where(used, difference / expected, 0), np.float32)


def _slow_change(difference: Float32, used: Bools) -> Float32:
    """The difference blurred by an eighth of the side, over the pixels that are compared."""
    height, width = difference.shape
    sides = (max(width // 4, 1), max(height // 4, 1))
    sigma = max(max(sides) / _SLOW, 0.5)
    weight, total = (
        cv2.GaussianBlur(cv2.resize(each, sides, interpolation=cv2.INTER_AREA), (0, 0), sigma)
        for each in (used.astype(np.float32), np.where(used, difference, np.float32(0)))
    )
    return np.asarray(cv2.resize(total / np.maximum(weight, 0.05), (width, height)), np.float32)


def _gradient(image: Float32) -> Float32:
    x = cv2.Sobel(image, cv2.CV_32F, 1, 0, ksize=1, scale=0.5)
    y = cv2.Sobel(image, cv2.CV_32F, 0, 1, ksize=1, scale=0.5)
    return np.asarray(cv2.magnitude(x, y), np.float32)


def _spread_by_gradient(difference: Float32, steep: Float32) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Gradients, rising, and the standard deviation of the differences there, which does not fall."""
    size = np.abs(difference)
    parts = np.array_split(np.argsort(steep), min(_GROUPS, len(steep)))
    levels = np.array([float(steep[part].mean()) for part in parts])
    spreads = np.array([float(np.quantile(size[part], _SHARE)) / _AT_SHARE for part in parts])
    return levels, np.maximum.accumulate(spreads)


def least_score(false_places: float, area: float) -> float:
    """The score above which a clean pair shows ``false_places`` places on average.

    The rate is that of 600 simulated clean pairs whose images differ in contrast, focus, dose and roughness
    (`benchmarks/inspection.py --calibrate`), joined by straight lines in its logarithm.

    Args:
        false_places: Expected number for the whole image, above 0.
        area: Pixels that are compared.
    """
    return at_rate(false_places * 1e6 / max(area, 1), _SCORES, _RATES)


def least_log_odds(false_places: float, area: float) -> float:
    """The same for the log odds of a network's places.

    The rates are those of one network of ``experiment=reference``; another one may have others.
    """
    return at_rate(false_places * 1e6 / max(area, 1), _LOG_ODDS, _RATES_BY_ODDS)


def odds_of_score(score: float) -> float:
    """The log odds above which a network shows as many false places as the difference does above a score."""
    scores, rates = np.array(_SCORES), np.log10(_RATES)
    if score > scores[-1]:
        rate = rates[-1] + (score - scores[-1]) * (rates[-1] - rates[-2]) / (scores[-1] - scores[-2])
    else:
        rate = np.interp(score, scores, rates)
    return at_rate(float(10**rate), _NETWORK_LOG_ODDS, _NETWORK_RATES)


def at_rate(rate: float, values: tuple[float, ...], rates: tuple[float, ...]) -> float:
    """The value at which falling rates reach one.

    Between the known rates, and beyond the least, their logarithms are straight lines.
    """
    wanted, known = math.log10(rate), np.log10(rates)
    if wanted <= known[-1]:
        slope = (values[-1] - values[-2]) / (known[-1] - known[-2])
        return float(values[-1] + (wanted - known[-1]) * slope)
    return float(np.interp(-wanted, -known, values))
