"""A strip across a line, a space or the wall between two holes: the shape of gaps, bridges and merged holes."""

import math
from dataclasses import dataclass, replace
from typing import Self

import cv2
import numpy as np
import numpy.typing as npt

from sem_lightning.errors import SettingError
from sem_lightning.synthesis.defects.defect import Defect, DefectSettings
from sem_lightning.synthesis.field import FieldOfView, Float32
from sem_lightning.synthesis.patterns.pattern import PatternSettings
from sem_lightning.synthesis.ranges import ranged
from sem_lightning.synthesis.sampling import normal

_FEWEST_PIXELS = 2.0  # smallest length of a visible strip
_WAVES = 4
_MOST_RAGGED = 1.5  # of its length; limit of uneven ends
_WAVE_SAMPLES = 97
_WAVE_STEP = 1 / 32  # widths between samples, which extend 1.5 widths on either side
_NUMBERS = np.arange(1, _WAVES + 1, dtype=np.float32)
_STRENGTHS = np.asarray(1 / _NUMBERS / np.hypot.reduce(1 / _NUMBERS), np.float32)
_TURNS = (
    _NUMBERS[:, None]
    * (np.arange(_WAVE_SAMPLES, dtype=np.float32) - (_WAVE_SAMPLES - 1) / 2)
    * np.float32(math.pi * _WAVE_STEP)
)
_COSINES, _SINES = np.cos(_TURNS), np.sin(_TURNS)


@dataclass(frozen=True)
class Strip(Defect):
    """A strip across its site.

    Attributes:
        length: Extent along the site's line or space, pitches.
        bulge: Relative growth of that extent towards the strip's ends: positive is an hourglass (rounded line ends
            at a gap, a neck at a bridge), negative a lens.
        slant: Shift along the line for each nm across it.
        smoothing: Radius of its transition to the pattern, pitches.
        raggedness: Standard deviation of each uneven edge, of the length.
        squareness: Reduction of bulge, slant and raggedness: 1 gives a rectangle.
        key: Seed of the raggedness.
    """

    key: int
    length: float = ranged("pitches", low=0.02, log=True, by_severity=True, why="a strip of no length does nothing")
    bulge: float = ranged("", low=-0.7, high=2, why="beyond that its ends or its middle vanish")
    slant: float = ranged("", low=-1, high=1, why="steeper it runs along the line")
    smoothing: float = ranged("of the pitch", low=0.01, high=0.5, why="beyond half a pitch it melts into the next line")
    raggedness: float = ranged("of its length", low=0, high=0.3, why="beyond that its ends meet")
    squareness: float = ranged("", low=0, high=1, by_key=True, default=0.0, why="it is a share")

    @property
    def _unevenness(self) -> tuple[float, float, float]:
        """Bulge, slant and raggedness, reduced by squareness."""
        left = 1 - self.squareness
        return left * self.bulge, left * self.slant, left * self.raggedness

    @property
    def half_size(self) -> tuple[float, float]:
        bulge, slant, _ = self._unevenness
        longest = self.length * self.site.pitch / 2 * (1 + max(bulge, 0))
        return self._half_width, longest + abs(slant) * self._half_width

    @property
    def _half_width(self) -> float:
        """Half width that must be inside the image to show the opened line or the joined lines."""
        return self.site.width / 2 + (self.site.reach - self.site.width / 2) / 3

    @property
    def radius(self) -> float:
        bulge, slant, _ = self._unevenness
        longest = _MOST_RAGGED * self.length * self.site.pitch / 2 * (1 + max(bulge, 0))
        reach = self.site.reach
        return math.hypot(reach, longest + abs(slant) * reach) + self.smoothing * self.site.pitch

    def sized(self, view: FieldOfView) -> Self:
        bulge, _, _ = self._unevenness
        narrow, wide = 1 + min(bulge, 0), 1 + max(bulge, 0)
        shortest = _FEWEST_PIXELS * view.pixel_size / narrow
        longest = max(0.8 * min(view.extent) / wide, shortest)
        return replace(self, length=min(max(self.length * self.site.pitch, shortest), longest) / self.site.pitch)

    def strip(self, across: Float32, along: Float32) -> Float32:
        """Signed distance of the strip; it ends at the site's reach, in the middle of the neighbours."""
        bulge, slant, raggedness = self._unevenness
        share = np.minimum(np.abs(across) * np.float32(2 / max(self.site.width, 1e-6)), np.float32(1))
        half_length = np.float32(self.length * self.site.pitch / 2) * (1 + np.float32(bulge) * share * share)
        offset = along - np.float32(slant) * across
        if raggedness > 0:
            nominal = half_length
            half_length = half_length + self._waves(raggedness, across, offset > 0)
            half_length = np.clip(half_length, nominal * np.float32(0.5), nominal * np.float32(_MOST_RAGGED))
        strip: Float32 = np.minimum(half_length - np.abs(offset), np.float32(self.site.reach) - np.abs(across))
        return strip

    def _waves(self, raggedness: float, across: Float32, ahead: npt.NDArray[np.bool_]) -> Float32:
        """Uneven ends with independent waves: nm, as a function of the position across."""
        # wavelengths of two widths and fractions of it; longer waves are stronger
        strength = np.float32(raggedness * self.length * self.site.pitch) * _STRENGTHS
        drawn = normal(self.key, 0, (2, 2, _WAVES)) * strength
        waves = drawn[:, 0] @ _COSINES + drawn[:, 1] @ _SINES
        sample = across * np.float32(1 / (_WAVE_STEP * max(self.site.width, 1e-6))) + np.float32(
            (_WAVE_SAMPLES - 1) / 2
        )
        found = cv2.remap(waves, sample, ahead.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(found, np.float32)

    @classmethod
    def check(cls, settings: DefectSettings, pattern: PatternSettings, view: FieldOfView) -> None:
        """Check that pixels resolve the strips and that they fit into the image.

        Raises:
            SettingError: For ``length``.
        """
        (finest, coarsest), (shortest, longest) = pattern.pitches, settings.length  # type: ignore[attr-defined]
        if longest * coarsest < _FEWEST_PIXELS * view.pixel_size:
            raise SettingError(
                "length",
                f"{longest:g} pitches are {longest * coarsest:.3g} nm, under two pixels of {view.pixel_size:g} nm: too "
                f"small to open or short a line; use at least {_FEWEST_PIXELS * view.pixel_size / coarsest:.3g}",
            )
        if shortest * finest > min(view.extent):
            raise SettingError(
                "length",
                f"{shortest:g} pitches are {shortest * finest:.3g} nm and do not fit into the field of view of "
                f"{min(view.extent):g} nm; use at most {min(view.extent) / finest:.3g}",
            )
