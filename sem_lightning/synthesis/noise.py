"""Noise: the statistics of electrons, of the detector, and of its contrast and brightness knobs."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sem_lightning.synthesis.field import Float32
from sem_lightning.synthesis.pattern import draw_key
from sem_lightning.synthesis.ranges import Range, Settings, ranged

# From this mean on the expansion in `poisson` is within 0.0024 of the true distribution (total variation).
_EXPANSION_FROM = 4.0
_LARGEST_INVERTED = 24  # a mean of 4 exceeds it once in 10^12


@dataclass(frozen=True)
class Detection:
    """How one image is detected, every number drawn.

    Attributes:
        dose: Electrons that a white pixel collects; ``None`` leaves out the photon noise.
        gaussian: Standard deviation of the detector's own noise, of full scale.
        salt_pepper: Share of pixels that are stuck at white or black.
        contrast: Gain around mid-grey.
        brightness: Offset, of full scale.
        key: Seed of the pixel noise.
    """

    dose: float | None
    gaussian: float
    salt_pepper: float
    contrast: float
    brightness: float
    key: int

    def render(self, brightness: Float32) -> npt.NDArray[np.uint8]:
        """The 8-bit image that is stored, from the noise-free brightness: [H, W]."""
        # A stream for each effect: a scene and its twin without a defect share the noise outside the defect.
        shot, electronic, stuck = (np.random.Generator(np.random.SFC64([self.key, i])) for i in range(3))
        signal = brightness if self.dose is None else shot_noise(shot, brightness, self.dose)
        image = signal * np.float32(255 * self.contrast)
        image += np.float32(255 * (0.5 - 0.5 * self.contrast + self.brightness))
        if self.gaussian > 0:
            image += np.float32(255 * self.gaussian) * electronic.standard_normal(image.shape, dtype=np.float32)
        pixels = np.clip(np.rint(image, out=image), 0, 255, out=image).astype(np.uint8)
        where = stuck.integers(pixels.size, size=stuck.binomial(pixels.size, self.salt_pepper))
        pixels.flat[where] = stuck.integers(0, 2, size=len(where), dtype=np.uint8) * np.uint8(255)
        return pixels


def shot_noise(rng: np.random.Generator, brightness: Float32, dose: float) -> Float32:
    """Brightness as counted with ``dose`` electrons at white: mean ``brightness``, variance ``brightness / dose``."""
    mean = np.maximum(brightness * np.float32(dose), np.float32(0))
    counted: Float32 = poisson(rng, mean) * np.float32(1 / dose)
    return counted


def poisson(rng: np.random.Generator, mean: Float32) -> Float32:
    """Poisson numbers, five times as fast as NumPy's for means above 4.

    There the Cornish-Fisher expansion of the Poisson quantile with continuity correction turns a normal number ``z``
    into ``mean + sqrt(mean) z + (z^2 - 1) / 6 - (z^3 + 2 z) / (72 sqrt(mean))`` (Johnson, Kemp and Kotz, Univariate
    Discrete Distributions, 4.6), rounded; mean and variance are within 0.03 and 0.2 %. Smaller means invert the
    distribution itself. Each number depends on its own mean and its place in the stream alone.

    Args:
        rng: Source of the numbers.
        mean: float32, any shape, not negative.

    Returns:
        float32 of the same shape, whole numbers.
    """
    z = rng.standard_normal(mean.shape, dtype=np.float32)
    root = np.sqrt(mean)
    square = z * z
    divisor: Float32 = np.maximum(root, np.float32(1))  # counts of smaller means are replaced below
    counts: Float32 = (square + np.float32(2)) / divisor
    counts *= z * np.float32(-1 / 72)
    counts += root * z
    counts += square * np.float32(1 / 6)
    counts += mean - np.float32(1 / 6)
    np.rint(counts, out=counts)
    np.maximum(counts, 0, out=counts)
    few = np.flatnonzero(mean < _EXPANSION_FROM)
    if len(few):
        uniform = rng.random(mean.shape, dtype=np.float32)
        counts.flat[few] = _invert_poisson(uniform.flat[few], mean.flat[few])
    return counts


def _invert_poisson(uniform: Float32, mean: Float32) -> Float32:
    """The smallest counts whose cumulative probability exceeds ``uniform``, for means below 4."""
    counts = np.zeros_like(mean)
    probability = np.exp(-mean)
    cumulative = probability.copy()
    for count in range(1, _LARGEST_INVERTED + 1):
        above = uniform >= cumulative
        if not above.any():
            break
        counts += above
        probability *= mean * np.float32(1 / count)
        cumulative += probability
    return counts


@dataclass
class Noise(Settings):
    """Ranges of the noise (``conf/noise/*.yaml`` document each)."""

    dose: Range = ranged("electrons per pixel", low=0, above=True, log=True, optional=True)
    gaussian: Range = ranged("of full scale", low=0, high=1)
    salt_pepper: Range = ranged("of the pixels", low=0, high=0.5)
    contrast: Range = ranged("", low=0, above=True, high=4)
    brightness: Range = ranged("of full scale", low=-1, high=1)

    def draw(self, rng: np.random.Generator) -> Detection:
        """The noise of one image from the ranges."""
        if self.dose is None:
            rng.random()  # what a dose would have taken
        return Detection(
            dose=None if self.dose is None else self.draw_value(rng, "dose"),
            gaussian=self.draw_value(rng, "gaussian"),
            salt_pepper=self.draw_value(rng, "salt_pepper"),
            contrast=self.draw_value(rng, "contrast"),
            brightness=self.draw_value(rng, "brightness"),
            key=draw_key(rng),
        )
