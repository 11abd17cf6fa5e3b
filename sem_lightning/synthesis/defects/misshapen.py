"""Misshapen: a hole is stretched to an oval or pulled into a triangle."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sem_lightning.synthesis.defects.defect import Defect
from sem_lightning.synthesis.field import FieldOfView, Float32
from sem_lightning.synthesis.ranges import ranged


@dataclass(frozen=True)
class Misshapen(Defect):
    """A hole whose contour has lobes.

    Attributes:
        amount: Amplitude of the lobes, of the hole's radius (or of the wall, if it is narrower).
        lobes: 2 is an oval, 3 a triangle; rounded to the nearest.
        direction: Direction of the first lobe, degrees from the array's rows.
    """

    name: ClassVar[str] = "misshapen"
    site_kind: ClassVar[str] = "hole"

    amount: float = ranged(
        "of the radius", low=0.05, high=0.6, by_severity=True, why="less is roughness, more tears the hole apart"
    )
    lobes: float = ranged("", low=2, high=5, why="one lobe is a displaced hole, six a round one")
    direction: float = ranged("degrees", low=-180, high=180, why="a turn beyond half a circle repeats itself")

    @property
    def half_size(self) -> tuple[float, float]:
        return self.site.reach, self.site.reach

    def change(self, phi: Float32, across: Float32, along: Float32, view: FieldOfView) -> Float32:
        distance = np.sqrt(across * across + along * along)
        angle = np.arctan2(along, across) - np.float32(np.radians(self.direction))
        beside = np.clip((np.float32(self.site.reach) - distance) * np.float32(4 / self.site.reach), 0, 1)
        # the lobes would meet near the centre, so the contour does not change there
        beside *= np.clip(distance * np.float32(4 / self.site.width), 0, 1)
        amplitude = self.amount * min(self.site.width / 2, 1.6 * (self.site.reach - self.site.width / 2))
        changed: Float32 = phi + np.cos(round(self.lobes) * angle) * beside * np.float32(amplitude)
        return changed
