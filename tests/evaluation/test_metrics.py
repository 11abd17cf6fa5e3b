"""Rates, intervals and reports agree with each other and with known values."""

import io

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from made_up import make_predictions
from rich.console import Console

from sem_lightning.decision.intervals import f1_interval, wilson_interval
from sem_lightning.evaluation.test_report import Report
from sem_lightning.evaluation.test_report import make_report as measure

CLASSES = ["good", "gap", "bridge"]


def test_wilson_against_published_values() -> None:
    # Newcombe, Statistics in Medicine 17, 857 (1998), table I, method 3
    for successes, trials, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)):
        assert wilson_interval(successes, trials) == pytest.approx((low, high), abs=5e-5)


@given(trials=st.integers(1, 5000), data=st.data())
def test_wilson_holds_the_rate_and_stays_within_0_and_1(trials: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(0, trials))
    low, high = wilson_interval(successes, trials)
    assert 0 <= low <= successes / trials <= high <= 1


def make_report(truth: torch.Tensor, said: torch.Tensor) -> Report:
    return measure(make_predictions(truth.tolist(), np.eye(3)[said.numpy()]))


def test_a_report_by_hand() -> None:
    truth = torch.tensor([0, 0, 0, 0, 1, 1, 1, 2, 2, 2])
    said = torch.tensor([0, 0, 1, 2, 1, 1, 1, 2, 2, 0])
    report = make_report(truth, said)
    assert report.confusion.tolist() == [[2, 1, 1], [0, 3, 0], [1, 0, 2]]
    metrics = report.to_dict()["metrics"]
    assert metrics["test/accuracy"] == pytest.approx(0.7)
    assert metrics["test/accuracy_good"] == metrics["test/recall_good"] == pytest.approx(0.5)
    assert metrics["test/precision_gap"] == pytest.approx(0.75)
    assert report.to_dict()["counts"] == {"good": 4, "gap": 3, "bridge": 3}


@given(data=st.data())
def test_every_rate_lies_in_its_interval(data: st.DataObject) -> None:
    pairs = data.draw(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=60))
    truth, said = (torch.tensor(column) for column in zip(*pairs, strict=True))
    result = make_report(truth, said).to_dict()
    for name, (low, high) in result["intervals_95"].items():
        assert low - 1e-6 <= result["metrics"][name] <= high + 1e-6
    assert result["test_images"] == len(pairs)


def test_the_table_fits_a_terminal_of_80_columns() -> None:
    truth = np.repeat([0, 1, 2], 1000)
    said = truth.copy()
    said[:10], said[2000:2003] = [1] * 5 + [2] * 5, 0
    report = make_report(torch.from_numpy(truth), torch.from_numpy(said))
    console = Console(width=80, record=True, file=io.StringIO())
    report.print(console, "title", "caption")
    text = console.export_text()
    assert "0.990 [.982 .995]" in text and "997" in text
    assert "…" not in text and max(map(len, text.splitlines())) <= 80


def test_f1_and_its_interval() -> None:
    # 95 right, 5 and 10 wrong: F1 is 2 * 95 / 205; J, 95 of 110, has the interval of a rate
    low, high = f1_interval(95, 110)
    assert low < 2 * 95 / 205 < high
    j_low, j_high = wilson_interval(95, 110)
    assert (low / (2 - low), high / (2 - high)) == pytest.approx((j_low, j_high))
    assert f1_interval(10, 10)[0] < 0.85 and f1_interval(10, 10)[1] == 1.0  # ten right answers prove little


def test_f1_intervals_hold_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(1000):
        hits, false_negatives, false_positives = rng.multinomial(150, [0.58, 0.02, 0.03, 0.37])[:3]
        low, high = f1_interval(int(hits), int(hits + false_negatives + false_positives))
        held += low <= 2 * 0.58 / (2 * 0.58 + 0.05) <= high
    assert 0.93 < held / 1000 < 0.99
