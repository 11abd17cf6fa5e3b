"""The result of a test: counts, rates with intervals, as a console table and as plain values for JSON."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from sem_lightning.evaluation.metrics import wilson_interval

_MOST_BESIDE = 4  # classes whose confusion still fits beside their rates in a terminal of 80 columns


@dataclass(frozen=True)
class Report:
    """A tested classifier.

    Attributes:
        classes: Class names in label order.
        confusion: Counts [C, C]: rows are the truth, columns what the classifier said.
        metrics: One value for each name, as ``test/accuracy`` and ``test/recall_gap``.
        seconds: Time that the test took.
    """

    classes: list[str]
    confusion: npt.NDArray[np.int64]
    metrics: dict[str, float]
    seconds: float

    def counts(self, metric: str, label: str) -> tuple[int, int]:
        """Successes and trials behind a class's ``accuracy``, ``recall`` or ``precision``."""
        i = self.classes.index(label)
        trials = self.confusion[:, i].sum() if metric == "precision" else self.confusion[i].sum()
        return int(self.confusion[i, i]), int(trials)

    @property
    def images(self) -> int:
        return int(self.confusion.sum())

    def to_dict(self) -> dict[str, Any]:
        """Plain values: metrics, their 95 % Wilson intervals, counts and the confusion matrix."""
        intervals = {"test/accuracy": wilson_interval(int(np.trace(self.confusion)), self.images)}
        for metric in ("accuracy", "precision", "recall"):
            for label in self.classes:
                intervals[f"test/{metric}_{label}"] = wilson_interval(*self.counts(metric, label))
        return {
            "metrics": self.metrics,
            "intervals_95": {name: list(interval) for name, interval in intervals.items()},
            "classes": self.classes,
            "confusion": self.confusion.tolist(),
            "counts": {label: int(row.sum()) for label, row in zip(self.classes, self.confusion, strict=True)},
            "test_images": self.images,
            "test_seconds": round(self.seconds, 3),
            "test_images_per_second": round(self.images / self.seconds, 1) if self.seconds else None,
        }

    def print(self, console: Console, title: str, caption: str) -> None:
        """Each class's rates with 95 % intervals and its row of the confusion matrix, which is a table of its own where
        there are many classes.

        A class's accuracy is its recall, so the two share a column.
        """
        beside = len(self.classes) <= _MOST_BESIDE
        table = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        table.add_column("class")
        for name in ("images", "accuracy, recall", "precision [95 %]"):
            table.add_column(name, justify="right", no_wrap=True)
        for label in self.classes if beside else ():
            table.add_column(f"said\n{label}", justify="right")
        for i, label in enumerate(self.classes):
            table.add_row(
                label,
                str(self.confusion[i].sum()),
                _rate(*self.counts("recall", label)),
                _rate(*self.counts("precision", label), nothing="none said"),
                *(self._row(i) if beside else ()),
            )
        table.add_section()
        overall = _rate(int(np.trace(self.confusion)), self.images)
        said = [str(n) for n in self.confusion.sum(axis=0)] if beside else []
        table.add_row("all", str(self.images), overall, "", *said)
        console.print(table)
        if not beside:
            console.print(self._confusion_table())
        console.print(caption)

    def _confusion_table(self) -> Table:
        """What was said of each class; columns are numbered as the rows are."""
        table = Table(title="what was said of them", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        table.add_column("class", no_wrap=True)
        for number in range(1, len(self.classes) + 1):
            table.add_column(str(number), justify="right", no_wrap=True)
        for i, label in enumerate(self.classes):
            table.add_row(f"{i + 1} {label}", *self._row(i))
        return table

    def _row(self, label: int) -> list[str]:
        return [f"[bold]{n}[/bold]" if label == j else str(n) for j, n in enumerate(self.confusion[label])]


def _rate(successes: int, trials: int, nothing: str = "no images") -> str:
    if trials == 0:
        return nothing
    low, high = wilson_interval(successes, trials)
    return f"{successes / trials:.3f} \\[{low:.3f} {high:.3f}]".replace(" 0.", " .").replace("[0.", "[.")
