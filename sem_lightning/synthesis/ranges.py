"""Settings that are a number or a ``[low, high]`` range, checked once when a config is read."""

import dataclasses
import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sem_lightning.errors import SettingError

# A number or a [low, high] pair. OmegaConf has no union of the two, so the type is checked by `Settings`.
Range = Any

# Numbers of a larger or smaller size overflow in float32; in the units used here nothing real is so large or small.
LARGEST, SMALLEST = 1e9, 1e-9


@dataclass(frozen=True)
class Limits:
    """Limits of a range: ``low <= value <= high`` (``low < value`` with ``above``), and how it is drawn."""

    unit: str
    low: float
    high: float
    above: bool
    log: bool
    optional: bool
    by_severity: bool
    by_key: bool
    why: str

    def describe(self) -> str:
        lower = "" if self.low == -math.inf else f"{'above' if self.above else 'from'} {self.low:g}"
        upper = "" if self.high == math.inf else f"up to {self.high:g}"
        bounds = " ".join(word for word in (lower, upper, self.unit) if word)
        text = f"a number or [low, high] {bounds}".strip() + (", or null for none" if self.optional else "")
        return f"{text}: {self.why}" if self.why else text

    def contains(self, value: float) -> bool:
        return (value > self.low if self.above else value >= self.low) and value <= self.high


def ranged(
    unit: str = "",
    *,
    low: float = -math.inf,
    high: float = math.inf,
    above: bool = False,
    log: bool = False,
    optional: bool = False,
    by_severity: bool = False,
    by_key: bool = False,
    default: float | None = None,
    why: str = "",
) -> Any:
    """A dataclass field for a range.

    Args:
        unit: Unit named in error messages.
        low: Smallest value allowed.
        high: Largest value allowed.
        above: ``low`` itself is not allowed.
        log: Draw log-uniformly rather than uniformly.
        optional: ``None`` is allowed and means that the effect is absent.
        by_severity: Follows from a defect's severity: 0 gives the low end, 1 the high end.
        by_key: Drawn from the defect's key, an earlier field, and not from the common stream, so that the other numbers
            do not change.
        default: Value for older scenes that lack this number.
        why: Reason for the limits, for the error message.
    """
    limits = Limits(unit, low, high, above, log, optional, by_severity, by_key, why)
    if default is None:
        return dataclasses.field(metadata={"limits": limits})
    return dataclasses.field(default=default, metadata={"limits": limits})


def parse_range(key: str, value: object, limits: Limits) -> tuple[float, float] | None:
    """A setting as ``(low, high)``; a single number gives two equal ends.

    Raises:
        SettingError: Not a number or a pair of numbers, low above high, or outside the limits.
    """
    if value is None and limits.optional:
        return None
    ends: list[Any] = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value, value]
    if len(ends) != 2 or not all(_is_finite_number(end) for end in ends):
        raise SettingError(key, f"found {value!r}, expected {limits.describe()}")
    low, high = float(ends[0]), float(ends[1])
    if low > high:
        raise SettingError(key, f"low end {low:g} is above high end {high:g}; write [{high:g}, {low:g}]")
    if not (limits.contains(low) and limits.contains(high)):
        raise SettingError(key, f"found {value!r}, expected {limits.describe()}")
    smallest = 0.0 if limits.low < 0 else SMALLEST  # nothing is divided by an angle or a shift
    for end in (low, high):
        if end != 0 and not smallest <= abs(end) <= LARGEST:
            raise SettingError(key, f"found {end:g}, expected a size from {smallest:g} to {LARGEST:g}, or 0")
    return low, high


def _is_finite_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


@dataclass
class Settings:
    """Base of the simulator's configs: every ``ranged`` field is checked and becomes a ``(low, high)`` tuple."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            limits = field.metadata.get("limits")
            if limits is not None:
                setattr(self, field.name, parse_range(field.name, getattr(self, field.name), limits))

    def draw_value(self, rng: np.random.Generator, name: str) -> float:
        """Draw a value of the range ``name``, uniform or log-uniform as its field says.

        It always takes one number from ``rng``, so that a changed range does not change later draws.
        """
        return self.value_at(name, rng.random())

    def value_at(self, name: str, share: float, most: float = math.inf) -> float:
        """The value at ``share`` in [0, 1] of the way from the low end of the range ``name`` to its high end.

        Both ends are limited to ``most``.
        """
        low, high = (min(end, most) for end in getattr(self, name))
        if low == high:
            return low  # type: ignore[no-any-return]
        if self.__dataclass_fields__[name].metadata["limits"].log:
            return float(low * (high / low) ** share)
        return low + (high - low) * share  # type: ignore[no-any-return]


def make_settings_classes(types: Iterable[type[Any]], known: dict[str, Any], base: type[Any], attribute: str) -> None:
    """Make the settings class of every type that has none, from its ``ranged`` fields, in its module for pickle.

    Args:
        types: Dataclasses with a class attribute ``name``.
        known: The settings classes by name; new ones are added.
        base: Their base class.
        attribute: Class attribute of a settings class that holds its type.
    """
    for each in types:
        if each.name in known:
            continue
        fields = [
            (field.name, Any, dataclasses.field(metadata=field.metadata))
            for field in dataclasses.fields(each)
            if "limits" in field.metadata
        ]
        name = f"{each.__name__}Settings"
        namespace = {attribute: each, "__module__": each.__module__}
        known[each.name] = dataclasses.make_dataclass(name, fields, bases=(base,), namespace=namespace)
        setattr(sys.modules[each.__module__], name, known[each.name])
