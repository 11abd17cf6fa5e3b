"""Closed: a hole is printed much too small, or closes towards its bottom."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sem_lightning.synthesis.defects.defect import Defect
from sem_lightning.synthesis.field import FieldOfView, Float32
from sem_lightning.synthesis.ranges import ranged


@dataclass(frozen=True)
class Closed(Defect):
    """A hole with a smaller diameter.

    Attributes:
        amount: Lost share of the CD.
    """

    name: ClassVar[str] = "closed"
    site_kind: ClassVar[str] = "hole"

    amount: float = ranged(
        "of the CD", low=0.1, high=0.95, by_severity=True, why="less is roughness, all of it is a missing hole"
    )

    @property
    def half_size(self) -> tuple[float, float]:
        return self.site.reach, self.site.reach

    def change(self, phi: Float32, across: Float32, along: Float32, view: FieldOfView) -> Float32:
        distance = np.sqrt(across * across + along * along)
        beside = np.clip((np.float32(self.site.reach) - distance) * np.float32(4 / self.site.reach), 0, 1)
        changed: Float32 = phi - beside * np.float32(self.amount * self.site.width / 2)
        return changed
