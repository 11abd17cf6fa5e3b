"""Finds where on a design an image lies: its magnification, place and tone."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from sem_lightning.inspection.inspection import Matrix
from sem_lightning.inspection.levels import shrink, without_slow
from sem_lightning.inspection.overlap_correlation import correlate_overlap, find_peaks
from sem_lightning.synthesis.field import Float32

SMALLEST_SCALE, LARGEST_SCALE = 0.2, 5.0  # image pixels a pixel of the design

_COARSE_SIDE, _SIDE = 72, 120  # pixels of the image's longer side in the two rounds of the search
_REACH = 0.28  # of a side, see `correlate_overlap`
_STEP = 1.025  # between scales
_LIKELY_STEPS = 3  # steps to both sides of a scale that is likely
_PEAKS, _CANDIDATES = 6, 4  # scales of the second round, and places that are returned
_NEAR = (0.98, 0.985, 0.99, 0.995, 1.0, 1.005, 1.01, 1.015, 1.02)  # of such a scale
_SURE = 0.85  # correlation from which other scales are not tried
_PLAIN = 0.6  # correlation from which it is the feature that is bright or dark, and not its edges alone
_LEAST_COVER = 0.3  # share of the image's area that a design must have
_EQUAL = 0.005  # correlations of two shifts that differ by no more are equal
_LEAST_SIDE = 12  # pixels in the search
_SMOOTHING = 0.8  # pixels in the search, as `shrink` smooths images


@dataclass(frozen=True, eq=False)
class Placement:
    """Where an image lies on a design.

    Attributes:
        correlation: 0 to 1.
        matrix: float64 [2, 3]: the design's (x, y) of the image's (x, y, 1), pixels.
        edges: Whether only the edges are bright or dark, and both sides of them alike.
        sign: 1 if the feature, or its edges, are brighter than the ground; or -1.
        periods: See `Registration`.
    """

    correlation: float
    matrix: Matrix
    edges: bool
    sign: int
    periods: tuple[tuple[float, float], ...]


def place(image: Float32, coverage: Float32, scale: float | None) -> list[Placement]:
    """Search over scales and all whole shifts at low resolution.

    Args:
        image: float32 [H, W].
        coverage: float32 [h, w], see `Design`.
        scale: Image pixels a pixel of the design; ``None`` searches from 0.2 to 5.

    Returns:
        The best places, best first, exact to about 1 % of the field and of the scale; one if it is sure, none if no
        scale leaves enough to compare.
    """
    if scale is not None:
        tried: list[list[float]] = [[scale]]  # tags may be a percent off
    else:
        likely = _steps(max(a / b for a, b in zip(image.shape, coverage.shape, strict=True)), _LIKELY_STEPS)
        count = round(math.log(LARGEST_SCALE / SMALLEST_SCALE) / math.log(_STEP))
        tried = [likely, list(np.geomspace(SMALLEST_SCALE, LARGEST_SCALE, count + 1))]
    coarse, fine = _Reduced.of(image, _COARSE_SIDE), _Reduced.of(image, _SIDE)
    best: list[Placement] = []
    for scales in tried:
        for edges in (False, True):
            best = sorted([*best, *_search(coarse, fine, coverage, scales, edges)], key=lambda each: -each.correlation)
            if best and best[0].correlation >= _SURE:
                return best[:1]
            if best and best[0].correlation >= _PLAIN:
                break
    return best[:_CANDIDATES]


@dataclass(frozen=True, eq=False)
class _Reduced:
    """An image at low resolution, without slow changes, and the size of its pixels in the image's along x and y."""

    pixels: Float32
    across: float
    down: float

    @staticmethod
    def of(image: Float32, side: int) -> "_Reduced":
        pixels, grid = shrink(image, max(1.0, max(image.shape) / side))
        return _Reduced(pixels, float(grid[0, 0]), float(grid[1, 1]))


def _search(
    coarse: _Reduced, fine: _Reduced, coverage: Float32, scales: Sequence[float], edges: bool
) -> list[Placement]:
    """The best places: of all scales at the coarser resolution, and near the best of these at the finer one."""
    found = [
        (each.correlation if (each := _correlate(coarse, coverage, scale, edges)) else -1.0, scale) for scale in scales
    ]
    around = [-1.0, *(correlation for correlation, _ in found), -1.0]
    peaks = [each for k, each in enumerate(found) if each[0] >= max(around[k], around[k + 2], 0)]
    peaks.sort(reverse=True)
    placed = ([_correlate(fine, coverage, scale * step, edges) for step in _NEAR] for _, scale in peaks[:_PEAKS])
    return [max((each for each in some if each), key=lambda each: each.correlation) for some in placed if any(some)]


def _steps(scale: float, count: int) -> list[float]:
    found: Iterable[float] = (scale * _STEP**step for step in range(-count, count + 1))
    return [each for each in found if SMALLEST_SCALE <= each <= LARGEST_SCALE]


def template(coverage: Float32, edges: bool, sign: int) -> Float32:
    """What an image shows of a smoothed coverage: the feature, or its edges."""
    shown = 4 * coverage * (1 - coverage) if edges else coverage
    return np.asarray(shown if sign > 0 else 1 - shown, np.float32)


def _correlate(image: _Reduced, coverage: Float32, scale: float, edges: bool) -> Placement | None:
    """The best place at one scale."""
    small, pixel = image.pixels, (image.across, image.down)
    height, width = coverage.shape
    sides = round(width * scale / pixel[0]), round(height * scale / pixel[1])
    if min(sides) < _LEAST_SIDE or sides[0] * sides[1] < _LEAST_COVER * small.size:
        return None
    how = cv2.INTER_AREA if sides[0] < width else cv2.INTER_LINEAR
    shrunk = np.asarray(cv2.resize(coverage, sides, interpolation=how), np.float32)
    shown = template(np.asarray(cv2.GaussianBlur(shrunk, (0, 0), _SMOOTHING), np.float32), edges, 1)
    correlation, rows, columns = correlate_overlap(small, without_slow(shown, max(small.shape)), _REACH)
    sign = 1 if correlation.max() >= -correlation.min() else -1
    best, *others = find_peaks(np.asarray(sign * correlation, np.float32), rows, columns, 3)
    step_x, step_y = width / sides[0], height / sides[1]  # of the design, for one pixel of the search
    # x + 1/2 is the distance of a pixel's centre from the outer corner of the first one
    first = (best.x + 0.5 / pixel[0]) * step_x - 0.5, (best.y + 0.5 / pixel[1]) * step_y - 0.5
    matrix = np.array([[step_x / pixel[0], 0, first[0]], [0, step_y / pixel[1], first[1]]])
    periods = [
        (float((peak.x - best.x) * pixel[0]), float((peak.y - best.y) * pixel[1]))
        for peak in others
        if peak.correlation >= best.correlation - _EQUAL
    ]
    return Placement(best.correlation, matrix, edges, sign, tuple(periods))
