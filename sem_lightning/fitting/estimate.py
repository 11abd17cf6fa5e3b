"""Estimates the simulator's settings from an image, each with an uncertainty.

An image is measured, images are simulated with these values, and the simulated images are measured in the same way. The
difference between the two measurements is the bias, which is subtracted. The spread over simulated images is the
uncertainty (indirect inference: Gourieroux, Monfort and Renault, J. Appl. Econometrics 8, S85 (1993); parametric
bootstrap: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, ch. 6.5). So a crude measurement is sufficient
if the simulator is correct.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sem_lightning.errors import NotMeasuredError, SettingError, UserError
from sem_lightning.fitting.measure import measure
from sem_lightning.fitting.microscope import LOGARITHMIC, Microscope, Values
from sem_lightning.synthesis.field import Float32

_ROUNDS = (7, 15)  # simulated images in each round of corrections; the last round gives the uncertainty
_FEWEST_MEASURED = 6  # simulated images that must be measurable
_NORMAL = 1.4826  # ratio of standard deviation to median absolute deviation of normal numbers
# The simulated spread underestimates the uncertainty, most for keys with a prior. With these factors 95 % of the true
# values are within two standard uncertainties (benchmarks/fit.py, on separate scenes).
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
# Keys that a single image determines poorly, so that estimates have large errors but a small spread: the smallest
# uncertainty of the logarithm. A prior is combined with these estimates (`_hold`).
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
    """A number and its standard uncertainty (for keys in ``LOGARITHMIC`` that of the logarithm, times the number)."""

    value: float
    sigma: float


def estimate(image: Float32, family: str, microscope: Microscope) -> dict[str, Estimate]:
    """Estimate the settings of an image, corrected for the bias of the measurement.

    Args:
        image: float32 [H, W] in [0, 1].
        family: ``line_space`` or ``routing``.
        microscope: Values that are not measured, and the polarity.

    Raises:
        NotMeasuredError: The image does not show the pattern, or similar images cannot be simulated.
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
            middle = float(np.median(again))  # an image that shows too little gives large errors
            bias = middle - drawn
            corrected[key] = value - bias
            near, far = np.quantile(np.abs(again - middle), [0.5, 0.68])
            deviation = max(_NORMAL * float(near), float(far)) * (1 + 2 / len(again)) ** 0.5
            # a correction is itself uncertain by half, and an estimate of 0 may be slightly above
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
    """Combine the logarithm of an estimate with a prior, weighted by their uncertainties.

    The prior is the middle of the microscope's range on a logarithmic scale, with the whole range as its uncertainty.
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
        except UserError:  # a single image may show too little
            continue
        if len(found) == count:
            return found
    if len(found) >= _FEWEST_MEASURED:
        return found
    raise NotMeasuredError("images simulated with what was measured cannot be measured; the pattern shows too little")


def _beside(key: str, value: float, other: float) -> float:
    """The equivalent value nearest to ``other``; lines turned by 180 degrees are the same."""
    return other + (value - other + 90) % 180 - 90 if key == "pattern.angle" else value


def _scaled(key: str, value: float) -> float:
    return float(np.log(max(value, 1e-3))) if key in LOGARITHMIC else value


def _unscaled(key: str, value: float) -> float:
    return float(np.exp(min(value, 12.0))) if key in LOGARITHMIC else value


def pool(found: Sequence[dict[str, Estimate]]) -> dict[str, Estimate]:
    """One estimate of each key from several images. Its uncertainty is that of one image, because images differ."""
    pooled = {}
    for key in sorted(set().union(*found)):
        each = [one[key] for one in found if key in one]
        values = [_beside(key, one.value, each[0].value) for one in each]
        mean = _unscaled(key, float(np.mean([_scaled(key, value) for value in values])))
        within = float(np.sqrt(np.mean([one.sigma**2 for one in each])))
        pooled[key] = Estimate(mean, float(np.hypot(within, np.std(values))))
    return pooled


def align(found: Sequence[dict[str, Estimate]]) -> list[dict[str, Estimate]]:
    """The estimates with angles chosen so that those of different images are close."""
    key = "pattern.angle"
    if key not in found[0]:
        return list(found)
    first = found[0][key].value
    return [one | {key: Estimate(_beside(key, one[key].value, first), one[key].sigma)} for one in found]
