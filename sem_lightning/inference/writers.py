"""Writes predictions as a table, JSON lines and boxes of suspicious regions."""

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sem_lightning.decision.rule import UNSURE_NAME
from sem_lightning.inference.prediction import Prediction, UnreadableImage
from sem_lightning.io.csv_rows import write_row
from sem_lightning.io.result_files import DecisionCount, Inputs, check_targets, open_together, write_json_line

_REGION_COLUMNS = ("x", "y", "width", "height", "label", "score")


class PredictionWriter:
    """Writes predictions one by one; the files appear when all are written.

    Args:
        classes: Class names.
        table: CSV ``path,label,confidence,decision``, ``p_<class>`` for each class, and ``reason``.
        lines: JSON lines with all results, also for unreadable files; ``None`` writes none.
        regions: CSV ``path,x,y,width,height,label,score``, a row for each suspicious region; ``None`` writes none.
        inputs: What is read, and must not be overwritten.

    Raises:
        SettingError: Two of the files have the same name, a folder has that name, or one of them is read.
    """

    def __init__(
        self, classes: list[str], table: Path, lines: Path | None, regions: Path | None, inputs: Inputs = ()
    ) -> None:
        self._classes = classes
        self._count = DecisionCount()
        self._table_path, self._lines_path, self._regions_path = table, lines, regions
        check_targets([("output", table), ("output", regions), ("jsonl", lines)], inputs)

    @contextlib.contextmanager
    def open(self) -> Iterator["PredictionWriter"]:
        """Open temporary files. They get their final names at the end, unless an error occurs.

        Raises:
            OSError: A folder is not writable or full.
        """
        with open_together([self._table_path, self._lines_path, self._regions_path]) as opened:
            table, self._lines, self._regions = opened
            assert table is not None
            self._table = table
            write_row(self._table, prediction_columns(self._classes))
            if self._regions is not None:
                write_row(self._regions, ["path", *_REGION_COLUMNS])
            yield self

    def add(self, prediction: Prediction) -> None:
        """Write the prediction of the next image."""
        self._count.add(prediction.decision, prediction.reason)
        write_row(self._table, prediction_cells(prediction))
        if self._regions is not None:
            for region in prediction.regions:
                write_row(self._regions, [prediction.path, *dataclasses.astuple(region)])
        if self._lines is not None:
            write_json_line(self._lines, describe_prediction(prediction))

    def summary(self, table: str, rule: str) -> str:
        """How many images were decided how, and why those that are unsure are.

        Args:
            table: The table's name, as it is shown.
            rule: The decision rule's name.
        """
        return self._count.in_words(table, (*self._classes, UNSURE_NAME), rule)

    def add_unreadable(self, unreadable: UnreadableImage) -> None:
        """Write the next file, which could not be used."""
        if self._lines is not None:
            write_json_line(self._lines, {"path": str(unreadable.path), "error": str(unreadable.error)})


def prediction_columns(classes: Sequence[str]) -> list[str]:
    """The columns of a table of predictions."""
    return ["path", "label", "confidence", "decision", *(f"p_{name}" for name in classes), "reason"]


def prediction_cells(prediction: Prediction) -> list[object]:
    """The cells of a prediction, see `prediction_columns`."""
    numbers = [f"{p:.6f}" for p in (prediction.confidence, *prediction.probabilities.values())]
    row = [prediction.path, prediction.label, numbers[0], prediction.decision, *numbers[1:]]
    return [*row, prediction.reason or ""]


def describe_prediction(prediction: Prediction) -> dict[str, Any]:
    """All results for an image, as plain values."""
    return {
        "path": str(prediction.path),
        "label": prediction.label,
        "confidence": round(prediction.confidence, 6),
        "decision": prediction.decision,
        "reason": prediction.reason,
        "probabilities": {name: round(p, 6) for name, p in prediction.probabilities.items()},
        "by_view": {f"{scale:g}": [round(float(p), 6) for p in each] for scale, each in prediction.by_view.items()},
        "ood_score": prediction.ood_score,
        "height": prediction.shape[0],
        "width": prediction.shape[1],
        "pixel_size_nm": prediction.pixel_size,
        "data_bar_rows": prediction.data_bar_rows,
        "inverted": prediction.inverted,
        "tiles": prediction.tiles,
        "regions": [dataclasses.asdict(region) for region in prediction.regions],
    }
