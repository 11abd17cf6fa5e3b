"""Scores, rules and temperatures against the same numbers computed in another way."""

import logging
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from sem_lightning.decision.calibration import fit_temperature, make_rule
from sem_lightning.decision.decision_settings import DecisionSettings
from sem_lightning.decision.out_of_distribution import MahalanobisScore
from sem_lightning.decision.risk_control import conformal_limit, images_needed
from sem_lightning.decision.rule import UNSURE, Rule
from sem_lightning.decision.scores import Scores, log_odds_good
from sem_lightning.errors import SettingError
from sem_lightning.io.dataset_format import MASK_UNKNOWN
from sem_lightning.model.mask_loss import mask_loss

CLASSES = ("good", "gap", "bridge")


def make_scores(seed: int, count: int, sharpness: float = 1.0) -> Scores:
    """Random scores that are right more often than not, with 5 features that depend on the class."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    logits = sharpness * rng.normal(size=(count, 3))
    logits[np.arange(count), labels] += 1.5 * sharpness
    return Scores(logits, rng.normal(size=(count, 5)) * [1, 2, 3, 1, 1] + 2 * labels[:, None], labels, labels >= 0)


def test_the_out_of_distribution_score_is_the_distance_under_the_pooled_covariance() -> None:
    scores = make_scores(0, 60)
    found = MahalanobisScore.fit(scores, 3)
    assert found is not None
    pooled = sum(
        (np.cov(scores.features[scores.labels == label].T, ddof=1) * 19 for label in range(3)), np.zeros((5, 5))
    )
    pooled = pooled / (60 - 3)
    pooled = pooled + 0.1 * np.trace(pooled) / 5 * np.eye(5)
    inverse = np.linalg.inv(pooled)
    others = np.random.default_rng(1).normal(0, 5, (7, 5))
    expected = []
    for row in others:
        steps = [row - scores.features[scores.labels == label].mean(axis=0) for label in range(3)]
        expected.append(min(math.sqrt(step @ inverse @ step) for step in steps))
    assert found(others) == pytest.approx(expected, rel=1e-9)
    assert found(others[:0]).shape == (0,)
    stored = found.to_dict()
    assert all(array.dtype == np.float32 for array in stored.values())
    assert MahalanobisScore.from_dict(stored).means.dtype == np.float64


def test_every_class_needs_two_images() -> None:
    scores = make_scores(0, 6)
    assert MahalanobisScore.fit(scores, 3) is not None
    first = Scores(scores.logits[:5], scores.features[:5], scores.labels[:5], scores.usable[:5])
    assert MahalanobisScore.fit(first, 3) is None
    assert MahalanobisScore.fit(scores, 4) is None  # of the fourth class there is none


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"means": np.zeros((3, 4), np.float32)}, "arrays of wrong shapes"),
        ({"means": np.full((3, 5), np.nan, np.float32)}, "numbers that are not finite"),
    ],
)
def test_a_stored_score_that_cannot_be_is_refused(change: dict[str, np.ndarray], words: str) -> None:
    found = MahalanobisScore.fit(make_scores(0, 60), 3)
    assert found is not None
    with pytest.raises(ValueError, match=f"^the out-of-distribution score has {words}$"):
        MahalanobisScore.from_dict(found.to_dict() | change)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kind": "other"}, "is of an unknown kind"),
        ({"temperature": "1"}, "is of an unknown kind"),
        ({"temperature": 1e-6}, "s numbers are out of range"),
        ({"temperature": 1e6}, "s numbers are out of range"),
        ({"margin": -0.1}, "s numbers are out of range"),
        ({"ood_limit": 0.0}, "s numbers are out of range"),
        ({"kind": "conservative"}, "s threshold does not fit its kind"),
        ({"threshold": 1.0}, "s threshold does not fit its kind"),
        ({"kind": "conservative", "threshold": 500.0}, "s threshold does not fit its kind"),
        ({"kind": "conservative", "threshold": -0.01}, "s threshold does not fit its kind"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(options: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=f"^the decision rule.?{words}$"):
        Rule(**options)  # type: ignore[arg-type]
    Rule(ood_limit=0.5, margin=0.0)
    Rule("conservative", threshold=0.0)


def test_a_conservative_rule_passes_above_its_threshold_and_else_names_the_likeliest_defect() -> None:
    logits = np.array([[4.0, 1.0, 0.5], [1.0, 0.9, 3.0], [1.0, 2.0, -1.0], [0.5, 0.4, -3.0], [2.0, np.nan, 0.0]])
    odds = log_odds_good(logits[:4], 2.0)
    rule = Rule("conservative", temperature=2.0, threshold=float(odds[0]) - 1e-9)
    assert rule.decide(logits, np.zeros((5, 1))).decisions.tolist() == [0, 2, 1, 1, UNSURE]
    at_the_threshold = Rule("conservative", temperature=2.0, threshold=float(odds[0]))
    assert at_the_threshold.decide(logits, np.zeros((5, 1))).decisions[0] == 1  # it has to exceed it
    distance = np.abs(odds - odds[0])
    assert at_the_threshold.log_odds_margin(logits[:4]) == pytest.approx(distance.tolist(), abs=1e-12)


def test_the_margin_of_argmax_is_the_lead_at_the_rules_temperature() -> None:
    logits = np.array([[4.0, 1.0, 0.0], [0.0, 2.0, 1.0]])
    assert Rule(temperature=2.0).log_odds_margin(logits).tolist() == [1.5, 0.5]
    assert Rule(temperature=2.0, margin=0.5).decide(logits, np.zeros((2, 1))).decisions.tolist() == [0, 1]
    assert Rule(temperature=2.0, margin=0.51).decide(logits, np.zeros((2, 1))).decisions.tolist() == [0, UNSURE]


def test_an_image_at_the_limit_of_the_score_is_still_decided() -> None:
    ood = MahalanobisScore(np.zeros((3, 2)), np.eye(2))
    features = np.array([[3.0, 4.0], [3.0, 4.001]])
    verdicts = Rule(ood=ood, ood_limit=5.0).decide(np.array([[1.0, 0, 0]] * 2), features.astype(np.float32))
    assert verdicts.decisions.tolist() == [0, UNSURE]


def test_the_temperature_has_the_lowest_loss_with_platts_targets() -> None:
    scores = make_scores(3, 90, sharpness=3.0)
    targets = np.full((90, 3), 1 / 93)
    targets[np.arange(90), scores.labels] = 91 / 93

    def loss(temperature: float) -> float:
        log_p = torch.log_softmax(torch.from_numpy(scores.logits) / temperature, dim=1).numpy()
        return -float((targets * log_p).sum())

    found = fit_temperature(scores)
    grid = np.exp(np.linspace(math.log(found) - 0.5, math.log(found) + 0.5, 2001))
    best = float(grid[int(np.argmin([loss(each) for each in grid]))])
    assert found == pytest.approx(best, rel=2e-3)


def test_few_images_make_the_temperature_higher_as_platt_says() -> None:
    scores = Scores(3 * np.eye(3), np.zeros((3, 1)), np.arange(3), np.ones(3, np.bool_))
    # every label is right: the probability of the truth is Platt's (N + 1) / (N + C) = 4 / 6
    expected = 3 / math.log((4 / 6) / (1 / 6))
    assert fit_temperature(scores) == pytest.approx(expected, rel=1e-4)
    rule = make_rule(DecisionSettings(ood_rate=0.0), CLASSES, scores, scores)
    assert rule.temperature == pytest.approx(expected, rel=1e-4)


def test_the_conformal_limit_is_the_rank_that_split_conformal_prediction_gives() -> None:
    scores = np.random.default_rng(0).permutation(np.arange(1.0, 100.0))
    assert [conformal_limit(scores, share) for share in (0.01, 0.1, 0.5)] == [99.0, 90.0, 50.0]
    assert conformal_limit(scores, 0.0099) is None and images_needed(0.01) == 99


def test_a_rule_counts_what_it_costs_on_the_calibration_images() -> None:
    calibration = make_scores(5, 300)
    settings = DecisionSettings("conservative", max_escape=0.1, confidence=0.9, ood_rate=0.0)
    rule = make_rule(settings, CLASSES, make_scores(6, 90), calibration)
    bound, threshold = rule.risk_bound, rule.threshold
    assert bound is not None and threshold is not None and not math.isfinite(rule.ood_limit)
    odds = log_odds_good(calibration.logits, rule.temperature)
    passed, defective = odds > threshold, calibration.labels > 0
    assert (bound.max_escape, bound.confidence) == (0.1, 0.9)
    assert (bound.defects, bound.good) == (200, 100)
    assert bound.escapes == int(sum(p and d for p, d in zip(passed, defective, strict=True)))
    assert bound.overkill == int(sum(not p and not d for p, d in zip(passed, defective, strict=True)))
    assert bound.overkill > 0 and bound.escapes > 0


def test_without_validation_images_temperature_and_score_stay(caplog: pytest.LogCaptureFixture) -> None:
    nothing = Scores(np.empty((0, 3)), np.empty((0, 5)), np.empty(0, np.int64), np.empty(0, np.bool_))
    before = Rule(temperature=3.0, ood=MahalanobisScore.fit(make_scores(0, 60), 3))
    rule = make_rule(DecisionSettings(ood_rate=0.1), CLASSES, nothing, make_scores(1, 300), before)
    assert rule.temperature == 3.0 and rule.ood is before.ood and math.isfinite(rule.ood_limit)
    few = make_scores(1, 300)
    two = Scores(few.logits[:4], few.features[:4], few.labels[:4], few.usable[:4])
    caplog.set_level(logging.WARNING)
    rule = make_rule(DecisionSettings(ood_rate=0.25), CLASSES, two, few)
    assert "decision.ood_rate=0.25 is left out: a class has fewer than 2 validation images" in caplog.messages
    assert rule.ood is None
    caplog.clear()
    assert make_rule(DecisionSettings(ood_rate=0.0), CLASSES, two, few).ood is None and not caplog.messages
    rule = make_rule(DecisionSettings(ood_rate=0.01, ambiguous_rate=0.02), CLASSES, few, two)
    assert [message.partition(" is")[0] for message in caplog.messages] == [
        "decision.ood_rate=0.01",
        "decision.ambiguous_rate=0.02",
    ]
    assert rule.margin == 0 and not math.isfinite(rule.ood_limit)


@pytest.mark.parametrize(
    ("classes", "defects", "words"),
    [
        (("good", "unsure"), 1000, "rule: a class is named unsure, as the decision is; give it another name"),
        (("gap", "bridge"), 1000, "rule: conservative needs a class named good, the first; found gap, bridge"),
        (("good", "gap"), 0, "that takes 299 of them (data.calibration_per_class or data.shares)"),
        (("good", "gap"), 100, "or max_escape=0.03 or more"),
    ],
)
def test_a_bound_that_cannot_be_is_refused(classes: tuple[str, ...], defects: int, words: str) -> None:
    with pytest.raises(SettingError) as refused:
        DecisionSettings("conservative").check(classes, defects)
    assert str(refused.value).endswith(words)


def test_only_cells_that_are_known_count_in_the_mask_loss() -> None:
    logits = torch.randn(2, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    mask = torch.full((2, 8, 8), MASK_UNKNOWN, dtype=torch.uint8)
    mask[0, :4, :4] = 0
    mask[0, 1, 1] = 1
    found = mask_loss((logits,), torch.tensor([2, 1]), mask)
    expected = F.cross_entropy(logits[:1, :, 0, 0], torch.tensor([2]))
    assert float(found) == pytest.approx(float(expected))
    assert found.device == logits.device
