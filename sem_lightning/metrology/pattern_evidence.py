"""Measures how clearly an image shows a pattern, beyond what noise, streaks and shading leave.

Noise of a detector is independent from row to row, grain is correlated over a few pixels, and shading, drift and the
blur of a beam far out of focus have no detail. The edges of a pattern are sharp, run over many pixels and repeat. So
these are measured in a band of spatial frequencies between them:

- ``distant``: the highest autocorrelation at eight rows or more, times the root of the number of pixels over that of
  those that vary together. Noise alone gives 2.5 to 5.
- ``near``: the squared autocorrelation three to nine rows away, summed. Noise gives about 1.
- ``coarse``: the same in the image at half its size.
- ``edges``: how much steeper the steepest twentieth to fiftieth of an image is along its rows than its median. Noise of
  any kind gives 3.5; no streak is steep along the rows.
- ``rows``, ``columns``: whether the means of rows (columns) agree between the strips of an image, and between
  neighbouring rows: lines along the rows do both, streaks only the former.
"""

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from sem_lightning.synthesis.field import Float32

_LARGEST, _SMALLEST = 256, 64  # pixels along a side of what is measured
_BAND = (1.2, 4.0)  # pixels: the band's two Gaussians
_MARGIN = 5  # pixels at the border, where the band depends on what lies outside
_NEAR, _FAR = 3, 8  # rows; correlation of grain and of rescaled or compressed noise has ended
_STREAK = 8.0  # pixels: what is smoother than this along a row may be a streak, and is left to rows and columns
_SPOT = (10.0, 24.0)  # pixels that vary together, in noise and in the coarsest grain
_EDGE = 2.0  # pixels: blur before slopes are measured
_STEEP = 3.45  # of the median slope: the 98th percentile of noise
_MOST_EDGES = 1.2  # a few specks on an even ground have as steep slopes as any edge
_BACKGROUND = 5.0  # pixels: what is smoother than this is no edge
_STRIPS = 8
_SAME = 2.0  # agreement of the strips from which columns have something in common; 1 for noise
_WHITE, _LEAST_WHITE = 4.0, 0.2  # highest correlation of independent columns: of 1 over the root of their number; least
_COARSEST_STEP = 1 / 255  # of full scale: unit of amplitudes below
_OF_SPREAD = 0.02  # smallest unit, of the range of an image's grey levels
# Amplitudes, in units, below which a measure is 0: rounding leaves up to 0.4, shading up to 1.2.
_LEAST_BAND, _LEAST_COARSE, _LEAST_LINES, _LEAST_EDGES = 0.7, 1.5, 2.0, 2.0
_DETAIL = 0.04  # least strength of the band, of the range of grey levels: without edges it is weaker
# Weights of the logarithms of distant, near, coarse and edges over what noise gives, and of rows plus columns; fitted
# by logistic regression to images of benchmarks/usability.py of another seed, and rounded.
_WEIGHTS = {"distant": 6.5, "near": 1.7, "coarse": 4.4, "edges": 6.2, "lines": 7.0}
_NOISE = {"distant": 2.5, "near": 1.0, "coarse": 1.5}
_LEAST = 12.0
_LEAST_TOGETHER = 19.0  # at two sizes, of which neither shows it alone


def shows_pattern(image: Float32) -> bool:
    """Whether a pattern can be seen in an image, float32 [H, W] in [0, 1], at any size from the whole to its pixels."""
    unit = amplitude_unit(image)
    levels = [_without_column_noise(image)]
    while max(levels[-1].shape) > _LARGEST and min(levels[-1].shape) >= 2 * _SMALLEST:
        levels.append(_halved(levels[-1]))
    for level in reversed(levels):
        for part in _parts(level):
            found = _evidence(part, unit)
            if found > _LEAST:
                return True
            lacks = _LEAST_TOGETHER - found  # noise hides large shapes less at half the size
            can_be_halved = level is levels[-1] and min(part.shape) >= 2 * _SMALLEST
            if can_be_halved and lacks < _LEAST and _evidence(_halved(part), unit) > lacks:
                return True
    return False


