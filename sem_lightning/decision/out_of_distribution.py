"""The out-of-distribution score: the distance of an image from the training images."""

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

from sem_lightning.decision.scores import Floats, Scores


@dataclass(frozen=True)
class MahalanobisScore:
    """Mahalanobis distance to the nearest class (K. Lee et al., A simple unified framework, NeurIPS 2018).

    Attributes:
        means: Mean features of each class, [C, D].
        whitening: Matrix [D, D]; ``features @ whitening`` has unit covariance within a class.
    """

    means: Floats
    whitening: Floats

    @staticmethod
    def fit(scores: Scores, classes: int) -> "MahalanobisScore | None":
        """Fit to the scores of in-distribution images; ``None`` if a class has fewer than two images."""
        counts = np.bincount(scores.labels, minlength=classes)
        if counts.min() < 2:
            return None
        means = np.stack([scores.features[scores.labels == label].mean(axis=0) for label in range(classes)])
        centred = scores.features - means[scores.labels]
        covariance = centred.T @ centred / (len(scores) - classes)
        # With fewer images than features some directions have no variance. A ridge of a tenth of the mean variance
        # keeps the distance in these directions finite.
        ridge = 0.1 * np.trace(covariance) / len(covariance) + 1e-12
        values, vectors = np.linalg.eigh(covariance + ridge * np.eye(len(covariance)))
        return MahalanobisScore(means, vectors / np.sqrt(values))

    @functools.cached_property
    def _centres(self) -> Floats:
        return self.means @ self.whitening

    def __call__(self, features: Floats) -> Floats:
        """The score of each image, [N], from features [N, D]; larger means farther from the training images."""
        # row by row: the rounding of a matrix product depends on the number of rows, and an image's score must not
        # depend on the other images
        whitened = np.stack([row @ self.whitening for row in features]) if len(features) else features
        squares = ((whitened[:, None, :] - self._centres[None]) ** 2).sum(axis=2)
        scores: Floats = np.sqrt(squares.min(axis=1))
        return scores

    def to_dict(self) -> dict[str, Any]:
        """float32 arrays for a checkpoint."""
        return {name: getattr(self, name).astype(np.float32) for name in ("means", "whitening")}

    @staticmethod
    def from_dict(state: dict[str, Any]) -> "MahalanobisScore":
        """From a checkpoint.

        Raises:
            ValueError: Wrong shapes, or numbers that are not finite.
        """
        means, whitening = (np.asarray(state[name], np.float64) for name in ("means", "whitening"))
        if means.ndim != 2 or whitening.shape != (means.shape[1],) * 2:
            raise ValueError("the out-of-distribution score has arrays of wrong shapes")
        if not (np.isfinite(means).all() and np.isfinite(whitening).all()):
            raise ValueError("the out-of-distribution score has numbers that are not finite")
        return MahalanobisScore(means, whitening)
