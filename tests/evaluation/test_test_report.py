"""What a report says, against counts and curves done by hand, and the page in a real browser."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import needs_browser, shown_in_browser
from made_up import CLASSES, make_predictions
from scipy.stats import binom

from sem_lightning.decision.out_of_distribution import MahalanobisScore
from sem_lightning.decision.rule import RiskBound, Rule
from sem_lightning.evaluation.comparison import compare
from sem_lightning.evaluation.curves import class_curves, reliability
from sem_lightning.evaluation.html_report import Section, write_page
from sem_lightning.evaluation.rates import decision_rates
from sem_lightning.evaluation.stratified_metrics import detection_limits, find_limit, stratify
from sem_lightning.evaluation.test_figures import draw_confusion, save_figures
from sem_lightning.evaluation.test_report import make_report

# truth, the most probable class, and how sure: 3 is sure, 0.1 is too close to call
ROWS = [
    (0, 0, 3.0), (0, 0, 3.0), (0, 1, 3.0), (0, 2, 0.1),
    (1, 1, 3.0), (1, 0, 3.0), (1, 0, 0.1), (2, 1, 3.0), (2, 2, 3.0), (2, 2, 3.0),
]  # fmt: skip


def by_hand(rule: Rule = Rule(margin=0.5)) -> Any:
    logits = np.array([np.eye(3)[said] * sure for _, said, sure in ROWS])
    return make_predictions([truth for truth, _, _ in ROWS], logits, rule)


def test_rates_by_hand() -> None:
    rates = {rate.name: (rate.events, rate.trials) for rate in decision_rates(by_hand())}
    assert rates == {
        "capture": (5, 6),  # the gap that is too close to call goes to a person
        "escape": (1, 6),
        "overkill": (1, 4),  # so does the good one
        "purity": (4, 5),
        "review": (2, 10),
        "escape_gap": (1, 3),
        "escape_bridge": (0, 3),
    }
    assert decision_rates(make_predictions([0, 1], np.eye(2), classes=["left", "right"])) == []


def test_confusions_of_answers_and_of_decisions() -> None:
    predictions = by_hand()
    assert predictions.confusion().tolist() == [[2, 1, 1], [2, 1, 0], [0, 1, 2]]
    assert predictions.decided().tolist() == [[2, 1, 0, 1], [1, 1, 0, 1], [0, 1, 2, 0]]
    assert predictions.decision_names() == [*CLASSES, "unsure"]


def test_the_surest_mistakes_are_kept_and_come_first() -> None:
    rng = np.random.default_rng(0)
    sure = rng.uniform(0.5, 5, 300)
    logits = np.zeros((300, 3))
    logits[:, 1] = sure  # says gap to everything, which is wrong for the 200 others
    predictions = make_predictions(np.arange(300) % 3, logits)
    wrong = [example for example in predictions.examples if not example.correct]
    kept = sorted((float(example.probabilities[1]) for example in wrong), reverse=True)
    assert len(wrong) == 24 and [float(example.probabilities[1]) for example in wrong] == kept
    expected = np.sort(predictions.verdicts.probabilities[~predictions.correct, 1])[::-1][:24]
    assert kept == pytest.approx(expected.tolist())


def test_areas_under_curves_are_shares_of_pairs() -> None:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 3, 200)
    logits = rng.normal(size=(200, 3)) + 1.5 * np.eye(3)[labels]
    logits[:40] += 400  # sure answers are told apart too
    for i, curves in enumerate(class_curves(CLASSES, logits, labels)):
        odds = logits[:, i] - np.logaddexp.reduce(np.delete(logits, i, axis=1), axis=1)
        pairs = odds[labels == i][:, None] - odds[labels != i][None]
        assert curves.auroc == pytest.approx((pairs > 0).mean() + 0.5 * (pairs == 0).mean(), abs=1e-5)
        assert curves.roc.min() == 0 and curves.roc.max() == 1


def test_calibration_error_by_hand() -> None:
    # 100 answers of confidence 0.9 of which 60 are right, 100 of 0.6 of which 60 are
    p = np.repeat([0.9, 0.6], 100)
    logits = np.stack([np.log(p), np.log(1 - p)], axis=1)
    labels = np.where(np.arange(200) % 100 < 60, 0, 1)
    measured = reliability(logits, labels, 1.0)
    assert measured.error == pytest.approx(0.5 * 0.3, abs=1e-6)
    assert measured.confidence == pytest.approx([0.6, 0.9]) and measured.accuracy == pytest.approx([0.6, 0.6])
    assert reliability(logits, labels, 3.0).error < measured.error


def make_sized(count: int = 3000, limit: float = 10.0) -> Any:
    """Good images and gaps; a gap is found with a probability that grows with its size, 95 % at ``limit``."""
    rng = np.random.default_rng(5)
    labels = np.arange(count) % 2
    size, dose = rng.uniform(2, 20, count), 10 ** rng.uniform(1, 3, count)
    found = rng.random(count) < 1 / (1 + np.exp(-(size - limit) - np.log(19)))
    logits = np.zeros((count, 3))
    logits[:, 0], logits[:, 1] = 2.0, np.where((labels == 1) & found, 5.0, 0.0)
    metadata = {"size": np.where(labels == 1, size, 0), "dose": dose, "severity": size / 20}
    return make_predictions(labels, logits, metadata=metadata)


def test_the_detection_limit_is_recovered() -> None:
    limits = {limit.what: limit for limit in detection_limits(make_sized())}
    every = limits["all doses"]
    assert every.interval[0] < 10.0 < every.interval[1] and every.size == pytest.approx(10, abs=1.2)
    assert len([what for what in limits if what.startswith("dose")]) == 4 and "gap" in limits and "bridge" not in limits
    assert np.isnan(find_limit(np.arange(50.0), np.zeros(50, bool)))
    assert find_limit(np.arange(50.0), np.ones(50, bool)) == 0.0
    assert np.isnan(find_limit(np.full(100, 10.0), np.arange(100) >= 50))  # of one size, whatever their order


def test_no_limit_is_found_by_luck() -> None:
    rng = np.random.default_rng(0)
    found = [np.isfinite(find_limit(rng.uniform(5, 40, 300), rng.random(300) < 0.7)) for _ in range(200)]
    assert sum(found) == 0


def test_accuracy_falls_apart_by_condition() -> None:
    bins = stratify(make_sized())
    capture = [hits / trials for hits, trials in (one.rates["capture"] for one in bins["size"])]
    assert capture[0] < 0.3 and capture[-1] > 0.98 and len(bins["size"]) == 8
    assert sum(one.rates["accuracy"][1] for one in bins["size"]) == 1500  # defects alone have a size
    assert sum(one.rates["accuracy"][1] for one in bins["dose"]) == 3000
    assert "size" not in stratify(by_hand())


def test_mcnemar_by_hand() -> None:
    labels = [0] * 40
    right, wrong = np.array([3.0, 0, 0]), np.array([0, 3.0, 0])
    first = np.array([right] * 30 + [wrong] * 10)
    second = np.array([right] * 15 + [wrong] * 15 + [right] * 5 + [wrong] * 5)
    result = compare(make_predictions(labels, first), make_predictions(labels, second))
    assert [one.what for one in result] == ["right class", "good image not called defective"]
    assert (result[0].first_only, result[0].second_only, result[0].images) == (15, 5, 40)
    assert result[0].p == pytest.approx(2 * binom.cdf(5, 20, 0.5))  # 0.0414
    assert compare(make_predictions(labels, first), make_predictions(labels, first))[0].p == 1.0


def write_report(folder: Path) -> Path:
    predictions, other = make_sized(600), make_sized(600, limit=14.0)
    reports = [make_report(one) for one in (predictions, other)]
    sections = [
        Section(name, report, save_figures(report, folder))
        for name, report in zip(("<b>first</b>.ckpt", "second.ckpt"), reports, strict=True)
    ]
    write_page(folder / "report.html", sections, [compare(predictions, other)], {"seed": 3})
    return folder / "report.html"


def test_the_page_needs_nothing_but_itself(tmp_path: Path) -> None:
    text = write_report(tmp_path).read_text()
    assert not re.search(r"""(src|href)=["'](?!data:)""", text) and "url(" not in text
    assert "<b>first" not in text and "&lt;b&gt;first" in text
    assert text.count("data:image/png;base64,") == 10
    for name in ("confusion_matrix", "samples", "curves", "reliability", "stratified"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_the_page_says_what_the_rule_promises(tmp_path: Path) -> None:
    ood = MahalanobisScore(np.zeros((3, 2)), np.eye(2))
    bound = RiskBound(0.01, 0.95, defects=800, escapes=3, good=400, overkill=4)
    strict = Rule("conservative", 1.5, 2.25, 0.1, ood, 30.0, bound)
    for rule, promised in ((strict, True), (Rule(), False)):
        report = make_report(by_hand(rule))
        write_page(tmp_path / "report.html", [Section("best.ckpt", report, {})], [], {})
        text = " ".join((tmp_path / "report.html").read_text().split())
        assert ("at most 1 % of defective images pass, with confidence 95 %" in text) == promised
        assert ("800 defective calibration images, 3 of which pass" in text) == promised
        assert ("It cost 4 of 400 good calibration images" in text) == promised
        assert ("an out-of-distribution score above 30.0 is unsure" in text) == promised
        assert ("there is no bound on escapes" in text) != promised


@needs_browser
def test_the_page_in_a_browser(tmp_path: Path) -> None:
    for page in shown_in_browser(write_report(tmp_path)):
        assert page.locator("h2", has_text="Side by side").is_visible()
        assert page.locator("td", has_text="defect captured").is_visible()


def test_figures_show_names_that_look_like_formulas(tmp_path: Path) -> None:
    classes = ["good", "$\\frac$", "a$b$c"]
    report = make_report(make_predictions([0, 1, 2] * 4, np.eye(3)[[0, 1, 2] * 4] * 3, classes=classes))
    paths = save_figures(report, tmp_path)
    assert {"confusion_matrix.png", "curves.png"} <= {path.name for path in tmp_path.iterdir()} and paths
    words = [text.get_text() for text in draw_confusion(report).axes[0].get_xticklabels()]
    assert words == [r"good", r"\$\frac\$", r"a\$b\$c"]  # which Matplotlib shows as the names