def _without_column_noise(image: Float32) -> Float32:
    """The image without what is the same along each column and independent of the next: no line is so sharp."""
    if min(image.shape) < _SMALLEST // 2:
        return image
    count = image.shape[0] // _STRIPS * _STRIPS
    strips = _without_shading(cv2.resize(image[:count], (image.shape[1], _STRIPS), interpolation=cv2.INTER_AREA).T)
    profile = strips.mean(axis=1)
    power = float(np.mean(profile * profile))
    agreement = _STRIPS * power / max(float(np.mean(strips * strips)), 1e-30)
    if agreement < _SAME:
        return image
    spectrum = np.abs(np.fft.rfft(profile, 2 * len(profile))) ** 2
    correlation = np.fft.irfft(spectrum)[1 : len(profile) // 2] / (len(profile) * power)
    if float(np.abs(correlation).max()) > max(_WHITE / len(profile) ** 0.5, _LEAST_WHITE):
        return image
    return np.asarray(image - (image.mean(axis=0) - float(image.mean())), np.float32)


def _evidence(image: Float32, unit: float) -> float:
    """The sum of the terms, up to the one that makes it enough."""
    total = 0.0
    for term in _terms(image, unit):
        total += term
        if total > _LEAST:
            break
    return total


def _parts(level: Float32) -> list[Float32]:
    """The whole of a small image, the four parts nearest to the corners of a larger one."""
    starts = [sorted({0, length - min(length, _LARGEST)}) for length in level.shape]
    return [level[top : top + _LARGEST, left : left + _LARGEST] for top in starts[0] for left in starts[1]]


def amplitude_unit(image: Float32) -> float:
    """One step between grey levels, or a fiftieth of their range if that is more; at most one of 8 bits."""
    some = np.unique(image.ravel()[:: max(1, image.size // 1024)])
    step = float(np.diff(some).min()) if len(some) > 1 else _COARSEST_STEP
    low, high = np.percentile(some, [1, 99])
    return min(max(step, _OF_SPREAD * float(high - low)), _COARSEST_STEP)


def _terms(image: Float32, unit: float) -> Iterator[float]:
    """What each measure adds to the evidence, none below 0; the cheapest first."""
    if min(image.shape) < _SMALLEST:
        image = np.asarray(cv2.resize(image, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR), np.float32)
    for each in (image, np.ascontiguousarray(image.T)):
        yield _WEIGHTS["lines"] * _lines(each, _LEAST_LINES * unit)
    yield _WEIGHTS["edges"] * _edges(image, _LEAST_EDGES * unit)
    if min(image.shape) >= _SMALLEST:
        yield _WEIGHTS["coarse"] * _excess(_correlations(_halved(image), _LEAST_COARSE * unit)[1], _NOISE["coarse"])
    distant, near = _correlations(image, _LEAST_BAND * unit)
    yield _WEIGHTS["distant"] * _excess(distant, _NOISE["distant"])
    yield _WEIGHTS["near"] * _excess(near, _NOISE["near"])


def _excess(value: float, noise: float) -> float:
    return float(np.log(max(value / noise, 1.0)))


def _edges(image: Float32, least: float) -> float:
    calm = cv2.GaussianBlur(cv2.medianBlur(np.ascontiguousarray(image), 5), (0, 0), _EDGE)
    slopes = np.abs(cv2.Sobel(calm, cv2.CV_32F, 1, 0, scale=1 / 8)[::2, ::2])
    middle, steep = np.percentile(slopes, [50, 98])
    if steep <= least:
        return 0.0
    return min(max(float(np.log(steep / max(middle, least / 100) / _STEEP)), 0.0), _MOST_EDGES)


def _halved(image: Float32) -> Float32:
    size = (image.shape[1] // 2, image.shape[0] // 2)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.float32)


def _correlations(image: Float32, least: float) -> tuple[float, float]:
    """``distant`` and ``near`` of the module's text; 0 where the band is weaker than ``least``."""
    calm = cv2.medianBlur(np.ascontiguousarray(image), 3)  # without single black or white pixels
    band = cv2.GaussianBlur(calm, (0, 0), _BAND[0]) - cv2.GaussianBlur(calm, (0, 0), _BAND[1])
    band = band[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
    band = band - band.mean(axis=1, keepdims=True)  # streaks differ between rows, and are the same along them
    squares = band * band
    power = float(np.mean(squares))
    low, high = np.percentile(calm[::4, ::4], [1, 99])
    if power <= max(least, _DETAIL * float(high - low)) ** 2:
        return 0.0, 0.0
    # a few spots count as few pixels
    count = band.size * min(1.0, 3 * power * power / float(np.mean(squares * squares)))
    rows, columns = (cv2.getOptimalDFTSize(length) - length for length in band.shape)
    band = cv2.copyMakeBorder(band, 0, rows, 0, columns, cv2.BORDER_CONSTANT, value=0.0)
    spectrum = cv2.dft(band, flags=cv2.DFT_COMPLEX_OUTPUT)
    spectrum = cv2.mulSpectrums(spectrum, spectrum, 0, conjB=True)
    correlation = _autocorrelation(spectrum)
    around = _around(correlation)
    together = min(max(float(around[0].sum()) + 2 * float(around[1:].sum()), _SPOT[0]), _SPOT[1])
    distant = float(np.abs(correlation[_FAR : len(correlation) - _FAR + 1]).max(initial=0.0))
    frequency = np.fft.fftfreq(band.shape[1]).astype(np.float32)
    detail = 1 - np.exp(-2 * np.square(np.pi * _STREAK * frequency))  # streaks that end have little of it
    short = _autocorrelation(spectrum * np.square(detail)[None, :, None])
    return distant * float(np.sqrt(count / together)), 2 * float(_around(short)[_NEAR:].sum())


def _autocorrelation(spectrum: Float32) -> Float32:
    correlation = cv2.idft(spectrum, flags=cv2.DFT_REAL_OUTPUT)
    return np.asarray(correlation / max(float(correlation[0, 0]), 1e-30), np.float32)


def _around(correlation: Float32) -> Float32:
    """The squares at up to nine rows and columns."""
    return np.concatenate([correlation[: _FAR + 2, : _FAR + 2], correlation[: _FAR + 2, -_FAR - 1 :]], axis=1) ** 2


def _lines(image: Float32, least: float) -> float:
    """``rows`` of the module's text."""
    count = image.shape[1] // _STRIPS * _STRIPS
    strips = _without_shading(cv2.resize(image[:, :count], (_STRIPS, len(image)), interpolation=cv2.INTER_AREA))
    profile = strips.mean(axis=1)
    power = float(np.mean(profile * profile))
    if power <= least * least:
        return 0.0
    agreement = _STRIPS * power / float(np.mean(strips * strips))  # 1 for noise, 8 for lines and for streaks
    steps = (2 * float(np.mean(profile[1:] * profile[:-1])) + float(np.mean(profile[2:] * profile[:-2]))) / (3 * power)
    return min(max(agreement - 1.5, 0.0), 3.0) * max(steps, 0.0)


def _without_shading(strips: npt.NDArray[Any]) -> Float32:
    """Means of rows in strips, [H, 8], with what is sharp along them: [H - 10, 8]."""
    strips = np.ascontiguousarray(strips)
    strips = strips - cv2.GaussianBlur(strips, (1, 31), sigmaX=0.1, sigmaY=_BACKGROUND, borderType=cv2.BORDER_REFLECT)
    return np.asarray(strips[_MARGIN:-_MARGIN] - strips[_MARGIN:-_MARGIN].mean(axis=0), np.float32)
