"""The metrics of a classifier, built in one place, and the intervals that belong to them."""

import math
from typing import Any

from torch import Tensor
from torchmetrics import MetricCollection
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassConfusionMatrix,
    MulticlassF1Score,
    MulticlassPrecision,
    MulticlassRecall,
)

# Metrics of each class, and the names they go by.
CLASS_METRICS = {"class_accuracy": "accuracy", "precision": "precision", "recall": "recall", "f1": "f1"}
_Z95 = 1.959963984540054  # the 97.5 % quantile of the normal distribution


def build_metrics(num_classes: int, together: bool = True) -> MetricCollection:
    """Accuracy overall; accuracy, precision, recall and F1 of each class; the confusion matrix (rows: truth).

    Of several processes each computes those of all of them, unless ``together`` is false.
    """
    per_class: dict[str, Any] = {"num_classes": num_classes, "average": None, "sync_on_compute": together}
    return MetricCollection(
        {
            "accuracy": MulticlassAccuracy(num_classes, average="micro", sync_on_compute=together),
            "class_accuracy": MulticlassAccuracy(**per_class),
            "precision": MulticlassPrecision(**per_class),
            "recall": MulticlassRecall(**per_class),
            "f1": MulticlassF1Score(**per_class),
            "confusion": MulticlassConfusionMatrix(num_classes, sync_on_compute=together),
        }
    )


def name_scalars(values: dict[str, Tensor], classes: list[str], prefix: str) -> dict[str, float]:
    """What `build_metrics` computed as one scalar a name: ``test/accuracy``, ``test/accuracy_gap``, ...

    A class's accuracy is the share of its images that are called by its name, which is its recall; both names are
    kept, since the first is what the field's papers print.
    """
    scalars = {f"{prefix}/accuracy": float(values["accuracy"])}
    for metric, name in CLASS_METRICS.items():
        for label, value in zip(classes, values[metric].tolist(), strict=True):
            scalars[f"{prefix}/{name}_{label}"] = float(value)
    return scalars


def f1_interval(hits: int, involved: int) -> tuple[float, float]:
    """95 % interval of F1.

    Of the images that are of a class or are called by its name (``involved``), the share J that are both has a Wilson
    interval, and ``F1 = 2 J / (1 + J)``.
    """
    low, high = wilson_interval(hits, involved)
    return 2 * low / (1 + low), 2 * high / (1 + high)


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """95 % interval of a rate (E. B. Wilson, J. Am. Stat. Assoc. 22, 209 (1927)); (0, 1) without any trial."""
    if trials == 0:
        return 0.0, 1.0
    rate, square = successes / trials, _Z95 * _Z95
    middle = (rate + square / (2 * trials)) / (1 + square / trials)
    half = _Z95 / (1 + square / trials) * math.sqrt(rate * (1 - rate) / trials + square / (4 * trials * trials))
    # both ends are exact there, and rounding would miss them
    return 0.0 if successes == 0 else middle - half, 1.0 if successes == trials else middle + half
