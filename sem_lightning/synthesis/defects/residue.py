"""Residue (scum): a film of resist that remains in a space after development."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sem_lightning.synthesis.defects.defect import Cover, Defect
from sem_lightning.synthesis.field import Float32, Window
from sem_lightning.synthesis.ranges import ranged
from sem_lightning.synthesis.sampling import normal

_WAVES = 5


@dataclass(frozen=True)
class Residue(Defect):
    """A film in a space, thinner than the adjacent lines.

    Attributes:
        length: Extent along the space, pitches.
        thickness: Brightness above the space, of the contrast to the line.
        irregularity: Standard deviation of the ends, of the length.
        key: Seed of the ends.
    """

    name: ClassVar[str] = "residue"
    site_kind: ClassVar[str] = "space"

    key: int
    length: float = ranged("pitches", low=0.2, log=True, by_severity=True, why="shorter it is not seen")
    thickness: float = ranged("of the contrast", low=0.1, high=1, why="none is no residue, all of it a bridge")
    irregularity: float = ranged("of the length", low=0, high=0.4, why="beyond that it falls apart")

    @property
    def half_size(self) -> tuple[float, float]:
        return self.site.width / 2, self.length * self.site.pitch / 2 * (1 + self.irregularity)

    def cover(self, across: Float32, along: Float32, window: Window) -> Cover:
        half = self.length * self.site.pitch / 2
        ends = np.full_like(across, half)
        for n, (cos, sin) in enumerate(normal(self.key, 0, (_WAVES, 2)), start=1):
            turn = across * np.float32(math.pi * n / max(self.site.width, 1e-6)) + np.where(along > 0, 0, n)
            weight = np.float32(self.irregularity * half / math.sqrt(_WAVES))
            ends += weight * (cos * np.cos(turn) + sin * np.sin(turn))
        ahead = np.clip(ends, half / 2, half * (1 + self.irregularity)) - np.abs(along)
        phi = np.minimum(ahead, np.float32(self.site.width / 2) - np.abs(across))
        return Cover(window, np.asarray(phi, np.float32), None, self.thickness, 0.3)
