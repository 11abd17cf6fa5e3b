"""Noise: electron statistics, detector noise and detector settings."""

import math
from dataclasses import asdict, dataclass, field, replace
from statistics import NormalDist
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from sem_lightning.errors import SettingError
from sem_lightning.synthesis.field import Float32
from sem_lightning.synthesis.noise_step import NoiseStep, NoiseStepSettings
from sem_lightning.synthesis.ranges import Range, Settings, ranged
from sem_lightning.synthesis.sampling import draw_key, normal, poisson, random_words

BITS = {8: (255, cv2.CV_8U, np.uint8), 16: (65535, cv2.CV_16U, np.uint16)}
MAX_FRAMES = 1024
_STEP_STREAM = 1

Pixels = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]


@dataclass(frozen=True)
class Detection:
    """Detection of one image, with all numbers drawn.

    Attributes:
        dose: Electrons that a white pixel collects in one frame; ``None`` for no shot noise.
        frames: Frames that are averaged.
        gaussian: Standard deviation of the detector's own noise in one frame, of full scale.
        salt_pepper: Share of pixels that are stuck at white or black.
        contrast: Gain around mid-grey.
        brightness: Offset, of full scale.
        gamma: Exponent of the response; below 1 lifts the dark parts.
        bits: Bits of a stored pixel, 8 or 16.
        key: Seed of the pixel noise.
        smear: Standard deviation of the blur of scintillator and amplifier along the scan line, pixels.
        steps: Further steps from other packages, in order.
    """

    dose: float | None
    frames: int
    gaussian: float
    salt_pepper: float
    contrast: float
    brightness: float
    gamma: float
    bits: int
    key: int
    smear: float = 0.0  # default for older scenes
    steps: tuple[NoiseStep, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON; ``steps`` only if there are any."""
        numbers = asdict(self)
        del numbers["steps"]
        return numbers | ({"steps": [step.to_dict() for step in self.steps]} if self.steps else {})

    @staticmethod
    def from_dict(numbers: dict[str, Any]) -> "Detection":
        """From a result of `to_dict`."""
        return Detection(**{**numbers, "steps": tuple(map(NoiseStep.from_dict, numbers.get("steps", [])))})

    def render(self, brightness: Float32) -> Pixels:
        """The stored image of a noise-free brightness: uint8 or uint16 [H, W]."""
        # Shot noise and detector noise use one stream of fixed length, so that a scene with and without its defect has
        # the same noise outside the defect.
        shot, electronic = normal(self.key, 0, (2, *brightness.shape))
        signal = (
            brightness if self.dose is None else count_electrons(brightness, self.dose * self.frames, shot, self.key)
        )
        if self.smear > 0:  # only electron noise is smeared; the digitiser's noise is white
            signal = np.asarray(cv2.GaussianBlur(signal, (0, 1), sigmaX=self.smear, sigmaY=1), np.float32)
        for step in self.steps:
            signal = step(signal)
        white, depth, dtype = BITS[self.bits]
        deviation = self.gaussian / self.frames**0.5
        offset = 0.5 - 0.5 * self.contrast + self.brightness
        if self.gamma == 1:  # gain, noise, offset, rounding and clipping in one pass
            full = (self.contrast * white, deviation * white, offset * white)
            pixels = np.asarray(cv2.addWeighted(signal, full[0], electronic, full[1], full[2], dtype=depth), dtype)
        else:
            response = cv2.addWeighted(signal, self.contrast, electronic, deviation, offset)
            response = cv2.pow(np.maximum(response, 0), self.gamma)
            pixels = np.asarray(cv2.addWeighted(response, white, response, 0, 0, dtype=depth), dtype)
        if self.salt_pepper > 0:
            self._stick(pixels, white)
        return pixels

    def _stick(self, pixels: Pixels, white: int) -> None:
        expected = pixels.size * self.salt_pepper
        most = math.ceil(expected + 6 * math.sqrt(expected)) + 6
        words = random_words(self.key, 2, 3 * most + 1)
        z = NormalDist().inv_cdf((int(words[-1]) + 0.5) / 65536)
        count = min(max(round(expected + math.sqrt(expected) * z), 0), most)  # approximately binomial
        places = words[: 2 * count].view(np.uint32) % np.uint32(pixels.size)
        pixels.flat[places] = (words[2 * most : 2 * most + count] & 1) * pixels.dtype.type(white)


def count_electrons(brightness: Float32, dose: float, z: Float32, key: int) -> Float32:
    """Brightness with shot noise of ``dose`` electrons at white: mean ``brightness``, variance ``brightness / dose``.

    Args:
        brightness: float32 [H, W], 1 is white.
        dose: Electrons at white.
        z: Normal numbers, one for each pixel.
        key: Seed for pixels with few electrons.
    """
    mean = brightness * np.float32(dose)
    np.clip(mean, 0, math.inf, out=mean)
    counted = poisson(z, mean, key, 1)
    counted *= np.float32(1 / dose)
    return counted


@dataclass
class Noise(Settings):
    """Ranges of the noise (``conf/noise/*.yaml`` document each)."""

    dose: Range = ranged(
        "electrons per pixel and frame",
        low=0,
        above=True,
        log=True,
        optional=True,
        why="without electrons there is no image",
    )
    frames: Range = ranged("frames", low=1, high=MAX_FRAMES, why="an image takes a frame")
    smear: Range = ranged("pixels", low=0, high=10, why="a detector slower than that shows no pattern")
    gaussian: Range = ranged("of full scale", low=0, high=1, why="beyond full scale nothing is left")
    salt_pepper: Range = ranged("of the pixels", low=0, high=0.5, why="beyond half, most pixels are stuck")
    contrast: Range = ranged("", low=0, above=True, high=4, why="without gain there is no image")
    brightness: Range = ranged("of full scale", low=-1, high=1, why="beyond full scale nothing is left")
    gamma: Range = ranged("", low=0.2, high=5, why="beyond that every pixel is black or white")
    bits: int = 8
    steps: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, step in self.steps.items():
            if not isinstance(step, NoiseStepSettings):
                raise SettingError(f"steps.{name}", "is no noise step; add one with +noise/steps@noise.steps.NAME=STEP")
        if self.bits not in BITS:
            raise SettingError("bits", f"found {self.bits}, expected 8 or 16")
        if any(end != round(end) for end in self.frames):
            raise SettingError("frames", f"found {list(self.frames)}, expected whole numbers")

    def draw(self, rng: np.random.Generator) -> Detection:
        """Draw the detection of one image from the ranges."""
        if self.dose is None:
            rng.random()  # keeps the count of random numbers
        detection = Detection(
            dose=None if self.dose is None else self.draw_value(rng, "dose"),
            frames=round(self.draw_value(rng, "frames")),
            gaussian=self.draw_value(rng, "gaussian"),
            salt_pepper=self.draw_value(rng, "salt_pepper"),
            contrast=self.draw_value(rng, "contrast"),
            brightness=self.draw_value(rng, "brightness"),
            gamma=self.draw_value(rng, "gamma"),
            bits=self.bits,
            key=draw_key(rng),
            smear=self.draw_value(rng, "smear"),
        )
        if not self.steps:
            return detection
        # a separate stream, so that other numbers of the scene do not depend on them
        own = np.random.default_rng([detection.key, _STEP_STREAM])
        return replace(detection, steps=tuple(step.draw(own) for step in self.steps.values()))
