"""The torchmetrics of a classifier, built in one place."""

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
