"""Probable gap: a neck in a line that may be electrically open, or open after etch."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sem_lightning.synthesis.defects.defect import Defect, along_window
from sem_lightning.synthesis.field import FieldOfView, Float32, smooth_subtraction
from sem_lightning.synthesis.ranges import ranged

_FURTHEST = 0.75  # of the way from the line's middle to its edge; farther out roughness may cut the neck


@dataclass(frozen=True)
class ProbableGap(Defect):
    """A neck that nearly opens a line.

    Attributes:
        depth: Lost share of the line's width in the middle of the neck.
        length: Extent along the line, pitches.
        side: Position of the neck: -1 and 1 are the line's edges, 0 is its middle.
        smoothing: Radius of its transition to the line, pitches.
    """

    name: ClassVar[str] = "probable_gap"
    site_kind: ClassVar[str] = "line"

    depth: float = ranged(
        "of the line's width", low=0.3, high=0.9, by_severity=True, why="less is a CD deviation, more a gap"
    )
    length: float = ranged("pitches", low=0.2, why="shorter it is not seen")
    side: float = ranged("", low=-1, high=1, why="-1 and 1 are the edges of the line")
    smoothing: float = ranged("of the pitch", low=0.01, high=0.5, why="beyond half a pitch it melts into the next line")

    @property
    def half_size(self) -> tuple[float, float]:
        return self.site.reach, self.length * self.site.pitch / 2

    def change(self, phi: Float32, across: Float32, along: Float32, view: FieldOfView) -> Float32:
        # The neck keeps at least 1.5 pixels; otherwise it would be a gap.
        width = self.site.width
        neck = max(width * (1 - self.depth), 1.5 * view.pixel_size)
        weight = along_window(along, self.length * self.site.pitch)
        middle = np.float32(_FURTHEST * self.side * (width - neck) / 2) * weight
        half = np.float32(self.site.reach) - np.float32(self.site.reach - neck / 2) * weight
        outside = np.minimum(np.abs(across - middle) - half, np.float32(self.site.reach) - np.abs(across))
        outside = np.minimum(outside, np.float32(self.length * self.site.pitch / 2) - np.abs(along))
        # smaller than the neck, because smoothing would cut it
        return smooth_subtraction(phi, outside, min(self.smoothing * self.site.pitch, neck))
