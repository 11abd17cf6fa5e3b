"""A rate of events with its interval."""

from dataclasses import dataclass
from typing import Any

from sem_lightning.decision.intervals import wilson_interval


@dataclass(frozen=True)
class Rate:
    """A rate of events.

    Attributes:
        name: Name of the rate.
        definition: One line that defines the events.
        events: Number of events.
        trials: Number of trials.
    """

    name: str
    definition: str
    events: int
    trials: int

    @property
    def value(self) -> float | None:
        return self.events / self.trials if self.trials else None

    @property
    def interval(self) -> tuple[float, float]:
        """95 % Wilson interval."""
        return wilson_interval(self.events, self.trials)

    def to_dict(self) -> dict[str, Any]:
        return {
            "value": self.value,
            "interval_95": list(self.interval),
            "events": self.events,
            "trials": self.trials,
            "definition": self.definition,
        }
