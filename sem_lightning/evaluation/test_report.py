"""The result of a test: rates with intervals, as a console table and as plain values for JSON."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sem_lightning.decision.intervals import f1_interval, wilson_interval
from sem_lightning.decision.rate import Rate
from sem_lightning.evaluation.curves import ClassCurves, Reliability, class_curves, reliability
from sem_lightning.evaluation.rates import decision_rates
from sem_lightning.evaluation.stratified_metrics import Bin, DetectionLimit, detection_limits, stratify
from sem_lightning.evaluation.test_predictions import TestPredictions
from sem_lightning.model.metrics import build_metrics, name_scalars

_MOST_BESIDE = 4  # most classes whose confusion fits next to their rates in a terminal of 80 columns


@dataclass(frozen=True)
class Report:
    """Metrics of a tested classifier.

    Attributes:
        predictions: The predictions of the test.
        confusion: Counts [C, C]: rows are the truth, columns the most probable class.
        metrics: Values by name, such as ``test/accuracy`` and ``test/recall_gap``.
        rates: Rates of the decisions: capture, escape, overkill, purity, review.
        curves: Curves of each class against the rest.
        before: Reliability of the network's own probabilities.
        after: Reliability at the rule's temperature.
        bins: Rates against each known condition.
        limits: Detection limits.
    """

    predictions: TestPredictions
    confusion: npt.NDArray[np.int64]
    metrics: dict[str, float]
    rates: list[Rate]
    curves: list[ClassCurves]
    before: Reliability
    after: Reliability
    bins: dict[str, list[Bin]]
    limits: list[DetectionLimit]

    @property
    def classes(self) -> list[str]:
        return self.predictions.classes

    @property
    def images(self) -> int:
        return len(self.predictions.labels)

    @property
    def seconds(self) -> float:
        return self.predictions.seconds

    def counts(self, metric: str, label: str) -> tuple[int, int]:
        """Successes and trials of a class's ``accuracy``, ``recall`` or ``precision``."""
        i = self.classes.index(label)
        trials = self.confusion[:, i].sum() if metric == "precision" else self.confusion[i].sum()
        return int(self.confusion[i, i]), int(trials)

    def intervals(self) -> dict[str, tuple[float, float]]:
        """95 % Wilson intervals of ``metrics``."""
        intervals = {"test/accuracy": wilson_interval(int(np.trace(self.confusion)), self.images)}
        for metric in ("accuracy", "precision", "recall"):
            for label in self.classes:
                intervals[f"test/{metric}_{label}"] = wilson_interval(*self.counts(metric, label))
        for i, label in enumerate(self.classes):
            hits = int(self.confusion[i, i])
            involved = int(self.confusion[i].sum() + self.confusion[:, i].sum()) - hits
            intervals[f"test/f1_{label}"] = f1_interval(hits, involved)
        return intervals

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "metrics": self.metrics,
            "intervals_95": {name: list(interval) for name, interval in self.intervals().items()},
            "classes": self.classes,
            "confusion": self.confusion.tolist(),
            "decision": self.predictions.rule.describe(),
            "decided": {
                label: dict(zip(self.predictions.decision_names(), row, strict=True))
                for label, row in zip(self.classes, self.predictions.decided().tolist(), strict=True)
            },
            "unsure_because": self.predictions.unsure_because(),
            "rates": {rate.name: rate.to_dict() for rate in self.rates},
            "curves": {
                curves.label: {"auroc": curves.auroc, "average_precision": curves.average_precision}
                for curves in self.curves
            },
            "calibration_error": {"before": self.before.error, "after": self.after.error},
            "stratified": {name: [one.to_dict() for one in bins] for name, bins in self.bins.items()},
            "detection_limits": [limit.to_dict() for limit in self.limits],
            "counts": {label: int(row.sum()) for label, row in zip(self.classes, self.confusion, strict=True)},
            "test_images": self.images,
            "test_seconds": round(self.seconds, 3),
            "test_images_per_second": round(self.images / self.seconds, 1) if self.seconds else None,
        }

    def print(self, console: Console, title: str, caption: str) -> None:
        """Print rates of each class with 95 % intervals, the confusion matrix, and the rates of the decisions.

        The confusion matrix is a separate table if there are many classes. The accuracy of a class is its recall, so
        the two share a column.
        """
        beside = len(self.classes) <= _MOST_BESIDE
        table = Table(title=escape(title), box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        table.add_column("class")
        for name in ("images", "accuracy, recall", "precision [95 %]"):
            table.add_column(name, justify="right", no_wrap=True)
        for label in self.classes if beside else ():
            table.add_column(f"as\n{escape(label)}", justify="right")
        for i, label in enumerate(self.classes):
            table.add_row(
                escape(label),
                str(self.confusion[i].sum()),
                _rate(*self.counts("recall", label)),
                _rate(*self.counts("precision", label), nothing="none"),
                *(self._row(i) if beside else ()),
            )
        table.add_section()
        overall = _rate(int(np.trace(self.confusion)), self.images)
        said = [str(n) for n in self.confusion.sum(axis=0)] if beside else []
        table.add_row("all", str(self.images), overall, "", *said)
        console.print(table)
        if not beside:
            console.print(self._confusion_table())
        if self.rates:
            console.print(self._rates_table())
        reasons = self.predictions.unsure_because()
        if reasons:
            listed = ", ".join(f"{reason} {count}" for reason, count in reasons.items())
            console.print(f"unsure: {listed}", markup=False, highlight=False, soft_wrap=True)
        console.print(caption, markup=False, highlight=False, soft_wrap=True)

    def _confusion_table(self) -> Table:
        """Predictions for each class; columns are numbered like the rows."""
        table = Table(title="predictions", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        table.add_column("class", no_wrap=True)
        for number in range(1, len(self.classes) + 1):
            table.add_column(str(number), justify="right", no_wrap=True)
        for i, label in enumerate(self.classes):
            table.add_row(f"{i + 1} {escape(label)}", *self._row(i))
        return table

    def _rates_table(self) -> Table:
        table = Table(title=f"decisions ({self.predictions.rule.kind})", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        table.add_column("rate")
        table.add_column("[95 %]", justify="right", no_wrap=True)
        table.add_column("of")
        for rate in self.rates:
            if "_" not in rate.name:
                table.add_row(
                    rate.name, _rate(rate.events, rate.trials), f"{rate.events}/{rate.trials} {rate.definition}"
                )
        return table

    def _row(self, label: int) -> list[str]:
        return [f"[bold]{n}[/bold]" if label == j else str(n) for j, n in enumerate(self.confusion[label])]


def make_report(predictions: TestPredictions) -> Report:
    """Compute the metrics of a tested classifier."""
    metrics = build_metrics(len(predictions.classes), together=False)
    metrics.update(torch.from_numpy(predictions.verdicts.probabilities), torch.from_numpy(predictions.labels))
    return Report(
        predictions=predictions,
        confusion=predictions.confusion(),
        metrics=name_scalars(metrics.compute(), predictions.classes, "test"),
        rates=decision_rates(predictions),
        curves=class_curves(predictions.classes, predictions.logits, predictions.labels),
        before=reliability(predictions.logits, predictions.labels, 1.0),
        after=reliability(predictions.logits, predictions.labels, predictions.rule.temperature),
        bins=stratify(predictions),
        limits=detection_limits(predictions),
    )


def _rate(successes: int, trials: int, nothing: str = "no images") -> str:
    if trials == 0:
        return nothing
    low, high = wilson_interval(successes, trials)
    return f"{successes / trials:.3f} \\[{low:.3f} {high:.3f}]".replace(" 0.", " .").replace("[0.", "[.")
