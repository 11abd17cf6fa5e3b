"""The scores of a classifier and the log odds that decision rules use."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Scores:
    """Scores of labelled images from the Predictor.

    Attributes:
        logits: float64 [N, C], aggregated over views or tiles.
        features: float64 [N, D], see `sem_lightning.model.network.NetworkOutput`.
        labels: True classes, int64 [N].
        usable: Whether each image can be judged, bool [N]; the others never pass as good.
    """

    logits: Floats
    features: Floats
    labels: npt.NDArray[np.int64]
    usable: npt.NDArray[np.bool_]

    def without_unusable(self) -> "Scores":
        """The scores of the images that can be judged."""
        kept = self.usable
        return Scores(self.logits[kept], self.features[kept], self.labels[kept], self.usable[kept])

    def log_odds_good(self, temperature: float) -> Floats:
        """`log_odds_good` of each image, minus infinity for one that cannot be judged, because it never passes: [N]."""
        return np.where(self.usable, log_odds_good(self.logits, temperature), -np.inf)

    def __len__(self) -> int:
        return len(self.labels)


def log_probabilities(logits: Floats, temperature: float) -> Floats:
    """Logarithms of the class probabilities, [N, C]; accurate even if a probability rounds to 1."""
    scaled = logits / temperature
    scaled = scaled - scaled.max(axis=1, keepdims=True)
    result: Floats = scaled - np.log(np.exp(scaled).sum(axis=1, keepdims=True))
    return result


def log_odds_good(logits: Floats, temperature: float) -> Floats:
    """``log(P(good) / P(not good))`` of each image: [N]. Good is the first class.

    It orders images as P(good) does, and still separates them where P(good) rounds to 1. The thresholds of rules are
    on this scale.
    """
    scaled = logits / temperature
    others = scaled[:, 1:]
    highest = others.max(axis=1)
    odds: Floats = scaled[:, 0] - highest - np.log(np.exp(others - highest[:, None]).sum(axis=1))
    return odds
