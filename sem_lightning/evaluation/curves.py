"""Curves of one class against the rest, and the calibration of probabilities."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torchmetrics.functional.classification import (
    binary_auroc,
    binary_average_precision,
    binary_precision_recall_curve,
    binary_roc,
    multiclass_calibration_error,
)

from sem_lightning.decision.intervals import wilson_interval
from sem_lightning.decision.scores import Floats, log_probabilities

_BINS = 15


@dataclass(frozen=True)
class ClassCurves:
    """One class against the rest.

    Attributes:
        label: Name of the class.
        roc: False and true positive rates, [2, P].
        precision_recall: Recall and precision, [2, Q].
        auroc: Area under ``roc``.
        average_precision: Area under ``precision_recall``.
    """

    label: str
    roc: Floats
    precision_recall: Floats
    auroc: float
    average_precision: float


def class_curves(classes: list[str], logits: Floats, labels: npt.NDArray[np.int64]) -> list[ClassCurves]:
    """Curves of every class with positive and negative images, from logits [N, C] and labels [N].

    Images are ordered by the log odds of the class, which differ even if probabilities round to 1.
    """
    curves = []
    for i, label in enumerate(classes):
        truth = torch.from_numpy(labels == i).long()
        if not 0 < int(truth.sum()) < len(truth):
            continue
        others = np.delete(logits, i, axis=1)
        odds = logits[:, i] - np.logaddexp.reduce(others, axis=1)
        # torchmetrics treats scores beyond [0, 1] as logits and applies a sigmoid, so ranks are passed
        ranks = torch.from_numpy(np.unique(odds, return_inverse=True)[1] / max(len(odds), 2))
        false, true, _ = binary_roc(ranks, truth)
        precision, recall, _ = binary_precision_recall_curve(ranks, truth)
        curves.append(
            ClassCurves(
                label,
                torch.stack([false, true]).double().numpy(),
                torch.stack([recall, precision]).double().numpy(),
                float(binary_auroc(ranks, truth)),
                float(binary_average_precision(ranks, truth)),
            )
        )
    return curves


@dataclass(frozen=True)
class Reliability:
    """Accuracy of predictions as a function of their confidence.

    Attributes:
        error: Expected calibration error, 15 bins (M. P. Naeini et al., AAAI 2015).
        confidence: Mean confidence in each bin that holds images, [B].
        accuracy: Accuracy in each bin, [B].
        intervals: 95 % Wilson intervals of the accuracies, [B, 2].
        images: Number of images in each bin, [B].
    """

    error: float
    confidence: Floats
    accuracy: Floats
    intervals: Floats
    images: npt.NDArray[np.int64]


def reliability(logits: Floats, labels: npt.NDArray[np.int64], temperature: float) -> Reliability:
    """Reliability of the most probable class at a temperature."""
    probabilities = np.exp(log_probabilities(logits, temperature))
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    error = multiclass_calibration_error(
        torch.from_numpy(probabilities), torch.from_numpy(labels), num_classes=logits.shape[1], n_bins=_BINS
    )
    bins = np.minimum((confidence * _BINS).astype(np.int64), _BINS - 1)
    images = np.bincount(bins, minlength=_BINS)
    held = images > 0
    hits = np.bincount(bins, weights=right, minlength=_BINS)[held]
    return Reliability(
        float(error),
        np.bincount(bins, weights=confidence, minlength=_BINS)[held] / images[held],
        hits / images[held],
        np.array([wilson_interval(int(h), int(n)) for h, n in zip(hits, images[held], strict=True)]),
        images[held],
    )
