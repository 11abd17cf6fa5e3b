"""Correlation of two images at every whole shift, over the pixels that both show."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import scipy.fft

from sem_lightning.synthesis.field import Float32

Float64 = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_FLAT = 1e-5  # of the largest product of both variances, below which one of the two images is flat


@dataclass(frozen=True, eq=False)
class Peak:
    """A local maximum of the correlation.

    Attributes:
        correlation: -1 to 1.
        x: Column of the reference at which the image's first column lies, minus that column.
        y: The same for rows.
    """

    correlation: float
    x: int
    y: int


def correlate_overlap(image: Float32, reference: Float32, reach: float) -> tuple[Float32, Integers, Integers]:
    """Pearson's correlation of two images where they overlap (D. Padfield, IEEE Trans. Image Process. 21, 2706 (2012)).

    Phase correlation weighs all frequencies equally, so that noise hides the pattern; this one does not.

    Args:
        image: float32 [H, W].
        reference: float32 [h, w].
        reach: How far the smaller one may stand out of the larger one, as a share of its own side.

    Returns:
        float32 [n, m], and the shifts of its rows (int [n]) and columns (int [m]): at a shift (x, y) the image's pixel
        (column, row) lies on the reference's (column + x, row + y).
    """
    sides = list(zip(image.shape, reference.shape, strict=True))
    out = [int(reach * min(a, b)) for a, b in sides]
    shifts = [
        np.arange(min(0, b - a) - most, max(0, b - a) + most + 1) for (a, b), most in zip(sides, out, strict=True)
    ]
    padded = [scipy.fft.next_fast_len(max(a, b) + most, real=True) for (a, b), most in zip(sides, out, strict=True)]
    spectra = (scipy.fft.rfft2(each, padded) for each in (image, reference))
    product = np.conj(next(spectra)) * next(spectra)
    products = scipy.fft.irfft2(product, padded)[np.ix_(*(each % n for each, n in zip(shifts, padded, strict=True)))]
    first = [np.maximum(0, -each) for each in shifts]
    last = [np.minimum(a, b - each) for (a, b), each in zip(sides, shifts, strict=True)]
    count = np.outer(*(np.maximum(end - start, 1) for start, end in zip(first, last, strict=True)))
    sum_a, power_a = _sums(image, first, last)
    moved = [[edge + each for edge, each in zip(edges, shifts, strict=True)] for edges in (first, last)]
    sum_b, power_b = _sums(reference, *moved)
    spread = np.maximum(power_a - sum_a**2 / count, 0) * np.maximum(power_b - sum_b**2 / count, 0)
    # where one of them is flat, the quotient would be the rounding errors'
    floor = max(1e-12, _FLAT * float(spread.max()))
    correlation = (products - sum_a * sum_b / count) / np.sqrt(np.maximum(spread, floor))
    return np.asarray(correlation, np.float32), shifts[0], shifts[1]


def _sums(image: Float32, first: list[Integers], last: list[Integers]) -> tuple[Float64, Float64]:
    """Sum and sum of squares over the rectangle of each shift."""
    totals = []
    for table in (np.asarray(each, np.float64) for each in cv2.integral2(image)):
        bands = np.take(table, last[0], axis=0) - np.take(table, first[0], axis=0)
        totals.append(np.take(bands, last[1], axis=1) - np.take(bands, first[1], axis=1))
    return totals[0], totals[1]


def find_peaks(correlation: Float32, rows: Integers, columns: Integers, most: int, apart: int = 3) -> list[Peak]:
    """The highest local maxima of `correlate_overlap`, highest first, more than ``apart`` pixels from each other."""
    highest = cv2.dilate(correlation, np.ones((2 * apart + 1, 2 * apart + 1), np.uint8))
    at_y, at_x = np.nonzero(correlation >= highest)
    order = np.argsort(-correlation[at_y, at_x])[:most]
    return [
        Peak(float(correlation[y, x]), int(columns[x]), int(rows[y]))
        for y, x in zip(at_y[order], at_x[order], strict=True)
    ]
