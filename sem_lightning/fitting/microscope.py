"""From an image to the simulator's settings, each with an uncertainty.

An image is measured, images are simulated with what was found, and these are measured in the same way. What the second
measurement says more than the first is its bias, which is taken off; how much it varies from image to image is its
uncertainty (indirect inference: Gourieroux, Monfort and Renault, J. Appl. Econometrics 8, S85 (1993); parametric
bootstrap: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, ch. 6.5). So it matters little that a measure
is crude, as long as the simulator is right.
"""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from sem_lightning.errors import SettingError, UserError
from sem_lightning.fitting.lines import NotMeasuredError, measure_lines
from sem_lightning.fitting.noise import measure_graininess
from sem_lightning.fitting.orientation import Orientation, find_orientation, refine, upright
from sem_lightning.fitting.wires import measure_wires
from sem_lightning.inspection.polarity import bright_share, guess_polarity
from sem_lightning.metrology import noise_level
from sem_lightning.synthesis.field import FieldOfView, Float32
from sem_lightning.synthesis.imaging import Imaging
from sem_lightning.synthesis.noise import Noise
from sem_lightning.synthesis.patterns.pattern import PatternSettings
from sem_lightning.synthesis.processing import Processing
from sem_lightning.synthesis.simulator import Scene, render

_FLAT = 1e-3  # standard deviation of an image, of full scale, below which there is nothing on it
_SATURATED = 0.02  # share of the pixels at black or at white from which on levels and noise are not theirs
_ROUNDS = (7, 15)  # simulated images for each round of corrections; the last gives the uncertainty
_FEWEST_MEASURED = 6  # of them, that must show what the real one shows
_LEAST_STRENGTH = 1.5  # of gradients, over those of noise
_STRAIGHT = 0.78  # share of the variance, from which on lines have no ends
_ONE_WAY = 0.4  # coherence, from which on wires have one main direction
_ALONG_ROWS = 10.0  # degrees from level, within which lines and uneven rows look alike
_AGREE = 8.0  # degrees by which quarters of an image may differ
_NORMAL = 1.4826  # standard deviation over median absolute deviation of normal numbers
_SPLIT, _SEED = 9, 20  # of the streams of random numbers: nobody else's

_ROUTED = 0.85  # share of the tracks' length that routing fills when no wire is left out
# What is drawn at the values found varies less than the values do, most where the fit is held near what is usual. These
# factors make 95 % of the truths lie within two standard uncertainties (benchmarks/fit.py, on scenes of its own).
_USUAL_DOUBT = 1.5
_DOUBT = {
    "imaging.bloom_inside": 2.5,
    "imaging.bloom_outside": 2.5,
    "imaging.grain_amplitude": 2.5,
    "imaging.streaks": 2.5,
    "noise.gaussian": 2.0,
    "pattern.correlation_length": 2.5,
}
_WIDEST = {
    "pattern.pitch": (4.0, 4096.0),
    "pattern.duty": (0.15, 0.85),
    "pattern.empty": (0.0, 0.8),
    "pattern.correlation_length": (1.0, 150.0),
    "imaging.bloom_inside": (0.3, 8.0),
    "noise.smear": (0.0, 2.5),
    "imaging.bloom_outside": (0.3, 8.0),
}
_LEAST = {
    "pattern.angle": 0.01,
    "imaging.grain_amplitude": 0.003,
    "imaging.streaks": 0.0004,
    "imaging.jitter": 0.01,
    "noise.gaussian": 0.002,
    "noise.smear": 0.05,
    "noise.salt_pepper": 5e-5,
}
_LOGARITHMIC = ("noise.dose", "pattern.correlation_length", "imaging.bloom_inside", "imaging.bloom_outside")

Values = dict[str, float]


@dataclass(frozen=True)
class Estimate:
    """A number and its standard uncertainty."""

    value: float
    sigma: float


