"""What a classifier said of images whose truth is known: what rules are made from."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Answers:
    """A classifier's raw answers to labelled images.

    Attributes:
        logits: [N, C].
        features: [N, D], see `sem_lightning.model.resnet.Prediction`.
        labels: int64 [N].
    """

    logits: Floats
    features: Floats
    labels: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)


def log_probabilities(logits: Floats, temperature: float) -> Floats:
    """Logarithms of the class probabilities: [N, C], without the rounding that makes sure answers exactly 1."""
    scaled = logits / temperature
    scaled = scaled - scaled.max(axis=1, keepdims=True)
    result: Floats = scaled - np.log(np.exp(scaled).sum(axis=1, keepdims=True))
    return result


def good_log_odds(logits: Floats, temperature: float) -> Floats:
    """``log(P(good) / P(not good))`` of each image, good being the first class: [N].

    It orders images as P(good) does, and goes on telling them apart where P(good) rounds to 1.
    """
    scaled = logits / temperature
    others = scaled[:, 1:]
    highest = others.max(axis=1)
    odds: Floats = scaled[:, 0] - highest - np.log(np.exp(others - highest[:, None]).sum(axis=1))
    return odds
