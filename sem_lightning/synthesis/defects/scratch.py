"""Scratch: a long groove in the surface."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sem_lightning.synthesis.defects.defect import Cover, Defect
from sem_lightning.synthesis.field import Float32, Window
from sem_lightning.synthesis.ranges import ranged


@dataclass(frozen=True)
class Scratch(Defect):
    """A long thin groove, slightly curved, that may extend beyond the image.

    Attributes:
        width: Width, pitches.
        length: Length, pitches.
        curvature: Displacement of its middle, of its length.
        brightness: Brightness of the groove, of white.
        opacity: Share of the pattern's brightness that it hides.
    """

    name: ClassVar[str] = "scratch"
    site_kind: ClassVar[str] = "anywhere"
    crosses_border: ClassVar[bool] = True

    width: float = ranged("pitches", low=0.05, log=True, by_severity=True, why="narrower it is not seen")
    length: float = ranged("pitches", low=1, log=True, why="shorter it is a dent")
    curvature: float = ranged("of its length", low=-0.3, high=0.3, why="beyond that it is no scratch")
    brightness: float = ranged("of white", low=0, high=1, why="0 is black and 1 is white")
    opacity: float = ranged("", low=0.2, high=1, why="less is not seen, more than all is not there")

    @property
    def half_size(self) -> tuple[float, float]:
        half = self.length * self.site.pitch / 2
        return self.width * self.site.pitch + 2 * abs(self.curvature) * half, half

    def cover(self, across: Float32, along: Float32, window: Window) -> Cover:
        half = self.length * self.site.pitch / 2
        share = along * np.float32(1 / half)
        aside = np.abs(across - np.float32(self.curvature * 2 * half) * (share * share - np.float32(0.3)))
        # both ends are pointed
        half_width = np.float32(self.width * self.site.pitch / 2) * np.sqrt(np.maximum(1 - share * share, 0))
        phi = np.minimum(half_width - aside, np.float32(half) - np.abs(along))
        return Cover(window, np.asarray(phi, np.float32), self.brightness, self.opacity, 0.5)