@dataclass(frozen=True)
class Microscope:
    """The settings that everything is drawn from, lengths in pixels.

    Attributes:
        pattern: Of the kind that the images show.
        imaging: Its ``pixel_size`` is 1.
        noise: What is detected.
        polarity: ``bright`` or ``dark``: which the feature is.
    """

    pattern: PatternSettings
    imaging: Imaging
    noise: Noise
    polarity: str

    def with_values(self, values: Values) -> "Microscope":
        """The same with single numbers for some keys, brought inside what is allowed."""
        groups: dict[str, dict[str, Any]] = {"pattern": {}, "imaging": {}, "noise": {}}
        for key, value in values.items():
            group, name = key.split(".")
            allowed = self.clip(key, value)
            groups[group][name] = (allowed, allowed)
        parts = {group: dataclasses.replace(getattr(self, group), **changes) for group, changes in groups.items()}
        return dataclasses.replace(self, **parts)

    def clip(self, key: str, value: float) -> float:
        """The nearest value that the simulator takes."""
        group, name = key.split(".")
        limits = getattr(self, group).__dataclass_fields__[name].metadata["limits"]
        least, most = _WIDEST.get(key, (limits.low + (1e-3 if limits.above else 0.0), limits.high))
        return float(np.clip(value, least, most))

    def is_logarithmic(self, key: str) -> bool:
        """Whether a key is drawn, or estimated, on a logarithmic scale."""
        return key in _LOGARITHMIC

    def draw(self, shape: tuple[int, int], number: int) -> Scene:
        """A good scene of some height and width, pixels."""
        rng = np.random.default_rng([_SEED, _SPLIT, number])
        view = FieldOfView(*shape, 1.0)
        pattern = self.pattern.draw(rng, view)
        exposure = self.imaging.draw(rng, self.polarity)
        untouched = Processing(rescale=1.0, stretch=None, banner=False, jpeg=None)
        return Scene(_SEED, _SPLIT, number, "good", view, pattern, (), exposure, self.noise.draw(rng), untouched)

    def simulate(self, shape: tuple[int, int], number: int) -> Float32:
        """An image of such a scene: float32 [H, W] in [0, 1]."""
        image = render(self.draw(shape, number)).image
        return np.asarray(image / np.float32(np.iinfo(image.dtype).max), np.float32)


def find_family(image: Float32) -> str:
    """``line_space`` or ``routing``.

    Raises:
        NotMeasuredError: The image shows neither, or more than one pattern.
    """
    if float(image.std()) < _FLAT:
        raise NotMeasuredError("one flat colour; there is nothing to measure")
    whole = find_orientation(image)
    if whole.strength < _LEAST_STRENGTH:
        raise NotMeasuredError("no pattern of lines or wires: nothing but noise")
    if whole.family is None:
        raise NotMeasuredError(
            f"no pattern of lines or wires (gradients have one direction to {whole.coherence:.0%}, two to "
            f"{whole.cross:.0%}); holes and free shapes are not fitted: choose pattern settings by hand"
        )
    rows, columns = image.shape[0] // 2, image.shape[1] // 2
    quarters = [np.ascontiguousarray(image[r : r + rows, c : c + columns]) for r in (0, rows) for c in (0, columns)]
    angles = [there.angle for part in quarters if is_straight(part, there := find_orientation(part))]
    if len(angles) >= 3 and max(abs((angle - angles[0] + 90) % 180 - 90) for angle in angles) > _AGREE:
        raise NotMeasuredError("several patterns in one image; cut out one of them")
    return "line_space" if is_straight(image, whole) and len(angles) == len(quarters) else "routing"


def is_straight(image: Float32, orientation: Orientation) -> bool:
    """Whether an image shows lines without ends: the mean along them keeps most of its variance, noise aside."""
    if orientation.family != "line_space" or orientation.strength < _LEAST_STRENGTH:
        return False
    turned = upright(image, refine(image, orientation.angle))
    smooth = np.asarray(cv2.GaussianBlur(turned, (0, 0), 2.0), np.float32)
    noise = noise_level(image) ** 2 / (16 * np.pi)
    return float(smooth.mean(axis=0).var()) > _STRAIGHT * max(float(smooth.var()) - noise, 1e-9)


