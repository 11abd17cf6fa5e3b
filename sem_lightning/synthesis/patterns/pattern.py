"""What every pattern offers: its geometry, and the places where a defect can sit."""

import functools
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from sem_lightning.errors import SettingError
from sem_lightning.synthesis.field import FieldOfView, Float32
from sem_lightning.synthesis.ranges import Range, Settings, ranged
from sem_lightning.synthesis.roughness import Roughness, RoughnessSettings

ANYWHERE = "anywhere"  # the kind of site that every pattern has


def turn(x: float, y: float, angle: float) -> tuple[float, float]:
    """A point turned about the image's middle by ``angle`` degrees, from x towards y."""
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    return x * cos - y * sin, x * sin + y * cos


@dataclass(frozen=True)
class Site:
    """A place where a defect can sit.

    Attributes:
        x: nm to the right of the image's middle.
        y: nm below it.
        angle: Direction of the line or space there, degrees; 0 runs down the image.
        width: Of the line, space or hole there, nm.
        reach: From its middle to the middle of what lies beyond on either side, nm.
        pitch: Distance to the next of its kind, nm: the measure of a defect's size.
    """

    x: float
    y: float
    angle: float
    width: float
    reach: float
    pitch: float

    def point(self, across: float, along: float) -> tuple[float, float]:
        """The image's coordinates, nm, of a point in the site's own frame."""
        x, y = turn(across, along, self.angle)
        return self.x + x, self.y + y


@dataclass(frozen=True)
class Pattern(ABC):
    """A defect-free pattern, every number drawn; subclasses are what a scene holds."""

    name: ClassVar[str]
    types: ClassVar[dict[str, type["Pattern"]]] = {}

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        Pattern.types[cls.name] = cls

    @property
    def longest_gap(self) -> float | None:
        """Pitches: what a longer break would be is an intended space between two line ends; ``None`` without any."""
        return None

    @abstractmethod
    def phi(self, view: FieldOfView) -> Float32:
        """Signed distance to the nearest edge: float32 [H, W], nm, positive inside the feature."""

    @abstractmethod
    def draw_site(self, rng: np.random.Generator, kind: str, view: FieldOfView) -> Site | None:
        """A random place of a kind inside the image, or ``None`` where this pattern has none."""

    @classmethod
    def from_dict(cls, numbers: dict[str, Any]) -> "Pattern":
        """The pattern whose ``dataclasses.asdict`` gave these numbers."""
        if "roughness" in numbers:
            numbers = {**numbers, "roughness": Roughness(**numbers["roughness"])}
        return cls(**numbers)


@functools.lru_cache(maxsize=4)
def clean_phi(pattern: Pattern, view: FieldOfView) -> Float32:
    """``pattern.phi(view)``, kept for whoever asks for it next; not to be written into."""
    phi = pattern.phi(view)
    phi.flags.writeable = False
    return phi


def draw_point(rng: np.random.Generator, view: FieldOfView) -> tuple[float, float]:
    """A point anywhere in the image, nm from its middle."""
    height, width = view.extent
    return float(rng.uniform(-width / 2, width / 2)), float(rng.uniform(-height / 2, height / 2))


def draw_anywhere(rng: np.random.Generator, view: FieldOfView, pitch: float) -> Site:
    """A place that has nothing to do with the pattern but its scale."""
    x, y = draw_point(rng, view)
    return Site(x, y, float(rng.uniform(-90, 90)), pitch / 2, pitch / 2, pitch)


@dataclass
class PatternSettings(Settings, ABC):
    """Ranges of a kind of pattern.

    Class attributes:
        kind: The name under which configuration files find it (``pattern/schema/<kind>``); a subclass that sets it is
            registered.
        kinds: What is registered.
        site_kinds: Kinds of places that it offers to defects.
    """

    kind: ClassVar[str]
    kinds: ClassVar[dict[str, type["PatternSettings"]]] = {}
    site_kinds: ClassVar[tuple[str, ...]] = (ANYWHERE,)

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "kind" in vars(cls):
            PatternSettings.kinds[cls.kind] = cls

    @property
    def usual_polarity(self) -> str:
        """What ``imaging.polarity=auto`` means: whether the feature is ``bright`` or ``dark`` in most microscopes."""
        return "bright"

    @property
    def alternatives(self) -> "Sequence[PatternSettings]":
        """The settings of which one makes each image: itself, but for mixtures."""
        return [self]

    def choose(self, rng: np.random.Generator) -> "PatternSettings":
        """One of the alternatives, all equally often; where there is but one, ``rng`` is left alone."""
        every = self.alternatives
        return every[0] if len(every) == 1 else every[int(rng.random() * len(every))]

    @property
    @abstractmethod
    def pitches(self) -> tuple[float, float]:
        """The smallest and the largest pitch, nm."""

    @abstractmethod
    def check(self, view: FieldOfView) -> None:
        """Refuse what this field of view cannot show.

        Raises:
            SettingError: For a key of this group.
        """

    @abstractmethod
    def draw(self, rng: np.random.Generator, view: FieldOfView) -> Pattern:
        """One pattern from the ranges."""

    def sources(self) -> dict[str, str]:
        """SHA-256 of the user's files that patterns come from, by name: they too make a set what it is."""
        return {}

    def check_pixels(self, key: str, finest: float, what: str, view: FieldOfView, pixels: float) -> None:
        """Refuse features of ``finest`` nm that are under so many pixels."""
        if finest < pixels * view.pixel_size:
            raise SettingError(
                key,
                f"{what} come down to {finest:.3g} nm, under {pixels:g} pixels of {view.pixel_size:g} nm, so they "
                "cannot be seen; enlarge them or use a smaller imaging.pixel_size",
            )


@dataclass(kw_only=True)
class PeriodicSettings(RoughnessSettings, PatternSettings, ABC):
    """Ranges of a pattern with a pitch, and features that fill a part of it."""

    pitch: Range = ranged("nm", low=0, above=True, log=True, why="features need a distance")
    duty: Range = ranged(
        "of the pitch",
        low=0.1,
        high=0.9,
        why="a feature as wide as its pitch leaves no space, and one of no width no feature",
    )

    @property
    def pitches(self) -> tuple[float, float]:
        low, high = self.pitch
        return low, high

    def check_roughness(self, roughest: float, space: float, line: float, widest_duty: float) -> None:
        """Refuse edges so rough that they open or close what is ``space`` and ``line`` wide, both of the CD."""
        # What varies by s closes somewhere when its mean is not well above: take five s, of two edges' difference.
        allowed = 3 / 5 * min(space, line) / math.sqrt(2)
        if roughest > allowed:
            raise SettingError(
                "roughness",
                f"3 sigma of {roughest:g} of the CD would open or close lines of duty {widest_duty:.3g} without any "
                f"defect; use at most {math.floor(allowed * 1000) / 1000:g}",
            )
