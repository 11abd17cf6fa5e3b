"""Microbridge: a thin thread between two lines, or a spur that reaches part of the way."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sem_lightning.synthesis.defects.defect import Defect
from sem_lightning.synthesis.field import FieldOfView, Float32, smooth_union
from sem_lightning.synthesis.ranges import ranged


@dataclass(frozen=True)
class Microbridge(Defect):
    """A spur from one line towards the next.

    Attributes:
        extent: Share of the space that it crosses; at 1 it touches the other line.
        thickness: Extent along the lines, pitches.
        slant: Shift along the lines for each nm across them.
        side: Below 0 it starts at one line, else at the other.
        smoothing: Radius of its transition to the line, pitches.
    """

    name: ClassVar[str] = "microbridge"
    site_kind: ClassVar[str] = "space"

    extent: float = ranged(
        "of the space", low=0.2, high=1, by_severity=True, why="less is roughness, more does not fit in"
    )
    thickness: float = ranged("pitches", low=0.02, high=0.5, why="thicker it is a bridge")
    slant: float = ranged("", low=-1, high=1, why="steeper it runs along the line")
    side: float = ranged("", low=-1, high=1, why="only its sign counts")
    smoothing: float = ranged("of the pitch", low=0.01, high=0.5, why="beyond half a pitch it melts into the next line")

    @property
    def half_size(self) -> tuple[float, float]:
        half = self.thickness * self.site.pitch
        return self.site.reach, half + abs(self.slant) * self.site.reach

    def change(self, phi: Float32, across: Float32, along: Float32, view: FieldOfView) -> Float32:
        half = max(self.thickness * self.site.pitch / 2, view.pixel_size)
        grown = across if self.side < 0 else -across
        tip = np.float32(self.site.width * (self.extent - 0.5)) - grown
        offset = np.abs(along - np.float32(self.slant) * across)
        spur = np.minimum(np.float32(half) - offset, np.minimum(tip, np.float32(self.site.reach) + grown))
        return smooth_union(phi, spur, self.smoothing * self.site.pitch)
