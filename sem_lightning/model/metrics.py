"""The torchmetrics of a classifier."""

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

# Metrics of each class and their names in logs.
CLASS_METRICS = {"class_accuracy": "accuracy", "precision": "precision", "recall": "recall", "f1": "f1"}


def build_metrics(num_classes: int, together: bool = True) -> MetricCollection:
    """Accuracy overall; accuracy, precision, recall and F1 of each class; the confusion matrix (rows: truth).

    With several processes each one computes the metrics of all images, unless ``together`` is false.
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
    """The results of `build_metrics` as named scalars: ``test/accuracy``, ``test/accuracy_gap``, ...

    The accuracy of a class is the share of its images with a correct prediction, that is its recall. Both names are
    kept because papers of the field print accuracies.
    """
    scalars = {f"{prefix}/accuracy": float(values["accuracy"])}
    for metric, name in CLASS_METRICS.items():
        for label, value in zip(classes, values[metric].tolist(), strict=True):
            scalars[f"{prefix}/{name}_{label}"] = float(value)
    return scalars
