"""A model of the brightness across an edge, and its fit: levels, rim and blur."""

from dataclasses import astuple, dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import least_squares

Float64 = npt.NDArray[np.float64]

_STEP = 0.125  # pixels between samples of the model
_MOST_TRIES = 100
_USUAL = (1.8, 1.3, 0.7)  # decays of the rim inside and outside, pixels, and its height over the contrast
_PRIOR = 0.006  # brightness misfit that a factor e from the usual value counts as
_LOW = (0.0, 0.03, 0.0, 0.3, 0.3, 0.3)
_HIGH = (1.0, 1.0, 3.0, 5.0, 4.0, 6.0)


@dataclass(frozen=True)
class EdgeModel:
    """The simulator's brightness of lines without shadows and asymmetry, see `Exposure`.

    Attributes:
        dark: Brightness of the darker material.
        contrast: Brightness of the brighter material above the darker one.
        bloom: Extra brightness at the edge.
        bloom_inside: Decay length of the bloom inside the feature, pixels.
        bloom_outside: Decay length outside the feature, pixels.
        beam: Standard deviation of all blur, pixels.
        cd: Width of the feature, pixels.
    """

    dark: float
    contrast: float
    bloom: float
    bloom_inside: float
    bloom_outside: float
    beam: float
    cd: float

    def across(self, place: Float64, pitch: float, polarity: str) -> Float64:
        """Brightness at positions (pixels) relative to a feature's middle, in a periodic row of features."""
        count = max(16, round(pitch / _STEP))
        centres = (np.arange(count) + 0.5) * (pitch / count) - pitch / 2
        phi = self.cd / 2 - np.abs(centres)
        covered = np.clip(phi + 0.5, 0, 1)  # an edge within a pixel covers a part of it
        high = covered if polarity == "bright" else 1 - covered
        glow = np.exp(np.minimum(-phi / self.bloom_inside, phi / self.bloom_outside))
        sharp = self.dark + self.contrast * high + self.bloom * glow
        blurred = gaussian_filter1d(sharp, self.beam * count / pitch, mode="wrap", truncate=5.0)
        return np.asarray(np.interp(place, centres, blurred, period=pitch), np.float64)


def fit_edges(
    place: Float64,
    brightness: Float64,
    weight: Float64,
    pitch: float,
    polarity: str,
    start: EdgeModel | None = None,
    tolerance: float = 1e-8,
) -> EdgeModel:
    """Fit by least squares, from several starting points unless one is given.

    Args:
        place: Positions relative to a feature's middle, within half a pitch, pixels.
        brightness: Mean brightness there.
        weight: Weights: the number of pixels.
        pitch: Pixels.
        polarity: ``bright`` or ``dark``: brightness of the feature.
        start: A model of the same lines.
        tolerance: Relative decrease of the sum of squares at which the fit stops.
    """
    low, high = (float(n) for n in np.quantile(brightness, [0.02, 0.98]))
    root = np.sqrt(weight / weight.mean())

    def misfit(numbers: Float64) -> Float64:
        model = EdgeModel(*(float(n) for n in numbers))
        wrong = (model.across(place, pitch, polarity) - brightness) * root
        # a long decay resembles contrast, a high rim with a wide beam resembles a wide line: a prior decides
        rim = (model.bloom + 0.01) / model.contrast
        unusual = _PRIOR * np.log([model.bloom_inside / _USUAL[0], model.bloom_outside / _USUAL[1], rim / _USUAL[2]])
        return np.concatenate([wrong, unusual])

    limits = ((*_LOW, 0.1 * pitch), (*_HIGH, 0.9 * pitch))
    rim = 0.6 * (high - low)
    starts = [[low, max(rim, 0.02), rim, 1.5, 1.2, 1.5, duty * pitch] for duty in (0.35, 0.5, 0.65)]
    if start is not None:
        starts = [list(astuple(start))]
    best = None
    for first in starts:
        inside = np.clip(first, np.add(limits[0], 1e-6), np.subtract(limits[1], 1e-6))
        found = least_squares(
            misfit, inside, bounds=limits, ftol=tolerance, x_scale=(0.1, 0.1, 0.1, 1, 1, 1, 1), max_nfev=_MOST_TRIES
        )
        if best is None or found.cost < best.cost:
            best = found
    assert best is not None
    return EdgeModel(*(float(n) for n in best.x))
