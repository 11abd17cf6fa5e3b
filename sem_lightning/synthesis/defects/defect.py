"""What every type of defect is: a change of the pattern's geometry, or something that lies on it."""

import dataclasses
import functools
import math
import sys
from abc import ABC
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from sem_lightning.errors import SettingError
from sem_lightning.synthesis.field import FieldOfView, Float32, Window
from sem_lightning.synthesis.patterns.pattern import Pattern, PatternSettings, Site
from sem_lightning.synthesis.ranges import Limits, Range, Settings, ranged
from sem_lightning.synthesis.sampling import draw_key, uniform

_PLACING_TRIES = 64
_GLOW = 12.0  # nm beyond its outline that the rim of what lies on the pattern may still be seen


@dataclass(frozen=True)
class Cover:
    """Something that lies on the pattern.

    Attributes:
        window: The part of the image that it touches.
        phi: Signed distance of its outline there, float32 [h, w], nm, positive inside.
        brightness: Of white; ``None`` is the feature's own.
        opacity: Share of what lies below that it hides.
        rim: Strength of its edge bloom, of the pattern's.
    """

    window: Window
    phi: Float32
    brightness: float | None
    opacity: float
    rim: float


@dataclass(frozen=True)
class Defect(ABC):
    """A defect, every number drawn.

    A subclass is a type of defect: it says which sites it needs, declares its numbers as ``ranged`` fields (which makes
    them keys of its YAML file), and overrides `change` or `cover`.

    Attributes:
        site: Where it sits.
        severity: 0 is the slightest that its ranges allow, 1 the gravest.
    """

    name: ClassVar[str] = ""
    site_kind: ClassVar[str]
    crosses_border: ClassVar[bool] = False  # it may reach beyond the image whatever ``defect.border`` says
    types: ClassVar[dict[str, type["Defect"]]] = {}

    site: Site
    severity: float

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "name" in vars(cls):
            Defect.types[cls.name] = cls

    @property
    def half_size(self) -> tuple[float, float]:
        """What the image must hold to show it, from its site across and along the site's frame, nm."""
        raise NotImplementedError

    @property
    def radius(self) -> float:
        """How far from its site it changes anything, its glow included, nm."""
        return math.hypot(*self.half_size) + _GLOW

    def sized(self, view: FieldOfView) -> Self:
        """Itself, large enough for the pixels to show and small enough for the image to hold."""
        return self

    def change(self, phi: Float32, across: Float32, along: Float32, view: FieldOfView) -> Float32:
        """The printed pattern on the part of the image around the site.

        Args:
            phi: Pattern there, float32 [h, w], nm; not to be written into.
            across: Coordinates of its pixels in the site's frame, nm.
            along: The same, along the site's line or space.
            view: The whole field of view.
        """
        return phi

    def cover(self, across: Float32, along: Float32, window: Window) -> Cover | None:
        """What lies on the pattern there, if anything."""
        return None

    def window(self, view: FieldOfView) -> Window:
        """The part of the image that it can touch."""
        return view.window(self.site.x, self.site.y, self.radius + 2 * view.pixel_size)

    def is_inside(self, view: FieldOfView) -> bool:
        """Whether the image holds all of it."""
        across, along = self.half_size
        corners = (self.site.point(i * across, j * along) for i in (-1, 1) for j in (-1, 1))
        return all(view.contains(*corner) for corner in corners)

    @classmethod
    def greatest(cls, pattern: Pattern) -> dict[str, float]:
        """The most that some of its numbers may be on a pattern, whatever their ranges say, by name."""
        return {}

    @classmethod
    def check(cls, settings: "DefectSettings", pattern: PatternSettings, view: FieldOfView) -> None:
        """Refuse ranges that the pattern or the field of view cannot show.

        Raises:
            SettingError: For a key of this type.
        """
        del settings, pattern, view  # most types have nothing of their own to refuse

    @classmethod
    def from_dict(cls, numbers: dict[str, Any]) -> "Defect":
        """The defect whose ``dataclasses.asdict`` gave these numbers, its type under ``type``."""
        values = {name: value for name, value in numbers.items() if name not in ("type", "site")}
        return cls.types[numbers["type"]](site=Site(**numbers["site"]), **values)


@dataclass
class DefectSettings(Settings):
    """Ranges of one type of defect; each type's own class is made from its ``ranged`` fields.

    Every type has ``severity``; a field that follows from it (``by_severity``) has its low end at severity 0.
    """

    defect_type: ClassVar[type[Defect]]

    severity: Range = ranged("", low=0, high=1, why="0 is the slightest, 1 the gravest")

    def check(self, pattern: PatternSettings, view: FieldOfView) -> None:
        """Refuse what the pattern or the field of view cannot show.

        Raises:
            SettingError: For a key of this type, or for none where the pattern has no place for it.
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
        """One defect at random places, one after the other, until the caller likes one.

        Args:
            rng: Its numbers are drawn once, before the places.
            pattern: Where it shall sit.
            view: What the image shows.
            crossing: Whether the image's border shall cut it. Otherwise the image holds all of it, unless no place is
                found for that.
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
    """Names of the numbers that a type draws for itself, and their limits; a key has none."""
    fields = ((field.name, field.metadata.get("limits")) for field in dataclasses.fields(defect_type))
    return tuple((name, limits) for name, limits in fields if limits is not None or name == "key")


def make_settings_types() -> None:
    """Give every type of defect that has none its settings class, beside it in its module, where pickle finds it."""
    for defect_type in Defect.types.values():
        if defect_type.name in SETTINGS_TYPES:
            continue
        settings_name = f"{defect_type.__name__}Settings"
        fields = [
            (field.name, Any, dataclasses.field(metadata=field.metadata))
            for field in dataclasses.fields(defect_type)
            if "limits" in field.metadata
        ]
        namespace = {"defect_type": defect_type, "__module__": defect_type.__module__}
        made = dataclasses.make_dataclass(settings_name, fields, bases=(DefectSettings,), namespace=namespace)
        setattr(sys.modules[defect_type.__module__], settings_name, made)
        SETTINGS_TYPES[defect_type.name] = made


SETTINGS_TYPES: dict[str, type[DefectSettings]] = {}


def along_window(along: Float32, length: float) -> Float32:
    """1 in the middle of ``length`` nm, falling as a cosine squared to 0 at its ends."""
    share = np.clip(np.abs(along) * np.float32(2 / length), 0, 1)
    window: Float32 = np.cos(share * np.float32(math.pi / 2)) ** 2
    return window
