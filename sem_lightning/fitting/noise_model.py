"""Measures noise, grain and uneven scan lines in flat parts of an image."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from sem_lightning.synthesis.field import Float32

_LEVELS = 12  # brightness levels at which variances are compared
_FURTHEST = 40  # pixels from an edge beyond which its bloom is negligible
_FEWEST = 200  # pixels
_FLAT = 2.5  # pixels from an edge from which a surface counts as flat
_STUCK = 0.3  # of full scale; a stuck pixel differs at least so much from its neighbours
_LEAST_ELECTRONS = 0.3  # share of the variance; the digitiser's noise is not known better
_AWAY = 5  # pixels beyond which grain and smear are negligible
_ROUNDING = 1 / 12 / 255**2  # variance of 8-bit numbers
MOST_DOSE = 20000.0


def _smeared(smear: float) -> tuple[float, float]:
    """The effect of a Gaussian blur along a row (width in pixels) on white noise.

    Returns:
        The correlation of neighbours, and the variance of second differences relative to that without blur.
    """
    weights = np.exp(-(np.arange(-9, 10) ** 2) / (2 * smear**2))
    weights /= weights.sum()
    differences = np.convolve(weights, [1, -2, 1])
    return float(weights[1:] @ weights[:-1] / (weights @ weights)), float(differences @ differences) / 6


_SMEARS = np.linspace(0.1, 2.5, 49)
_SHARED, _LEFT = np.transpose([_smeared(smear) for smear in _SMEARS])


@dataclass(frozen=True)
class Graininess:
    """Noise and texture of flat areas.

    Attributes:
        dose: Electrons at white, from the increase of the variance with brightness.
        smear: Standard deviation of the detector's blur along the rows, pixels.
        gaussian: Standard deviation at black, of full scale.
        grain: Standard deviation of texture that is smoother than pixel noise, of the brightness.
        streaks: Standard deviation of the brightness of rows, without the contribution of noise.
        salt_pepper: Share of pixels stuck at black or white.
    """

    dose: float
    smear: float
    gaussian: float
    grain: float
    streaks: float
    salt_pepper: float


def measure_graininess(image: Float32, phi: Float32) -> Graininess:
    """Noise and texture of an image [H, W], given the distance ``phi`` of its pixels from the nearest edge."""
    around = np.asarray(cv2.medianBlur(image, 3), np.float32)
    stuck = ((image <= 0) | (image >= 1)) & (np.abs(image - around) > _STUCK)
    image = np.where(stuck, around, image)
    depth = np.abs(phi)
    flat = depth > max(_FLAT, min(2 * _FLAT, float(np.quantile(depth, 0.6))))
    if flat.sum() < _FEWEST:
        flat = depth > float(np.quantile(depth, 0.7))
    # second differences in both directions cancel slopes and most of the grain
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6
    rough = cv2.filter2D(image, -1, kernel) ** 2
    local = cv2.blur(image, (5, 5))
    inner = cv2.erode(flat.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    inner[[0, -1]] = inner[:, [0, -1]] = False
    if inner.sum() < _FEWEST:
        inner = flat
    dose, gaussian = _regress(local[inner], rough[inner])
    smear = _smear(image, flat, gaussian)
    dose = min(dose * float(np.interp(smear, _SMEARS, _LEFT)), MOST_DOSE)

    rest = np.where(flat, image - _expected(image, phi), 0).astype(np.float32)
    streaks = _streaks(rest, flat)
    level = float(np.mean(image[flat]))
    # the detector smears noise only along rows, so adjacent rows share only the grain
    grain = np.sqrt(max(_covariance(rest.T, flat.T, 1), 0.0)) / max(level, 0.02)
    return Graininess(dose, smear, gaussian, float(grain), streaks, float(stuck.mean()))


def _covariance(rest: Float32, flat: npt.NDArray[np.bool_], lag: int) -> float:
    """Covariance of pixels that are ``lag`` apart along the rows."""
    both = flat[:, lag:] & flat[:, :-lag]
    return float(np.mean((rest[:, lag:] * rest[:, :-lag])[both])) if both.any() else 0.0


def _smear(image: Float32, flat: npt.NDArray[np.bool_], gaussian: float) -> float:
    """The width of a Gaussian blur from the covariance of neighbours along the rows.

    Second differences across the rows nearly cancel slopes, grain and vertical edges. The covariance of distant pixels
    (uneven rows) and the digitiser's noise, which is not smeared, are subtracted.
    """
    across = np.zeros_like(image)
    across[1:-1] = image[2:] - 2 * image[1:-1] + image[:-2]
    rows = flat.copy()
    rows[1:-1] &= flat[2:] & flat[:-2]
    rows[[0, -1]] = False
    if rows.sum() < _FEWEST:
        return 0.0
    whole = _covariance(across, rows, _AWAY)
    variance = float(np.mean(across[rows] ** 2)) - whole
    electrons = max(variance - 6 * gaussian**2, variance * _LEAST_ELECTRONS, 1e-9)
    return float(np.interp((_covariance(across, rows, 1) - whole) / electrons, _SHARED, _SMEARS))


def _expected(image: Float32, phi: Float32) -> Float32:
    """The mean brightness at each pixel's distance from the edges; the residual is noise and texture."""
    place = np.rint(np.clip(phi, -_FURTHEST, _FURTHEST) * 2).astype(int) + 2 * _FURTHEST
    count = np.bincount(place.ravel(), minlength=4 * _FURTHEST + 1)
    means = np.bincount(place.ravel(), weights=image.ravel(), minlength=4 * _FURTHEST + 1) / np.maximum(count, 1)
    return np.asarray(means[place], np.float32)


