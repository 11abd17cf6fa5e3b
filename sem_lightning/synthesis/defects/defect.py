"""Base class of defects: a change of the pattern's geometry, or an object on the pattern."""

import dataclasses
import functools
import math
from abc import ABC
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from sem_lightning.errors import SettingError
from sem_lightning.synthesis.field import FieldOfView, Float32, Window
from sem_lightning.synthesis.patterns.pattern import Pattern, PatternSettings, Site
from sem_lightning.synthesis.ranges import Limits, Range, Settings, make_settings_classes, ranged
from sem_lightning.synthesis.sampling import draw_key, uniform

_PLACING_TRIES = 64
_GLOW = 12.0  # nm beyond the outline of a cover within which its rim may be visible


@dataclass(frozen=True)
class Cover:
    """An object on the pattern.

    Attributes:
        window: The part of the image that it touches.
        phi: Signed distance from its outline in the window, float32 [h, w], nm, positive inside.
        brightness: Brightness, of white; ``None`` is that of the feature.
        opacity: Share of the pattern's brightness that it hides.
        rim: Strength of its edge bloom, relative to the pattern's.
    """

    window: Window
    phi: Float32
    brightness: float | None
    opacity: float
    rim: float


@dataclass(frozen=True)
class Defect(ABC):
    """A defect, with all numbers drawn.

    A subclass is a type of defect. It names its kind of site, declares its numbers as ``ranged`` fields (the keys of
    its YAML file), and overrides `change` or `cover`.

    Attributes:
        site: Its place on the pattern.
        severity: 0 is the least severe defect of its ranges, 1 the most severe.
    """

    name: ClassVar[str] = ""
    site_kind: ClassVar[str]
    crosses_border: ClassVar[bool] = False  # it may extend beyond the image for any ``defect.border``
    types: ClassVar[dict[str, type["Defect"]]] = {}

    site: Site
    severity: float

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "name" in vars(cls):
            Defect.types[cls.name] = cls

    @property
    def half_size(self) -> tuple[float, float]:
        """Half extent that the image must contain, across and along the site's frame, nm."""
        raise NotImplementedError

    @property
    def radius(self) -> float:
        """Largest distance from the site at which it changes the image, with its bloom, nm."""
        return math.hypot(*self.half_size) + _GLOW

    def sized(self, view: FieldOfView) -> Self:
        """The defect with its size limited so that the pixels resolve it and the image contains it."""
        return self

    def change(self, phi: Float32, across: Float32, along: Float32, view: FieldOfView) -> Float32:
        """The printed pattern on the part of the image around the site.

        Args:
            phi: The pattern there, float32 [h, w], nm; read-only.
            across: Coordinates of its pixels in the site's frame, nm.
            along: The same, along the site's line or space.
            view: The whole field of view.
        """
        return phi

    def cover(self, across: Float32, along: Float32, window: Window) -> Cover | None:
        """The object on the pattern there, if any."""
        return None

    def window(self, view: FieldOfView) -> Window:
        """The part of the image that it can touch."""
        return view.window(self.site.x, self.site.y, self.radius + 2 * view.pixel_size)

    def is_inside(self, view: FieldOfView) -> bool:
        """Whether the image contains all of it."""
        across, along = self.half_size
        corners = (self.site.point(i * across, j * along) for i in (-1, 1) for j in (-1, 1))
        return all(view.contains(*corner) for corner in corners)

    @classmethod
    def greatest(cls, pattern: Pattern) -> dict[str, float]:
        """Upper limits of some of its numbers on a pattern, by name, independent of their ranges."""
        return {}

    @classmethod
    def check(cls, settings: "DefectSettings", pattern: PatternSettings, view: FieldOfView) -> None:
        """Check that the pattern and the field of view can show the ranges.

        Raises:
            SettingError: For a key of this type.
        """
        del settings, pattern, view  # most types have no further checks

    @classmethod
    def from_dict(cls, numbers: dict[str, Any]) -> "Defect":
        """The defect from the numbers of ``dataclasses.asdict`` and its type under ``type``."""
        values = {name: value for name, value in numbers.items() if name not in ("type", "site")}
        return cls.types[numbers["type"]](site=Site(**numbers["site"]), **values)


@dataclass
class DefectSettings(Settings):
    """Ranges of one type of defect. The class of each type is made from its ``ranged`` fields.

    Every type has ``severity``. A field that follows from it (``by_severity``) has its low end at severity 0.
    """

    defect_type: ClassVar[type[Defect]]

    severity: Range = ranged("", low=0, high=1, why="0 is the slightest, 1 the gravest")

    def check(self, pattern: PatternSettings, view: FieldOfView) -> None:
        """Check that the pattern and the field of view can show it.

        Raises:
            SettingError: For a key of this type, or without a key if the pattern has no place for it.
        """
        if self.defect_type.site_kind not in pattern.site_kinds:
            raise SettingError(
                "",
                f"the type {self.defect_type.name} needs a pattern with a place of the kind "
                f"{self.defect_type.site_kind!r}; this one offers {', '.join(pattern.site_kinds)}; choose another "
                "pattern or leave the class out (~defect.<class>)",
            )
        self.defect_type.check(self, pattern, view)

    def candidates(
        self, rng: np.random.Generator, pattern: Pattern, view: FieldOfView, crossing: bool
    ) -> Iterator[Defect]:
        """Yield one defect at random places until the caller accepts one.

        Args:
            rng: The defect's numbers are drawn once, before the places.
            pattern: The pattern.
            view: The field of view.
            crossing: Whether the image's border cuts it. Otherwise the image contains all of it, unless there is no
                such place.
        """
        severity = self.draw_value(rng, "severity")
        numbers: dict[str, Any] = {"severity": severity}
        greatest = self.defect_type.greatest(pattern)
        for place, (name, limits) in enumerate(_drawn_fields(self.defect_type)):
            if limits is None:
                numbers[name] = draw_key(rng)
            elif limits.by_key:
                numbers[name] = self.value_at(name, float(uniform(numbers["key"], place, (1,))[0]))
            else:
                share = severity if limits.by_severity else rng.random()
                numbers[name] = self.value_at(name, share, greatest.get(name, math.inf))
        for attempt in range(_PLACING_TRIES):
            site = pattern.draw_site(rng, self.defect_type.site_kind, view)
            if site is None:
                return
            if not view.contains(site.x, site.y, 2 * view.pixel_size):
                continue
            defect = self.defect_type(site=site, **numbers).sized(view)
            late = attempt >= _PLACING_TRIES * 3 // 4
            if late or self.defect_type.crosses_border or defect.is_inside(view) != crossing:
                yield defect


@functools.cache
def _drawn_fields(defect_type: type[Defect]) -> tuple[tuple[str, Limits | None], ...]:
    """Names of a type's numbers and their limits; a key has no limits."""
    fields = ((field.name, field.metadata.get("limits")) for field in dataclasses.fields(defect_type))
    return tuple((name, limits) for name, limits in fields if limits is not None or name == "key")


def make_settings_types() -> None:
    """Make the settings class of every type of defect that has none, in the type's module for pickle."""
    make_settings_classes(Defect.types.values(), SETTINGS_TYPES, DefectSettings, "defect_type")


SETTINGS_TYPES: dict[str, type[DefectSettings]] = {}


def along_window(along: Float32, length: float) -> Float32:
    """A cosine-squared window: 1 in the middle of ``length`` nm, 0 at its ends."""
    share = np.clip(np.abs(along) * np.float32(2 / length), 0, 1)
    window: Float32 = np.cos(share * np.float32(math.pi / 2)) ** 2
    return window