def find_direction(image: Float32) -> str:
    """Which way most wires run: ``vertical``, ``horizontal`` or ``either``."""
    found = find_orientation(image)
    if found.coherence < _ONE_WAY:
        return "either"
    return "vertical" if abs(found.angle) < 45 else "horizontal"


def find_polarity(image: Float32, family: str) -> tuple[str, bool]:
    """Which the feature is, and whether the image says so; else what is usual for such patterns."""
    found = guess_polarity([bright_share(image)])
    return found or ("bright" if family == "line_space" else "dark"), found is not None


def is_saturated(image: Float32) -> bool:
    """Whether so many pixels are black or white that levels and noise cannot be seen."""
    return bool(np.mean(image <= 0) > _SATURATED or np.mean(image >= 1) > _SATURATED)


def measure(image: Float32, family: str, polarity: str) -> Values:
    """What an image measures, by the keys of the configuration; lengths in pixels.

    Raises:
        NotMeasuredError: It does not show the pattern.
    """
    values: Values = {}
    if family == "line_space":
        lines = measure_lines(image, find_orientation(image).angle, polarity)
        model, phi = lines.model, lines.phi
        values |= {
            "pattern.pitch": lines.pitch,
            "pattern.duty": model.cd / lines.pitch,
            "pattern.angle": lines.angle,
            "pattern.roughness": 3 * lines.sigma / model.cd,
            "pattern.correlation_length": lines.correlation_length,
            "pattern.edge_correlation": lines.edge_correlation,
        }
        if lines.jitter is not None:
            values["imaging.jitter"] = lines.jitter
        along_rows = abs(abs(lines.angle) - 90) < _ALONG_ROWS
    else:
        wires = measure_wires(image, polarity)
        model, phi = wires.model, wires.phi
        full = wires.cd / wires.pitch * _ROUTED
        values |= {
            "pattern.pitch": wires.pitch,
            "pattern.duty": wires.cd / wires.pitch,
            "pattern.empty": 1 - wires.cover / full,
        }
        along_rows = False
    uneven = measure_graininess(image, phi)
    if not along_rows:
        values["imaging.streaks"] = uneven.streaks
    return values | {
        "imaging.dark": model.dark,
        "imaging.contrast": model.contrast,
        "imaging.bloom": model.bloom,
        "imaging.bloom_inside": model.bloom_inside,
        "imaging.bloom_outside": model.bloom_outside,
        "imaging.beam": model.beam,
        "imaging.grain_amplitude": uneven.grain,
        "noise.dose": uneven.dose,
        "noise.smear": uneven.smear,
        "noise.gaussian": uneven.gaussian,
        "noise.salt_pepper": uneven.salt_pepper,
    }


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
    return {
        key: Estimate(
            microscope.clip(key, _unscaled(key, value)),
            _DOUBT.get(key, _USUAL_DOUBT) * spread[key] * (_unscaled(key, value) if key in _LOGARITHMIC else 1.0),
        )
        for key, value in corrected.items()
    }


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
    return float(np.log(max(value, 1e-3))) if key in _LOGARITHMIC else value


def _unscaled(key: str, value: float) -> float:
    return float(np.exp(min(value, 12.0))) if key in _LOGARITHMIC else value


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


def distance_from_edges(image: Float32, family: str, polarity: str) -> Float32:
    """Signed distance to the nearest edge, positive in the feature, [H, W], pixels.

    Raises:
        NotMeasuredError: The image does not show the pattern.
    """
    if family == "line_space":
        return measure_lines(image, find_orientation(image).angle, polarity).phi
    return measure_wires(image, polarity).phi
