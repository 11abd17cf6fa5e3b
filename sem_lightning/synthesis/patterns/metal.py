"""Base class of metal-layer patterns: wires of at least a CD with a smallest space, drawn as shapes."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sem_lightning.errors import SettingError
from sem_lightning.polarity import POLARITIES
from sem_lightning.synthesis.field import FieldOfView
from sem_lightning.synthesis.patterns.pattern import PeriodicSettings
from sem_lightning.synthesis.patterns.shapes import SITE_KINDS, Polygon, Shapes
from sem_lightning.synthesis.ranges import Range, ranged
from sem_lightning.synthesis.sampling import draw_key

_FEWEST_PIXELS = 2.5  # least width of a wire or a space


@dataclass(kw_only=True)
class MetalSettings(PeriodicSettings, ABC):
    """Ranges of a metal layer.

    Class attributes:
        counted: What the pitch counts, for messages: tracks, or wires.
    """

    site_kinds: ClassVar[tuple[str, ...]] = SITE_KINDS
    counted: ClassVar[str]

    polarity: str
    longest_gap: float | None

    corner: Range = ranged("of the CD", low=0, high=0.5, why="rounder than half a wire there is no wire")
    roughness: Range = ranged(
        "of the CD (3 sigma)", low=0, high=0.5, why="edges rougher than half the CD open and close wires"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.polarity not in POLARITIES:
            raise SettingError("polarity", f"found {self.polarity!r}, expected one of {', '.join(POLARITIES)}")
        if self.longest_gap is not None and self.longest_gap <= 0:
            raise SettingError(
                "longest_gap",
                f"found {self.longest_gap:g}, expected pitches above 0, or null where a gap may be as long as any",
            )

    @property
    def usual_polarity(self) -> str:
        return self.polarity

    def check(self, view: FieldOfView) -> None:
        """Check that this field of view can show the wires.

        Raises:
            SettingError: Wires too fine for the pixels, too coarse for the image, or rough enough to touch.
        """
        finest, coarsest = self.pitch
        thinnest = finest * min(self.duty[0], 1 - self.duty[1])
        self.check_pixels("duty", thinnest, "wires or spaces", view, _FEWEST_PIXELS)
        if 3 * coarsest > min(view.extent):
            raise SettingError(
                "pitch",
                f"{coarsest:g} nm leaves fewer than three {self.counted} in the field of view of {min(view.extent):g} "
                f"nm; use at most {min(view.extent) / 3:g} nm or a larger imaging.image_size",
            )
        duty = self.duty[1]
        self.check_roughness(self.roughness[1], (1 - duty) / duty, 0.5, duty)

    def draw(self, rng: np.random.Generator, view: FieldOfView) -> Shapes:
        """Draw one clip from the ranges."""
        pitch = self.draw_value(rng, "pitch")
        cd = pitch * self.draw_value(rng, "duty")
        corner = cd * self.draw_value(rng, "corner")
        roughness = self.draw_roughness(rng, cd * self.draw_value(rng, "roughness") / 3)
        key = draw_key(rng)
        wires, cutouts = self.lay_out(rng, view, pitch, cd)
        return Shapes(wires, cutouts, pitch, corner, roughness, key, self.longest_gap)

    @abstractmethod
    def lay_out(
        self, rng: np.random.Generator, view: FieldOfView, pitch: float, cd: float
    ) -> tuple[tuple[Polygon, ...], tuple[Polygon, ...]]:
        """Wires of a pitch and CD in nm, and cut-outs."""
