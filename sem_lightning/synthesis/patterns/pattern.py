"""Base class of patterns: the geometry, and the sites for defects."""

import dataclasses
import functools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from sem_lightning.errors import SettingError
from sem_lightning.synthesis.field import FieldOfView, Float32
from sem_lightning.synthesis.ranges import Range, Settings, ranged
from sem_lightning.synthesis.roughness import Roughness, RoughnessSettings

ANYWHERE = "anywhere"  # the kind of site that every pattern has


def turn(x: float, y: float, angle: float) -> tuple[float, float]:
    """Rotate a point about the image's middle by ``angle`` degrees, from x towards y."""
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    return x * cos - y * sin, x * sin + y * cos


@dataclass(frozen=True)
class Site:
    """A place for a defect.

    Attributes:
        x: nm to the right of the image's middle.
        y: nm below it.
        angle: Direction of the line or space there, degrees; 0 runs down the image.
        width: Width of the line, space or hole there, nm.
        reach: Distance from its middle to the middle of its neighbours on either side, nm.
        pitch: Distance to the next feature of its kind, nm: the unit of a defect's size.
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
    """A defect-free pattern, with all numbers drawn. A scene holds an object of a subclass."""

    name: ClassVar[str]
    types: ClassVar[dict[str, type["Pattern"]]] = {}

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        Pattern.types[cls.name] = cls

    @property
    def longest_gap(self) -> float | None:
        """Longest gap in pitches; a longer break is an intended space between line ends. ``None`` for no limit."""
        return None

    @abstractmethod
    def phi(self, view: FieldOfView) -> Float32:
        """Signed distance to the nearest edge: float32 [H, W], nm, positive inside the feature."""

    @abstractmethod
    def draw_site(self, rng: np.random.Generator, kind: str, view: FieldOfView) -> Site | None:
        """A random place of a kind inside the image, or ``None`` if there is none."""

    def framed(self, view: FieldOfView, other: FieldOfView) -> "Pattern":
        """The same design for another field of view around the same middle; most patterns do not depend on it."""
        del view, other
        return self

    def reprinted(self, key: int) -> "Pattern":
        """The same design on another die: edges, and positions of holes, vary anew with ``key``.

        It expects that ``key`` seeds what varies and nothing else; another pattern overrides it. A pattern without such
        a field varies nowhere and stays as it is.
        """
        numbers = {"key": key} if "key" in self.__dataclass_fields__ else {}
        return dataclasses.replace(self, **numbers)

    @classmethod
    def from_dict(cls, numbers: dict[str, Any]) -> "Pattern":
        """The pattern from the numbers of ``dataclasses.asdict``."""
        if "roughness" in numbers:
            numbers = {**numbers, "roughness": Roughness(**numbers["roughness"])}
        return cls(**numbers)


@functools.lru_cache(maxsize=4)
def clean_phi(pattern: Pattern, view: FieldOfView) -> Float32:
    """``pattern.phi(view)``, cached and read-only."""
    phi = pattern.phi(view)
    phi.flags.writeable = False
    return phi


def draw_point(rng: np.random.Generator, view: FieldOfView) -> tuple[float, float]:
    """A point anywhere in the image, nm from its middle."""
    height, width = view.extent
    return float(rng.uniform(-width / 2, width / 2)), float(rng.uniform(-height / 2, height / 2))


def draw_anywhere(rng: np.random.Generator, view: FieldOfView, pitch: float) -> Site:
    """A place that is independent of the pattern except for its scale."""
    x, y = draw_point(rng, view)
    return Site(x, y, float(rng.uniform(-90, 90)), pitch / 2, pitch / 2, pitch)


@dataclass
class PatternSettings(Settings, ABC):
    """Ranges of a kind of pattern.

    Class attributes:
        kind: The name under which configuration files find it (``pattern/schema/<kind>``); a subclass that sets it is
            registered.
        kinds: The registered kinds.
        site_kinds: Kinds of places for defects.
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
        """The polarity for ``imaging.polarity=auto``: ``bright`` or ``dark``, as in most microscopes."""
        return "bright"

    @property
    def alternatives(self) -> "Sequence[PatternSettings]":
        """The settings from which each image takes one: only itself, except for mixtures."""
        return [self]

    def choose(
        self, rng: np.random.Generator, fits: "Callable[[PatternSettings], bool]" = lambda pattern: True
    ) -> "PatternSettings":
        """One of the alternatives that fit, with equal probability; a single one takes no number from ``rng``."""
        every = [each for each in self.alternatives if fits(each)]
        return every[0] if len(every) == 1 else every[int(rng.random() * len(every))]

    @property
    @abstractmethod
    def pitches(self) -> tuple[float, float]:
        """The smallest and the largest pitch, nm."""

    @abstractmethod
    def check(self, view: FieldOfView) -> None:
        """Check that this field of view can show the pattern.

        Raises:
            SettingError: For a key of this group.
        """

    @abstractmethod
    def draw(self, rng: np.random.Generator, view: FieldOfView) -> Pattern:
        """Draw one pattern from the ranges."""

    def sources(self) -> dict[str, str]:
        """SHA-256 of the user's input files, by name; they are part of the identity of a set."""
        return {}

    def check_pixels(self, key: str, finest: float, what: str, view: FieldOfView, pixels: float) -> None:
        """Check that features of ``finest`` nm have at least ``pixels`` pixels."""
        if finest < pixels * view.pixel_size:
            raise SettingError(
                key,
                f"{what} come down to {finest:.3g} nm, under {pixels:g} pixels of {view.pixel_size:g} nm, so they "
                "cannot be seen; enlarge them or use a smaller imaging.pixel_size",
            )


@dataclass(kw_only=True)
class PeriodicSettings(RoughnessSettings, PatternSettings, ABC):
    """Ranges of a pattern with a pitch and a duty."""

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
        """Check that roughness does not open lines or close spaces of widths ``line`` and ``space`` (of the CD)."""
        # A width with deviation s closes somewhere unless its mean is well above s: the limit is 5 s of both edges.
        allowed = 3 / 5 * min(space, line) / math.sqrt(2)
        if roughest > allowed:
            raise SettingError(
                "roughness",
                f"3 sigma of {roughest:g} of the CD would open or close lines of duty {widest_duty:.3g} without any "
                f"defect; use at most {math.floor(allowed * 1000) / 1000:g}",
            )
