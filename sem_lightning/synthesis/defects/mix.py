"""The defects of a configuration: classes, number in an image, position at its border."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from sem_lightning.errors import SettingError
from sem_lightning.synthesis.defects.defect import Defect, DefectSettings
from sem_lightning.synthesis.field import FieldOfView
from sem_lightning.synthesis.patterns.pattern import Pattern, PatternSettings

GOOD = "good"
MAX_COUNT = 32


@dataclass
class Defects:
    """Settings of all defects.

    Attributes:
        types: Settings of each defective class, by the class's name.
        count: Smallest and largest number of defects in a defective image; all have its class. Without enough room
            there are fewer, but at least one.
        border: Share of the defects that the image's border cuts.
    """

    types: dict[str, DefectSettings]
    count: tuple[int, int] = (1, 1)
    border: float = 0.0

    def __post_init__(self) -> None:
        if not self.types:
            raise SettingError("", "lists no class; choose some, such as defect=basic")
        if GOOD in self.types:
            raise SettingError(GOOD, "is what images without a defect are called; give the class another name")
        low, high = self.count
        if not 1 <= low <= high <= MAX_COUNT:
            raise SettingError(
                "count", f"found [{low}, {high}], expected whole numbers from 1 to {MAX_COUNT}, the low first"
            )
        if not 0 <= self.border <= 1:
            raise SettingError("border", f"found {self.border:g}, expected a share of the defects from 0 to 1")

    @property
    def classes(self) -> list[str]:
        """Class names in label order, ``good`` first."""
        return [GOOD, *self.types]

    def check(self, patterns: Sequence[PatternSettings], view: FieldOfView) -> None:
        """Check that the field of view can show each class on the patterns with a place for it.

        Each class needs a pattern, and each pattern a class: one that is always good would teach that it is good.

        Raises:
            SettingError: See `DefectSettings.check`.
        """
        idle = [each for each in patterns if not any(self.has_place(name, each) for name in self.types)]
        for name, settings in self.types.items():
            fitting = [pattern for pattern in patterns if self.has_place(name, pattern)]
            try:
                for pattern in [*idle, *fitting] or patterns:
                    settings.check(pattern, view)
            except SettingError as error:
                raise error.under(name) from None

    def has_place(self, label: str, pattern: PatternSettings) -> bool:
        """Whether a pattern has places of the kind that a class needs."""
        return label == GOOD or self.types[label].defect_type.site_kind in pattern.site_kinds

    def draw(
        self,
        rng: np.random.Generator,
        label: str,
        pattern: Pattern,
        view: FieldOfView,
        is_visible: Callable[[tuple[Defect, ...]], bool],
    ) -> tuple[Defect, ...] | None:
        """Defects of the class ``label``; an empty tuple for ``good``.

        Args:
            rng: Source of random numbers.
            label: Class.
            pattern: The pattern.
            view: The field of view.
            is_visible: Whether the last defect of a tuple is visible and apart from the others.

        Returns:
            ``None`` if this pattern has no place for a defect.
        """
        if label == GOOD:
            return ()
        count = int(rng.integers(self.count[0], self.count[1] + 1))
        found: tuple[Defect, ...] = ()
        for _ in range(count):
            crossing = bool(rng.random() < self.border)
            candidates = self.types[label].candidates(rng, pattern, view, crossing)
            chosen = next((each for each in candidates if is_visible((*found, each))), None)
            if chosen is not None:
                found = (*found, chosen)
        return found or None
