"""Tables and lines of predictions, for names and numbers of any kind."""

import csv
import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
from conftest import make_classifier

from sem_lightning.inference.prediction import Prediction
from sem_lightning.inference.predictor import Predictor
from sem_lightning.inference.writers import PredictionWriter
from sem_lightning.io.gray_image import GrayImage


@pytest.fixture
def prediction() -> Prediction:
    predictor = Predictor(make_classifier().eval().trained, device="cpu")
    return next(iter(predictor.stream([GrayImage(np.zeros((64, 64), np.float32))])))  # type: ignore[return-value]


def test_names_are_cells_and_not_formulas(prediction: Prediction, tmp_path: Path) -> None:
    table = tmp_path / "out.csv"
    names = ["=cmd|' /C calc'!A0.png", "-x.png", "@a.png", "+a.png", "a\rb.png", "a\nb.png", 'a",b.png', "plain.png"]
    with PredictionWriter(["good", "=gap", "bridge"], table, None, None).open() as writer:
        for name in names:
            writer.add(dataclasses.replace(prediction, path=Path(name), label="=gap", decision="=gap",
                                           probabilities={"good": 0.25, "=gap": 0.5, "bridge": 0.25}))  # fmt: skip
    with table.open(newline="") as stream:
        header, *rows = csv.reader(stream)
    assert header == ["path", "label", "confidence", "decision", "p_good", "p_=gap", "p_bridge", "reason"]
    assert [Path(row[0]) for row in rows] == [Path(name) for name in names]  # ./=cmd.png is the same file
    assert {tuple(row[1:-1]) for row in rows} == {("'=gap", "0.500000", "'=gap", "0.250000", "0.500000", "0.250000")}
    assert not any(cell.startswith(("=", "+", "-", "@", "\r")) for row in rows for cell in row)


def test_lines_hold_no_nan(prediction: Prediction, tmp_path: Path) -> None:
    lines = tmp_path / "out.jsonl"
    odd = dataclasses.replace(prediction, probabilities=dict.fromkeys(prediction.probabilities, math.nan),
                              ood_score=math.inf)  # fmt: skip
    with PredictionWriter(["good", "gap", "bridge"], tmp_path / "out.csv", lines, None).open() as writer:
        writer.add(odd)
    text = lines.read_text()
    assert "NaN" not in text and "Infinity" not in text
    found = json.loads(text)
    assert found["ood_score"] is None and set(found["probabilities"].values()) == {None}
