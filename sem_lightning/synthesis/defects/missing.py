"""Missing: a hole was not printed at all."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sem_lightning.synthesis.defects.defect import Defect
from sem_lightning.synthesis.field import FieldOfView, Float32


@dataclass(frozen=True)
class Missing(Defect):
    """A filled hole; only its place varies."""

    name: ClassVar[str] = "missing"
    site_kind: ClassVar[str] = "hole"

    @property
    def half_size(self) -> tuple[float, float]:
        return self.site.reach, self.site.reach

    def change(self, phi: Float32, across: Float32, along: Float32, view: FieldOfView) -> Float32:
        return without_hole(phi, across, along, self.site.reach)


def without_hole(phi: Float32, across: Float32, along: Float32, reach: float) -> Float32:
    """``phi`` without holes within ``reach`` nm of the site."""
    distance = np.sqrt(across * across + along * along)
    # the filled hole has the depth of a wall, up to the middle of the wall
    filled: Float32 = np.where(distance < np.float32(reach), np.minimum(phi, distance - np.float32(reach)), phi)
    return filled
