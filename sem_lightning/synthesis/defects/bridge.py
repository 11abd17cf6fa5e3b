"""Bridge: two lines are shorted."""

from dataclasses import dataclass
from typing import ClassVar

from sem_lightning.synthesis.defects.strip import Strip
from sem_lightning.synthesis.field import FieldOfView, Float32, smooth_union


@dataclass(frozen=True)
class Bridge(Strip):
    """A short: the strip is added between two lines."""

    name: ClassVar[str] = "bridge"
    site_kind: ClassVar[str] = "space"

    def change(self, phi: Float32, across: Float32, along: Float32, view: FieldOfView) -> Float32:
        return smooth_union(phi, self.strip(across, along), self.smoothing * self.site.pitch)
