"""Displaced: a hole is printed at a wrong position."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sem_lightning.synthesis.defects.collapse import shifted
from sem_lightning.synthesis.defects.defect import Defect
from sem_lightning.synthesis.defects.missing import without_hole
from sem_lightning.synthesis.field import FieldOfView, Float32
from sem_lightning.synthesis.ranges import ranged


@dataclass(frozen=True)
class Displaced(Defect):
    """A hole at another position, with the same shape.

    Attributes:
        shift: Displacement, of the wall between the hole and its neighbour.
        direction: Direction of the displacement, degrees from the array's rows.
    """

    name: ClassVar[str] = "displaced"
    site_kind: ClassVar[str] = "hole"

    shift: float = ranged(
        "of the wall", low=0.1, high=0.9, by_severity=True, why="less is placement error, more runs into the neighbour"
    )
    direction: float = ranged("degrees", low=-180, high=180, why="a turn beyond half a circle repeats itself")

    @property
    def half_size(self) -> tuple[float, float]:
        return 1.5 * self.site.reach, 1.5 * self.site.reach

    def change(self, phi: Float32, across: Float32, along: Float32, view: FieldOfView) -> Float32:
        reach = self.site.reach
        far = self.shift * (2 * reach - self.site.width)
        turn = np.radians(self.direction)
        aside, ahead = np.float32(far * np.cos(turn)), np.float32(far * np.sin(turn))
        moved = shifted(phi, np.full_like(phi, -aside), np.full_like(phi, -ahead), self.site, view)
        hole = np.float32(reach) - np.sqrt((across - aside) ** 2 + (along - ahead) ** 2)
        return np.maximum(without_hole(phi, across, along, reach), np.minimum(moved, hole))
