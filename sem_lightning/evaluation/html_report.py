"""The report as a self-contained HTML page with embedded figures and style."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sem_lightning.decision.intervals import wilson_interval
from sem_lightning.evaluation.comparison import Comparison
from sem_lightning.evaluation.test_report import Report
from sem_lightning.io.html_page import data_uri, in_words, write_html

_CAPTIONS = {
    "confusion_matrix": "Confusion: counts, and their share of the true class",
    "samples": "The most confident mistakes (red), then correct predictions",
    "curves": "Each class against the rest",
    "reliability": "Calibration: dots on the line have correct probabilities; numbers are images",
    "stratified": "Rates against the image's metadata, with 95 % bands; dotted: 95 %",
}
_CARDS = ("capture", "escape", "overkill", "purity", "review")


@dataclass(frozen=True)
class Section:
    """One classifier's part of the page.

    Attributes:
        name: Name, the path of its checkpoint.
        report: Its measurements.
        figures: Figure files by name.
    """

    name: str
    report: Report
    figures: dict[str, Path]

    def pictures(self) -> list[tuple[str, str, str]]:
        """Name, caption and data URI of each figure."""
        return [(name, _CAPTIONS[name], data_uri(path.read_bytes())) for name, path in self.figures.items()]

    def cards(self) -> list[dict[str, str]]:
        """The main numbers: title, value, interval, definition."""
        report = self.report
        hits = int(report.confusion.trace())
        cards = [_card("accuracy", hits, report.images, "images whose most probable class is right")]
        return cards + [
            _card(rate.name, rate.events, rate.trials, rate.definition) for rate in report.rates if rate.name in _CARDS
        ]

    def class_rows(self) -> list[list[str]]:
        """Metrics of each class with intervals, as table cells."""
        report, intervals = self.report, self.report.intervals()
        areas = {curves.label: (curves.auroc, curves.average_precision) for curves in report.curves}
        escapes = {rate.name: rate for rate in report.rates}
        rows = []
        for i, label in enumerate(report.classes):
            cells = [label, str(report.confusion[i].sum())]
            for metric in ("recall", "precision", "f1"):
                low, high = intervals[f"test/{metric}_{label}"]
                cells.append(f"{report.metrics[f'test/{metric}_{label}']:.4f} [{low:.4f}, {high:.4f}]")
            cells += [f"{area:.5f}" for area in areas[label]] if label in areas else ["", ""]
            rate = escapes.get(f"escape_{label}")
            cells.append(_share(rate.events, rate.trials) if rate is not None else "")
            rows.append(cells)
        return rows


def write_page(path: Path, sections: list[Section], comparisons: list[list[Comparison]], facts: dict[str, Any]) -> None:
    """Write ``report.html`` atomically.

    Args:
        path: The output file.
        sections: One section for each classifier.
        comparisons: The first classifier compared with each further one.
        facts: Keys and values that describe the test.
    """
    said = {key: in_words(value) for key, value in facts.items()}
    write_html(path, "evaluation/report.html.j2", {"sections": sections, "comparisons": comparisons, "facts": said})


def _card(title: str, events: int, trials: int, definition: str) -> dict[str, str]:
    low, high = wilson_interval(events, trials)
    return {
        "title": title,
        "value": f"{events / trials:.4f}" if trials else "none",
        "interval": f"[{low:.4f}, {high:.4f}], {events} of {trials}",
        "definition": definition,
    }


def _share(events: int, trials: int) -> str:
    if not trials:
        return "no images"
    low, high = wilson_interval(events, trials)
    return f"{events / trials:.4f} [{low:.4f}, {high:.4f}]"
