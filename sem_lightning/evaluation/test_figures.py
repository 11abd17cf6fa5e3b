"""Figures of a test."""

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sem_lightning.decision.intervals import wilson_interval
from sem_lightning.evaluation.curves import Reliability
from sem_lightning.evaluation.stratified_metrics import FOUND, UNITS
from sem_lightning.evaluation.test_report import Report
from sem_lightning.io.atomic import write_atomically

_COLUMNS = 8
_COLOURS = {"accuracy": "tab:blue", "capture": "tab:green", "overkill": "tab:red"}


def plain_text(name: str) -> str:
    """A name for a figure, where Matplotlib would read what stands between two ``$`` as a formula."""
    return name.replace("$", r"\$")


def draw_confusion(report: Report) -> Figure:
    """Counts of the most probable classes and, if they differ, of the decisions. Shading shows shares of rows."""
    predictions = report.predictions
    tables = [("most probable class", report.confusion, report.classes)]
    decided = predictions.decided()
    if (decided[:, :-1] != report.confusion).any():
        tables.append((f"decision ({predictions.rule.kind})", decided, predictions.decision_names()))
    size = len(report.classes)
    width = sum(1.2 + 1.05 * len(names) for _, _, names in tables)
    figure = Figure(figsize=(width, 1.8 + 1.0 * size), layout="constrained")
    for place, (title, counts, names) in enumerate(tables, start=1):
        _draw_counts(figure.add_subplot(1, len(tables), place), counts, report.classes, names, title)
    figure.suptitle(f"{report.images} images, accuracy {report.metrics['test/accuracy']:.3f}")
    return figure


def _draw_counts(axes: Axes, counts: npt.NDArray[np.int64], rows: list[str], columns: list[str], title: str) -> None:
    shares = counts / counts.sum(axis=1, keepdims=True).clip(min=1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for i, j in np.ndindex(*counts.shape):
        colour = "white" if shares[i, j] > 0.5 else "black"
        axes.text(j, i, f"{counts[i, j]}\n{shares[i, j]:.1%}", ha="center", va="center", color=colour)
    axes.set_xticks(range(len(columns)), [plain_text(name) for name in columns], rotation=30 if len(columns) > 4 else 0)
    axes.set_yticks(range(len(rows)), [plain_text(name) for name in rows])
    axes.set_xlabel("said")
    axes.set_ylabel("truth")
    axes.set_title(title, fontsize=10)


def draw_samples(report: Report) -> Figure:
    """The most confident mistakes with red frames and titles, then correct predictions."""
    examples = report.predictions.examples
    names = [plain_text(name) for name in report.predictions.decision_names()]
    rows = max(1, -(-len(examples) // _COLUMNS))
    figure = Figure(figsize=(1.5 * _COLUMNS, 1.85 * rows), layout="constrained")
    for number, example in enumerate(examples, start=1):
        axes = figure.add_subplot(rows, _COLUMNS, number)
        axes.imshow(example.image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        axes.set_xticks([])
        axes.set_yticks([])
        said = f"{names[example.predicted]} {example.probabilities[example.predicted]:.2f}"
        if example.decision != example.predicted:
            said += f", {names[example.decision]}"  # -1, unsure, is the last name
        if example.correct:
            axes.set_title(said, fontsize=8)
        else:
            axes.set_title(f"{said}\nis {names[example.label]}", fontsize=8, color="crimson")
            for spine in axes.spines.values():
                spine.set(color="crimson", linewidth=2)
    return figure


def draw_curves(report: Report) -> Figure:
    """ROC and precision-recall curves of each class against the rest."""
    figure = Figure(figsize=(10, 4.4), layout="constrained")
    roc, recall = figure.subplots(1, 2)
    for curves in report.curves:
        label = plain_text(curves.label)
        roc.plot(*curves.roc, label=f"{label} {curves.auroc:.5f}", drawstyle="steps-post")
        recall.plot(*curves.precision_recall, label=f"{label} {curves.average_precision:.5f}")
    roc.set(xlabel="false positive rate", ylabel="true positive rate", title="ROC (area)", xlim=(0, 1), ylim=(0, 1.01))
    recall.set(xlabel="recall", ylabel="precision", title="precision-recall (area)", xlim=(0, 1.01), ylim=(0, 1.01))
    for axes in (roc, recall):
        axes.grid(alpha=0.3)
        if report.curves:
            axes.legend(loc="lower center")
    return figure


def draw_reliability(report: Report) -> Figure:
    """Accuracy as a function of confidence, before and after temperature scaling."""
    figure = Figure(figsize=(9, 4.4), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    titles = ("before", f"after temperature {report.predictions.rule.temperature:.2f}")
    for place, title, side in zip(axes, titles, (report.before, report.after), strict=True):
        _draw_reliability(place, side, title)
    axes[0].set_ylabel("accuracy")
    return figure


def _draw_reliability(axes: Axes, side: Reliability, title: str) -> None:
    axes.plot([0, 1], [0, 1], color="grey", linewidth=1)
    below, above = side.accuracy - side.intervals[:, 0], side.intervals[:, 1] - side.accuracy
    axes.errorbar(side.confidence, side.accuracy, [below, above], fmt="o", capsize=2)
    for x, y, count in zip(side.confidence, side.accuracy, side.images, strict=True):
        axes.annotate(str(count), (x, y), xytext=(3, -11), textcoords="offset points", fontsize=7)
    axes.set(xlabel="confidence", title=f"{title}: ECE {side.error:.4f}", xlim=(0, 1.02), ylim=(0, 1.02))
    axes.grid(alpha=0.3)


def draw_stratified(report: Report) -> Figure | None:
    """Rates against dose, size and severity with 95 % intervals; ``None`` if no condition is known."""
    if not report.bins:
        return None
    figure = Figure(figsize=(4.6 * len(report.bins), 3.8), layout="constrained")
    for place, (name, bins) in enumerate(report.bins.items(), start=1):
        axes = figure.add_subplot(1, len(report.bins), place)
        for kind, colour in _COLOURS.items():
            points = [(one.middle, *one.rates[kind]) for one in bins if kind in one.rates and one.rates[kind][1]]
            if not points:
                continue
            x, hits, trials = (np.array(column) for column in zip(*points, strict=True))
            ends = np.array([wilson_interval(int(h), int(n)) for h, n in zip(hits, trials, strict=True)])
            axes.plot(x, hits / trials, marker="o", markersize=4, color=colour, label=kind)
            axes.fill_between(x, ends[:, 0], ends[:, 1], color=colour, alpha=0.15)
        axes.axhline(FOUND, color="grey", linewidth=0.8, linestyle=":")
        if name == "dose":
            axes.set_xscale("log")
        unit = f" ({UNITS[name]})" if UNITS[name] else ""
        axes.set(xlabel=f"{'defect ' if name != 'dose' else ''}{name}{unit}", ylim=(-0.02, 1.02))
        axes.grid(alpha=0.3)
        axes.legend()
    return figure


_DRAWN: dict[str, Callable[[Report], Figure | None]] = {
    "confusion_matrix": draw_confusion,
    "samples": draw_samples,
    "curves": draw_curves,
    "reliability": draw_reliability,
    "stratified": draw_stratified,
}


def save_figures(report: Report, folder: Path) -> dict[str, Path]:
    """Write each figure as ``<name>.png``. Returns the files by name."""
    files = {}
    for name, draw in _DRAWN.items():
        figure = draw(report)
        if figure is None:
            continue
        files[name] = folder / f"{name}.png"
        write_atomically(files[name], functools.partial(figure.savefig, dpi=110))
    return files
