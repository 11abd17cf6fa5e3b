"""Local CD deviation: a line is too wide or too narrow over a length, without opening or touching."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sem_lightning.synthesis.defects.defect import Defect, along_window
from sem_lightning.synthesis.field import FieldOfView, Float32
from sem_lightning.synthesis.ranges import ranged


@dataclass(frozen=True)
class CDDeviation(Defect):
    """Both edges of one line move outwards or inwards.

    Attributes:
        amount: Change of the CD in the middle, of the CD or, if it is narrower, of the space.
        length: Extent along the line, pitches.
        direction: Below 0 the line is too narrow, else too wide.
    """

    name: ClassVar[str] = "cd_deviation"
    site_kind: ClassVar[str] = "line"

    amount: float = ranged(
        "of the CD", low=0.05, high=0.7, by_severity=True, why="less is roughness, more opens or closes"
    )
    length: float = ranged("pitches", low=0.5, log=True, why="shorter it is roughness")
    direction: float = ranged("", low=-1, high=1, why="only its sign counts")

    @property
    def half_size(self) -> tuple[float, float]:
        return self.site.reach, self.length * self.site.pitch / 2

    def change(self, phi: Float32, across: Float32, along: Float32, view: FieldOfView) -> Float32:
        width, reach = self.site.width, self.site.reach
        step = self.amount * min(width, 2 * reach - width) / 2
        beside = np.clip((np.float32(reach) - np.abs(across)) * np.float32(2 / max(reach - width / 2, 1e-6)), 0, 1)
        grown = along_window(along, self.length * self.site.pitch) * beside * np.float32(step)
        changed: Float32 = phi - grown if self.direction < 0 else phi + grown
        return changed
