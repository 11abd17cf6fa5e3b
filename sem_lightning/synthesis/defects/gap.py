"""Gap: a line is open."""

from dataclasses import dataclass
from typing import ClassVar

from sem_lightning.synthesis.defects.strip import Strip
from sem_lightning.synthesis.field import FieldOfView, Float32, smooth_subtraction
from sem_lightning.synthesis.patterns.pattern import Pattern


@dataclass(frozen=True)
class Gap(Strip):
    """An open: the strip is removed from one line."""

    name: ClassVar[str] = "gap"
    site_kind: ClassVar[str] = "line"

    @classmethod
    def greatest(cls, pattern: Pattern) -> dict[str, float]:
        return {} if pattern.longest_gap is None else {"length": pattern.longest_gap}

    def change(self, phi: Float32, across: Float32, along: Float32, view: FieldOfView) -> Float32:
        return smooth_subtraction(phi, self.strip(across, along), self.smoothing * self.site.pitch)
