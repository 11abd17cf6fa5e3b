"""The settings for simulating images of a microscope."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from sem_lightning.fitting.noise_model import MOST_DOSE
from sem_lightning.synthesis.field import FieldOfView, Float32
from sem_lightning.synthesis.imaging import Imaging
from sem_lightning.synthesis.noise import Noise
from sem_lightning.synthesis.patterns.pattern import PatternSettings
from sem_lightning.synthesis.processing import Processing
from sem_lightning.synthesis.simulator import Scene, render

_SPLIT, _SEED = 9, 20  # reserved for this module
_WIDEST = {
    "pattern.pitch": (4.0, 4096.0),
    "pattern.duty": (0.15, 0.85),
    "pattern.empty": (0.0, 0.8),
    "pattern.correlation_length": (1.0, 150.0),
    "imaging.bloom_inside": (0.3, 8.0),
    "noise.dose": (1.0, MOST_DOSE),
    "noise.smear": (0.0, 2.5),
    "imaging.bloom_outside": (0.3, 8.0),
}
LOGARITHMIC = ("noise.dose", "pattern.correlation_length", "imaging.bloom_inside", "imaging.bloom_outside")
Values = dict[str, float]


@dataclass(frozen=True)
class Microscope:
    """The settings of the simulator, lengths in pixels.

    Attributes:
        pattern: The pattern's settings.
        imaging: Image formation; its ``pixel_size`` is 1.
        noise: Detection.
        polarity: ``bright`` or ``dark``: brightness of the feature.
    """

    pattern: PatternSettings
    imaging: Imaging
    noise: Noise
    polarity: str

    def with_values(self, values: Values) -> "Microscope":
        """A copy with single numbers for some keys, clipped to the allowed range."""
        groups: dict[str, dict[str, Any]] = {"pattern": {}, "imaging": {}, "noise": {}}
        for key, value in values.items():
            group, name = key.split(".")
            allowed = self.clip(key, value)
            groups[group][name] = (allowed, allowed)
        parts = {group: dataclasses.replace(getattr(self, group), **changes) for group, changes in groups.items()}
        return dataclasses.replace(self, **parts)

    def clip(self, key: str, value: float) -> float:
        """The nearest value that the simulator accepts."""
        group, name = key.split(".")
        limits = getattr(self, group).__dataclass_fields__[name].metadata["limits"]
        least, most = _WIDEST.get(key, (limits.low + (1e-3 if limits.above else 0.0), limits.high))
        return float(np.clip(value, least, most))

    def is_vague(self, key: str, value: float, sigma: float) -> bool:
        """Whether the standard uncertainty of an estimate is larger than the usual range."""
        group, name = key.split(".")
        ends = getattr(getattr(self, group), name)
        if ends is None:  # such as the dose of an image without noise
            return False
        low, high = ends
        usual, unsure = (np.log(high / low), sigma / value) if key in LOGARITHMIC else (high - low, sigma)
        return bool(0 < usual < unsure)

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
