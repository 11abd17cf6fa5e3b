"""From an image to the simulator's settings, each with an uncertainty.

An image is measured, images are simulated with what was found, and these are measured in the same way. What the second
measurement says more than the first is its bias, which is taken off; how much it varies from image to image is its
uncertainty (indirect inference: Gourieroux, Monfort and Renault, J. Appl. Econometrics 8, S85 (1993); parametric
bootstrap: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, ch. 6.5). So it matters little that a measure
is crude, as long as the simulator is right.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sem_lightning.errors import NotMeasuredError, SettingError, UserError
from sem_lightning.fitting.measure import measure
from sem_lightning.fitting.microscope import LOGARITHMIC, Microscope, Values
from sem_lightning.synthesis.field import Float32

_ROUNDS = (7, 15)  # simulated images for each round of corrections; the last gives the uncertainty
_FEWEST_MEASURED = 6  # of them, that must show what the real one shows
_NORMAL = 1.4826  # standard deviation over median absolute deviation of normal numbers
# What is drawn at the values found varies less than the values do, most where the fit is held near what is usual. These
# factors make 95 % of the truths lie within two standard uncertainties (benchmarks/fit.py, on scenes of its own).
_USUAL_DOUBT = 1.5
_DOUBT = {
    "imaging.bloom": 2.0,
    "imaging.bloom_inside": 2.0,
    "imaging.bloom_outside": 2.0,
    "imaging.grain_amplitude": 2.5,
    "imaging.streaks": 2.5,
    "noise.gaussian": 2.0,
    "noise.smear": 2.0,
    "pattern.correlation_length": 2.5,
    "pattern.edge_correlation": 2.0,
    "pattern.pitch": 2.0,
}
# What a single image says so little about that estimates go far astray without varying much: the least uncertainty of
# the logarithm. They are held near what is usual (`_hold`).
_HELD = {"pattern.correlation_length": 0.5, "imaging.bloom_inside": 0.2, "imaging.bloom_outside": 0.2}
_LEAST = {
    "pattern.angle": 0.01,
    "imaging.grain_amplitude": 0.003,
    "imaging.streaks": 0.0004,
    "imaging.jitter": 0.01,
    "noise.gaussian": 0.002,
    "noise.smear": 0.05,
    "noise.salt_pepper": 5e-5,
}


@dataclass(frozen=True)
class Estimate:
    """A number and its standard uncertainty, for keys in ``LOGARITHMIC`` that of its logarithm times the number."""

    value: float
    sigma: float


def estimate(image: Float32, family: str, microscope: Microscope) -> dict[str, Estimate]:
    """The settings behind an image, corrected for what the measurement itself adds.

    Args:
        image: float32 [H, W] in [0, 1].
        family: ``line_space`` or ``routing``.
        microscope: What is not measured; its polarity.

    Raises:
        NotMeasuredError: It does not show the pattern, or nothing like it can be simulated.
    """
    raw = {key: _scaled(key, value) for key, value in measure(image, family, microscope.polarity).items()}
    corrected, spread = dict(raw), dict.fromkeys(raw, 0.0)
    for count in _ROUNDS:
        try:
            simulated = microscope.with_values({key: _unscaled(key, value) for key, value in corrected.items()})
        except SettingError as error:
            raise NotMeasuredError(f"the simulator cannot make what was measured ({error})") from None
        found = _measure_simulated(simulated, family, image.shape[:2], count)
        for key, value in raw.items():
            again = np.array([_beside(key, _scaled(key, each[key]), value) for each in found if key in each])
            if len(again) < _FEWEST_MEASURED:
                continue
            drawn = _scaled(key, microscope.clip(key, _unscaled(key, corrected[key])))
            middle = float(np.median(again))  # an image that shows too little goes far astray
            bias = middle - drawn
            corrected[key] = value - bias
            near, far = np.quantile(np.abs(again - middle), [0.5, 0.68])
            deviation = max(_NORMAL * float(near), float(far)) * (1 + 2 / len(again)) ** 0.5
            # a correction is itself no more than half known, and what is found to be none may be a little
            spread[key] = math.hypot(deviation, bias / 2, _LEAST.get(key, 0.0))
    estimates = {}
    for key, value in corrected.items():
        sigma = _DOUBT.get(key, _USUAL_DOUBT) * max(spread[key], _HELD.get(key, 0.0))
        if key in _HELD:
            value, sigma = _hold(key, value, sigma, microscope)
        allowed = microscope.clip(key, _unscaled(key, value))
        estimates[key] = Estimate(allowed, sigma * (allowed if key in LOGARITHMIC else 1.0))
    return estimates


def _hold(key: str, value: float, sigma: float, microscope: Microscope) -> tuple[float, float]:
    """The logarithm of an estimate and its uncertainty, together with what is usual, each weighed by its certainty.

    Usual is the middle of the microscope's range, on a logarithmic scale, give or take the whole range.
    """
    group, name = key.split(".")
    low, high = np.log(getattr(getattr(microscope, group), name))
    if low == high:
        return value, sigma
    weights = np.array([sigma**-2, (high - low) ** -2])
    return float(weights @ [value, (low + high) / 2] / weights.sum()), float(weights.sum() ** -0.5)


def _measure_simulated(simulated: Microscope, family: str, shape: tuple[int, int], count: int) -> list[Values]:
    found = []
    for number in range(3 * count):
        try:
            found.append(measure(simulated.simulate(shape, number), family, simulated.polarity))
        except UserError:  # one image of many may show too little
            continue
        if len(found) == count:
            return found
    if len(found) >= _FEWEST_MEASURED:
        return found
    raise NotMeasuredError("images simulated with what was measured cannot be measured; the pattern shows too little")


def _beside(key: str, value: float, other: float) -> float:
    """The same value, as near to another as it can be: lines turned by half a circle are the same."""
    return other + (value - other + 90) % 180 - 90 if key == "pattern.angle" else value


def _scaled(key: str, value: float) -> float:
    return float(np.log(max(value, 1e-3))) if key in LOGARITHMIC else value


def _unscaled(key: str, value: float) -> float:
    return float(np.exp(min(value, 12.0))) if key in LOGARITHMIC else value


def pool(found: Sequence[dict[str, Estimate]]) -> dict[str, Estimate]:
    """One estimate of each key from several images; its uncertainty is that of one image, for they differ."""
    pooled = {}
    for key in sorted(set().union(*found)):
        each = [one[key] for one in found if key in one]
        values = [_beside(key, one.value, each[0].value) for one in each]
        mean = _unscaled(key, float(np.mean([_scaled(key, value) for value in values])))
        within = float(np.sqrt(np.mean([one.sigma**2 for one in each])))
        pooled[key] = Estimate(mean, float(np.hypot(within, np.std(values))))
    return pooled


def align(found: Sequence[dict[str, Estimate]]) -> list[dict[str, Estimate]]:
    """The same estimates, angles of different images not half a circle apart."""
    key = "pattern.angle"
    if key not in found[0]:
        return list(found)
    first = found[0][key].value
    return [one | {key: Estimate(_beside(key, one[key].value, first), one[key].sigma)} for one in found]
