"""Writes predictions as a table, JSON lines and boxes of suspicious regions."""

import contextlib
import dataclasses
import json
import math
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from sem_lightning.decision.rule import UNSURE_NAME
from sem_lightning.errors import SettingError
from sem_lightning.inference.prediction import Prediction, UnreadableImage
from sem_lightning.io.atomic import atomic_file
from sem_lightning.io.csv_rows import write_row

_REGION_COLUMNS = ("x", "y", "width", "height", "label", "score")


class PredictionWriter:
    """Writes predictions one by one; the files appear when all are written.

    Args:
        classes: Class names.
        table: CSV ``path,label,confidence,decision``, ``p_<class>`` for each class, and ``reason``.
        lines: JSON lines with all results, also for unreadable files; ``None`` writes none.
        regions: CSV ``path,x,y,width,height,label,score``, a row for each suspicious region; ``None`` writes none.

    Raises:
        SettingError: Two of the files have the same name, or a folder has that name.
    """

    def __init__(self, classes: list[str], table: Path, lines: Path | None, regions: Path | None) -> None:
        self._classes = classes
        self._decisions: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._targets = [path for path in (table, lines, regions) if path is not None]
        self._table_path, self._lines_path, self._regions_path = table, lines, regions
        if len({os.path.realpath(path) for path in self._targets}) < len(self._targets):
            raise SettingError("jsonl", f"would be written to the same file as another list, {lines}; name another")
        for path in self._targets:
            if path.is_dir():
                raise SettingError("jsonl" if path == lines else "output", f"{path} is a folder; name a file")

    @contextlib.contextmanager
    def open(self) -> Iterator["PredictionWriter"]:
        """Open temporary files. They get their final names at the end, unless an error occurs.

        Raises:
            OSError: A folder is not writable or full.
        """
        with contextlib.ExitStack() as stack:
            for path in self._targets:
                path.parent.mkdir(parents=True, exist_ok=True)
            temporary = [stack.enter_context(atomic_file(path)) for path in self._targets]
            # Closed before any file gets its name. File names may hold bytes that are not UTF-8; they are written
            # unchanged.
            streams: dict[Path, TextIO] = {
                path: stack.enter_context(name.open("w", newline="", encoding="utf-8", errors="surrogateescape"))
                for path, name in zip(self._targets, temporary, strict=True)
            }
            self._table = streams[self._table_path]
            columns = (f"p_{name}" for name in self._classes)
            write_row(self._table, ["path", "label", "confidence", "decision", *columns, "reason"])
            self._lines = streams[self._lines_path] if self._lines_path else None
            self._regions = None
            if self._regions_path:
                self._regions = streams[self._regions_path]
                write_row(self._regions, ["path", *_REGION_COLUMNS])
            yield self

    def add(self, prediction: Prediction) -> None:
        """Write the prediction of the next image."""
        self._decisions[prediction.decision] += 1
        self._reasons.update([prediction.reason] if prediction.reason else [])
        numbers = [f"{p:.6f}" for p in (prediction.confidence, *prediction.probabilities.values())]
        row = [prediction.path, prediction.label, numbers[0], prediction.decision, *numbers[1:]]
        write_row(self._table, [*row, prediction.reason or ""])
        if self._regions is not None:
            for region in prediction.regions:
                write_row(self._regions, [prediction.path, *dataclasses.astuple(region)])
        if self._lines is not None:
            self._write_line(describe_prediction(prediction))

    def summary(self, table: str, rule: str) -> str:
        """How many images were decided how, and why those that are unsure are.

        Args:
            table: The table's name, as it is shown.
            rule: The decision rule's name.
        """
        said = ", ".join(f"{name} {self._decisions[name]}" for name in (*self._classes, UNSURE_NAME))
        why = ", ".join(f"{reason} {count}" for reason, count in self._reasons.most_common())
        images = f"{self._decisions.total()} images in {table} ({rule})"
        return f"{images}: {said} ({why})" if why else f"{images}: {said}"

    def add_unreadable(self, unreadable: UnreadableImage) -> None:
        """Write the next file, which could not be used."""
        if self._lines is not None:
            self._write_line({"path": str(unreadable.path), "error": str(unreadable.error)})

    def _write_line(self, content: dict[str, Any]) -> None:
        assert self._lines is not None
        self._lines.write(json.dumps(_without_nan(content), allow_nan=False) + "\n")


def _without_nan(content: Any) -> Any:
    """The content with ``None`` in place of numbers that JSON does not have: NaN and infinite ones."""
    if isinstance(content, dict):
        return {name: _without_nan(value) for name, value in content.items()}
    if isinstance(content, list):
        return [_without_nan(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


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
