"""Defects of a line/space pattern: a gap opens a line, a bridge shorts two."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import numpy as np

from sem_lightning.errors import SettingError
from sem_lightning.synthesis.field import FieldOfView, Float32, smooth_subtraction, smooth_union
from sem_lightning.synthesis.pattern import Lines, LineSpace
from sem_lightning.synthesis.ranges import Range, Settings, ranged

_PLACING_TRIES = 64


@dataclass(frozen=True)
class Patch(ABC):
    """A strip that runs across the lines, every number drawn.

    Attributes:
        across: Position of its middle across the lines, nm.
        along: Position of its middle along the lines, nm.
        length: Extent along the lines at its middle, nm.
        bulge: Relative growth of that extent towards the strip's ends: positive is an hourglass (rounded line ends
            at a gap, a neck at a bridge), negative a lens.
        slant: Shift along the lines for each nm across them.
        smoothing: Radius over which it melts into the pattern, nm.
    """

    across: float
    along: float
    length: float
    bulge: float
    slant: float
    smoothing: float

    @abstractmethod
    def apply(self, phi: Float32, lines: Lines, view: FieldOfView) -> Float32:
        """The pattern ``phi`` with this defect in it: float32 [H, W], nm."""

    @staticmethod
    @abstractmethod
    def width(lines: Lines) -> float:
        """What the strip must cross to open a line or short two, nm."""

    def strip(self, lines: Lines, view: FieldOfView) -> Float32:
        """Signed distance of the strip alone; it ends half a pitch away, in the middle of what lies beyond."""
        across, along = view.axes(lines.angle)
        aside = across - np.float32(self.across)
        share = np.minimum(np.abs(aside) * np.float32(2 / self.width(lines)), np.float32(1))
        half_length = np.float32(self.length / 2) * (1 + np.float32(self.bulge) * share * share)
        offset = np.abs(along - np.float32(self.along) - np.float32(self.slant) * aside)
        strip: Float32 = np.minimum(half_length - offset, np.float32(lines.pitch / 2) - np.abs(aside))
        return strip


@dataclass(frozen=True)
class Gap(Patch):
    """An open: the strip is taken out of one line."""

    @staticmethod
    def width(lines: Lines) -> float:
        return lines.cd

    def apply(self, phi: Float32, lines: Lines, view: FieldOfView) -> Float32:
        return smooth_subtraction(phi, self.strip(lines, view), self.smoothing)


@dataclass(frozen=True)
class Bridge(Patch):
    """A short: the strip is added between two lines."""

    @staticmethod
    def width(lines: Lines) -> float:
        return lines.space

    def apply(self, phi: Float32, lines: Lines, view: FieldOfView) -> Float32:
        return smooth_union(phi, self.strip(lines, view), self.smoothing)


PATCHES: dict[str, type[Patch]] = {"gap": Gap, "bridge": Bridge}


@dataclass
class PatchSettings(Settings):
    """Ranges of a gap or a bridge (``conf/defect/basic.yaml`` documents each)."""

    length: Range = ranged("pitches", low=0.1, log=True)
    bulge: Range = ranged("", low=-0.7, high=2)
    slant: Range = ranged("", low=-1, high=1)
    smoothing: Range = ranged("of the pitch", low=0.01, high=0.5)

    def check(self, pattern: LineSpace, view: FieldOfView) -> None:
        """Refuse defects that the pixels cannot show or the image cannot hold.

        Raises:
            SettingError: Defects under two pixels or longer than the field of view.
        """
        finest, coarsest = pattern.pitch
        narrowest = finest * (1 + min(self.bulge[0], 0))  # of a defect one pitch long, at its ends
        widest = coarsest * (1 + max(self.bulge[1], 0))
        shortest, longest = self.length
        if shortest * narrowest < 2 * view.pixel_size:
            raise SettingError(
                "length",
                f"{shortest:g} pitches come down to {shortest * narrowest:.3g} nm, under two pixels of "
                f"{view.pixel_size:g} nm: too small to open or short a line; use at least "
                f"{2 * view.pixel_size / narrowest:.3g}, or a bulge nearer to 0",
            )
        if longest * widest > min(view.extent):
            raise SettingError(
                "length",
                f"{longest:g} pitches come up to {longest * widest:.3g} nm and do not fit into the field of view of "
                f"{min(view.extent):g} nm; use at most {min(view.extent) / widest:.3g}",
            )

    def draw(self, rng: np.random.Generator, kind: type[Patch], lines: Lines, view: FieldOfView) -> Patch:
        """One defect of a kind, anywhere inside the image."""
        patch = kind(
            across=0.0,
            along=0.0,
            length=lines.pitch * self.draw_value(rng, "length"),
            bulge=self.draw_value(rng, "bulge"),
            slant=self.draw_value(rng, "slant"),
            smoothing=lines.pitch * self.draw_value(rng, "smoothing"),
        )
        return _place(rng, patch, lines, view)


def _place(rng: np.random.Generator, patch: Patch, lines: Lines, view: FieldOfView) -> Patch:
    """Move a defect onto a line or space such that the image holds all of it, and a piece of what it joins."""
    offset = lines.phase + (lines.pitch / 2 if isinstance(patch, Bridge) else 0.0)
    reach = patch.width(lines) / 2 + (lines.cd / 3 if isinstance(patch, Bridge) else 0.0)
    while True:
        half_length = patch.length / 2 * (1 + max(patch.bulge, 0)) + view.pixel_size
        half_height, half_width = (extent / 2 for extent in view.extent)
        for _ in range(_PLACING_TRIES):
            x, y = rng.uniform(-half_width, half_width), rng.uniform(-half_height, half_height)
            angle = np.radians(lines.angle)
            across = x * np.cos(angle) + y * np.sin(angle)
            along = float(y * np.cos(angle) - x * np.sin(angle))
            across = float(offset + lines.pitch * np.rint((across - offset) / lines.pitch))
            corners = [(across + i * reach, along + j * half_length) for i in (-1, 1) for j in (-1, 1)]
            if all(view.contains(*corner, lines.angle) for corner in corners):
                return replace(patch, across=across, along=along)
        # Only where it nearly fills the image: what cannot be placed whole is made shorter.
        patch = replace(patch, length=patch.length * 0.8)


@dataclass
class BasicDefects:
    """The classes good, gap and bridge, in this order."""

    gap: PatchSettings
    bridge: PatchSettings

    @property
    def classes(self) -> list[str]:
        return ["good", *PATCHES]

    def check(self, pattern: LineSpace, view: FieldOfView) -> None:
        """Refuse what the pattern or the field of view cannot show.

        Raises:
            SettingError: See `PatchSettings.check`.
        """
        for name in PATCHES:
            try:
                getattr(self, name).check(pattern, view)
            except SettingError as error:
                raise error.under(name) from None

    def draw(self, rng: np.random.Generator, label: str, lines: Lines, view: FieldOfView) -> Patch | None:
        """A defect of the class ``label``; none for ``good``."""
        if label == "good":
            return None
        settings: PatchSettings = getattr(self, label)
        return settings.draw(rng, PATCHES[label], lines, view)
