"""Line collapse: two neighbouring lines lean together over a length, as capillary forces do to resist."""

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np

from sem_lightning.synthesis.defects.defect import Defect, along_window
from sem_lightning.synthesis.field import FieldOfView, Float32
from sem_lightning.synthesis.patterns.pattern import Site
from sem_lightning.synthesis.ranges import ranged


@dataclass(frozen=True)
class Collapse(Defect):
    """Both lines next to a space move into it.

    Attributes:
        lean: Displacement of each line in the middle, of half the space; at 1 they touch.
        length: Extent along the lines, pitches.
    """

    name: ClassVar[str] = "collapse"
    site_kind: ClassVar[str] = "space"

    lean: float = ranged(
        "of half the space",
        low=0.2,
        high=1.5,
        by_severity=True,
        why="less is roughness, more runs through the next line",
    )
    length: float = ranged("pitches", low=0.5, log=True, why="shorter it is a kink")

    @property
    def half_size(self) -> tuple[float, float]:
        return self.site.reach + self.site.pitch / 2, self.length * self.site.pitch / 2

    def change(self, phi: Float32, across: Float32, along: Float32, view: FieldOfView) -> Float32:
        # Both lines keep their shape; the outer spaces widen; the next lines do not move.
        space, line = self.site.width, 2 * (self.site.reach - self.site.width / 2)
        furthest = self.lean * space / 2
        outer = space / 2 + line
        beyond = 1 - (np.abs(across) - np.float32(outer - furthest)) * np.float32(1 / max(space, 1e-6))
        moved = along_window(along, self.length * self.site.pitch) * np.clip(beyond, 0, 1) * np.float32(furthest)
        return shifted(phi, np.where(across < 0, -moved, moved), np.zeros_like(moved), self.site, view)


def shifted(phi: Float32, across: Float32, along: Float32, site: Site, view: FieldOfView) -> Float32:
    """``phi`` shifted by ``across`` and ``along`` nm in the site's frame, for each pixel."""
    cos, sin = np.float32(np.cos(np.radians(site.angle))), np.float32(np.sin(np.radians(site.angle)))
    scale = np.float32(1 / view.pixel_size)
    column = np.arange(phi.shape[1], dtype=np.float32) + (across * cos - along * sin) * scale
    row = np.arange(phi.shape[0], dtype=np.float32)[:, None] + (across * sin + along * cos) * scale
    found = cv2.remap(phi, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found, np.float32)
