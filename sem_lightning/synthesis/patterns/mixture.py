"""Several kinds of patterns in one set, for classifiers of all of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from sem_lightning.errors import SettingError
from sem_lightning.synthesis.field import FieldOfView
from sem_lightning.synthesis.patterns.pattern import Pattern, PatternSettings


@dataclass(kw_only=True)
class Mixture(PatternSettings):
    """Ranges of several patterns. Each image uses one of them, all with equal probability.

    Attributes:
        parts: Any number of patterns, by arbitrary names; a kind may occur several times.
    """

    kind: ClassVar[str] = "mixture"

    site_kinds: ClassVar[tuple[str, ...]] = ()

    parts: dict[str, Any]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.parts:
            raise SettingError("parts", "lists no pattern; add some with +pattern@pattern.parts.NAME=PATTERN")
        for name, part in self.parts.items():
            if not isinstance(part, PatternSettings):
                raise SettingError(f"parts.{name}", "is no pattern; add one with +pattern@pattern.parts.NAME=PATTERN")

    @property
    def alternatives(self) -> Sequence[PatternSettings]:
        return [each for part in self.parts.values() for each in part.alternatives]

    @property
    def pitches(self) -> tuple[float, float]:
        lows, highs = zip(*(part.pitches for part in self.parts.values()), strict=True)
        return min(lows), max(highs)

    def check(self, view: FieldOfView) -> None:
        """Check that this field of view can show all parts.

        Raises:
            SettingError: For a key of one of the parts.
        """
        for name, part in self.parts.items():
            try:
                part.check(view)
            except SettingError as error:
                raise error.under(f"parts.{name}") from None

    def draw(self, rng: np.random.Generator, view: FieldOfView) -> Pattern:
        """Draw one pattern of one of the parts."""
        return self.choose(rng).draw(rng, view)

    def sources(self) -> dict[str, str]:
        return {name: digest for part in self.parts.values() for name, digest in part.sources().items()}
