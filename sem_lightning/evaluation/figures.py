"""Pictures of a test: the confusion matrix, and images with what the classifier said of them."""

from pathlib import Path

from matplotlib.figure import Figure

from sem_lightning.evaluation.recorder import Example
from sem_lightning.evaluation.report import Report
from sem_lightning.files import write_atomically

_COLUMNS = 8


def draw_confusion(report: Report) -> Figure:
    """Counts, each row shaded by its share of the true class."""
    size = len(report.classes)
    figure = Figure(figsize=(2.2 + 1.1 * size, 1.8 + 1.0 * size), layout="constrained")
    axes = figure.add_subplot()
    shares = report.confusion / report.confusion.sum(axis=1, keepdims=True).clip(min=1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for i in range(size):
        for j in range(size):
            text = f"{report.confusion[i, j]}\n{shares[i, j]:.1%}"
            axes.text(j, i, text, ha="center", va="center", color="white" if shares[i, j] > 0.5 else "black")
    axes.set_xticks(range(size), report.classes)
    axes.set_yticks(range(size), report.classes)
    axes.set_xlabel("said")
    axes.set_ylabel("truth")
    axes.set_title(f"{report.images} images, accuracy {report.metrics['test/accuracy']:.3f}")
    return figure


def draw_samples(examples: list[Example], classes: list[str]) -> Figure:
    """Images with their predictions; wrong ones come first, framed and titled in red."""
    rows = max(1, -(-len(examples) // _COLUMNS))
    figure = Figure(figsize=(1.5 * _COLUMNS, 1.75 * rows), layout="constrained")
    for number, example in enumerate(examples, start=1):
        axes = figure.add_subplot(rows, _COLUMNS, number)
        axes.imshow(example.image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        axes.set_xticks([])
        axes.set_yticks([])
        confidence = example.probabilities[example.predicted]
        said = f"{classes[example.predicted]} {confidence:.2f}"
        if example.correct:
            axes.set_title(said, fontsize=8)
        else:
            axes.set_title(f"{said}\nis {classes[example.label]}", fontsize=8, color="crimson")
            for spine in axes.spines.values():
                spine.set(color="crimson", linewidth=2)
    return figure


def save_figures(report: Report, examples: list[Example], folder: Path) -> dict[str, Figure]:
    """Write ``confusion_matrix.png`` and ``samples.png``; returns the figures by those names."""
    figures = {"confusion_matrix": draw_confusion(report), "samples": draw_samples(examples, report.classes)}
    for name, figure in figures.items():

        def write(path: Path, figure: Figure = figure) -> None:
            figure.savefig(path, dpi=110)

        write_atomically(folder / f"{name}.png", write)
    return figures
