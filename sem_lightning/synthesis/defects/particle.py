"""Particle: an object on the pattern."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sem_lightning.synthesis.defects.defect import Cover, Defect
from sem_lightning.synthesis.field import Float32, Window
from sem_lightning.synthesis.ranges import ranged
from sem_lightning.synthesis.sampling import normal

_HARMONICS = 5


@dataclass(frozen=True)
class Particle(Defect):
    """An object with an irregular outline that hides the pattern below it.

    Attributes:
        size: Mean diameter, pitches.
        irregularity: Standard deviation of the radius along the outline, of the radius.
        brightness: Brightness, of white.
        rim: Edge bloom, relative to the pattern's.
        key: Seed of the outline.
    """

    name: ClassVar[str] = "particle"
    site_kind: ClassVar[str] = "anywhere"

    key: int
    size: float = ranged("pitches", low=0.05, log=True, by_severity=True, why="smaller it is not seen")
    irregularity: float = ranged("of the radius", low=0, high=0.3, why="beyond that it falls apart")
    brightness: float = ranged("of white", low=0, high=1.5, why="beyond that it blinds the detector")
    rim: float = ranged("of the pattern's", low=0, high=4, why="beyond that it blinds the detector")

    @property
    def half_size(self) -> tuple[float, float]:
        half = self.size * self.site.pitch / 2 * (1 + 2 * self.irregularity)
        return half, half

    def cover(self, across: Float32, along: Float32, window: Window) -> Cover:
        angle = np.arctan2(along, across)
        radius = np.ones_like(angle)
        for n, (cos, sin) in enumerate(normal(self.key, 0, (_HARMONICS, 2)), start=2):
            weight = np.float32(self.irregularity / math.sqrt(_HARMONICS))
            radius += weight * (cos * np.cos(n * angle) + sin * np.sin(n * angle))
        radius = np.clip(radius, 1 - 2 * self.irregularity, 1 + 2 * self.irregularity)
        phi = radius * np.float32(self.size * self.site.pitch / 2) - np.sqrt(across * across + along * along)
        return Cover(window, np.asarray(phi, np.float32), self.brightness, 1.0, self.rim)