def _regress(brightness: npt.NDArray[Any], variance: npt.NDArray[Any]) -> tuple[float, float]:
    """Dose and detector noise from variance = brightness / dose + gaussian^2, both not negative."""
    edges = np.quantile(brightness, np.linspace(0, 1, _LEVELS + 1))
    group = np.clip(np.searchsorted(edges, brightness, side="right") - 1, 0, _LEVELS - 1)
    count = np.bincount(group, minlength=_LEVELS)
    used = count > 10
    x = (np.bincount(group, weights=brightness, minlength=_LEVELS) / np.maximum(count, 1))[used]
    y = (np.bincount(group, weights=variance, minlength=_LEVELS) / np.maximum(count, 1))[used] - _ROUNDING
    weight = np.sqrt(count[used]) / np.maximum(y, 1e-7)  # the error of a variance is proportional to it
    if not len(x) or not np.sum(weight**2 * x * x) > 0:  # all black
        return MOST_DOSE, 0.0
    slope, offset = np.polyfit(x, y, 1, w=weight) if len(x) > 1 else (0.0, float(y.mean()))
    if offset < 0:
        slope, offset = float(np.sum(weight**2 * x * y) / np.sum(weight**2 * x * x)), 0.0
    if slope < 1 / MOST_DOSE:
        slope, offset = 1 / MOST_DOSE, float(np.average(y, weights=weight**2))
    return float(1 / slope), float(np.sqrt(max(offset, 0.0)))


def _streaks(rest: Float32, flat: "np.ndarray[tuple[int, int], np.dtype[np.bool_]]") -> float:
    count = flat.sum(axis=1)
    rows = count > 20
    if rows.sum() < 10:
        return 0.0
    means = rest.sum(axis=1)[rows] / count[rows]
    means = means - cv2.GaussianBlur(means.reshape(-1, 1).astype(np.float32), (1, 31), sigmaX=0.01, sigmaY=5).ravel()
    within = float(np.mean(rest[flat] ** 2)) * float(np.mean(1 / count[rows]))
    return float(np.sqrt(max(float(np.var(means)) - within, 0.0)))
