"""How unlike the images of training an image is."""

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from sem_lightning.decision.answers import Answers, Floats


@dataclass(frozen=True)
class Familiarity:
    """Gaussians around the classes' mean features, with one covariance (K. Lee et al., NeurIPS 2018).

    Attributes:
        means: [C, D].
        whitening: [D, D]; features times it have the unit covariance within a class.
    """

    means: Floats
    whitening: Floats

    @staticmethod
    def fit(answers: Answers, classes: int) -> "Familiarity | None":
        """From a classifier's answers to images like those of training; ``None`` where a class has fewer than 2."""
        counts = np.bincount(answers.labels, minlength=classes)
        if counts.min() < 2:
            return None
        means = np.stack([answers.features[answers.labels == label].mean(axis=0) for label in range(classes)])
        centred = answers.features - means[answers.labels]
        covariance = centred.T @ centred / (len(answers) - classes)
        # Fewer images than features leave directions unseen. A tenth of the mean variance in each keeps these from
        # counting without end.
        ridge = 0.1 * np.trace(covariance) / len(covariance) + 1e-12
        values, vectors = np.linalg.eigh(covariance + ridge * np.eye(len(covariance)))
        return Familiarity(means, vectors / np.sqrt(values))

    @functools.cached_property
    def _centres(self) -> Floats:
        return self.means @ self.whitening

    def distances(self, features: Floats) -> Floats:
        """Mahalanobis distance of each image to the nearest class: [N] from features [N, D]."""
        seen = features @ self.whitening
        squares = ((seen[:, None, :] - self._centres[None]) ** 2).sum(axis=2)
        distances: Floats = np.sqrt(squares.min(axis=1))
        return distances

    def to_dict(self) -> dict[str, Any]:
        """Tensors for a checkpoint."""
        return {name: torch.from_numpy(getattr(self, name).astype(np.float32)) for name in ("means", "whitening")}

    @staticmethod
    def from_dict(state: dict[str, Any]) -> "Familiarity":
        """From a checkpoint.

        Raises:
            ValueError: Shapes that do not fit, or numbers that are not finite.
        """
        means, whitening = (state[name].double().numpy() for name in ("means", "whitening"))
        if means.ndim != 2 or whitening.shape != (means.shape[1],) * 2:
            raise ValueError("the decision rule's familiarity has arrays of odd shapes")
        if not (np.isfinite(means).all() and np.isfinite(whitening).all()):
            raise ValueError("the decision rule's familiarity has numbers that are not finite")
        return Familiarity(means, whitening)
