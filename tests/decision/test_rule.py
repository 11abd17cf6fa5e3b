"""Rules: probabilities that mean what they say, who is unsure, and what a checkpoint carries."""

import logging
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import make_classifier
from conftest import save_checkpoint as save_classifier
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sem_lightning.decision.calibration import fit_temperature, make_rule
from sem_lightning.decision.decision_settings import DecisionSettings
from sem_lightning.decision.out_of_distribution import MahalanobisScore
from sem_lightning.decision.rule import UNSURE, RiskBound, Rule
from sem_lightning.decision.scores import Scores, log_odds_good, log_probabilities
from sem_lightning.errors import SettingError, UserError
from sem_lightning.model.checkpoint import load_model, save_rule

CLASSES = ["good", "gap", "bridge"]


def make_scores(count: int, seed: int, separation: float = 3.0, scale: float = 1.0) -> Scores:
    """Gaussian features around a mean for each class, whose exact log-probabilities times ``scale`` are the logits."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, count)
    means = separation * np.eye(3)
    features = rng.normal(size=(count, 3)) + means[labels]
    logits = -0.5 * ((features[:, None, :] - means) ** 2).sum(axis=2)
    return Scores(logits * scale, features, labels, labels >= 0)


def argmax_settings(**changes: Any) -> DecisionSettings:
    return replace(DecisionSettings("argmax", 0.01, 0.95, ood_rate=0.0, ambiguous_rate=0.0), **changes)


@pytest.mark.parametrize("scale", [0.3, 1.0, 4.0])
def test_the_temperature_undoes_a_scale(scale: float) -> None:
    assert fit_temperature(make_scores(20_000, 0, scale=scale)) == pytest.approx(scale, rel=0.06)


def test_right_answers_alone_do_not_make_certain() -> None:
    scores = make_scores(300, 1, separation=30)
    assert (scores.logits.argmax(axis=1) == scores.labels).all()
    log_p = log_probabilities(scores.logits, fit_temperature(scores))
    assert 0.98 < np.exp(log_p.max(axis=1)).mean() < 0.999


@given(arrays(np.float64, (5, 3), elements=st.floats(-200, 200)), st.floats(0.1, 10))
def test_log_odds_are_those_of_the_probabilities(logits: np.ndarray, temperature: float) -> None:
    p = np.exp(log_probabilities(logits, temperature))
    odds = log_odds_good(logits, temperature)
    assert p.sum(axis=1) == pytest.approx(np.ones(5))
    middle = np.abs(odds) < 20
    assert np.log(p[middle, 0] / (1 - p[middle, 0])) == pytest.approx(odds[middle], abs=1e-4)


def test_the_rejection_rate_is_the_one_asked_for() -> None:
    settings = argmax_settings(ood_rate=0.03, ambiguous_rate=0.05)
    rule = make_rule(settings, CLASSES, make_scores(3000, 0), make_scores(4000, 1))
    later = make_scores(20_000, 2)
    unlike = rule.ood_scores(later.features) > rule.ood_limit
    close = rule.log_odds_margin(later.logits) < rule.margin
    assert unlike.mean() == pytest.approx(0.03, abs=0.01) and close.mean() == pytest.approx(0.05, abs=0.015)
    decisions = rule.decide(later.logits, later.features).decisions
    assert np.array_equal(decisions == UNSURE, unlike | close)
    # those too close to call are the ones where being right was chance
    right = later.logits.argmax(axis=1) == later.labels
    assert right[close].mean() < right.mean() - 0.2


def test_what_is_unlike_training_is_unsure_however_confident() -> None:
    rule = make_rule(argmax_settings(ood_rate=0.01), CLASSES, make_scores(1000, 0), make_scores(1000, 1))
    strange = np.array([[40.0, -10.0, -10.0], [np.nan] * 3])
    assert rule.decide(np.array([[90.0, 0, 0]] * 2), strange).decisions.tolist() == [UNSURE, UNSURE]


def test_a_conservative_rule_passes_only_what_is_good_and_sure_enough() -> None:
    settings = DecisionSettings("conservative", 0.01, 0.95, ood_rate=0.0, ambiguous_rate=0.0)
    rule = make_rule(settings, CLASSES, make_scores(2000, 0), make_scores(5000, 1))
    later = make_scores(20_000, 2)
    verdicts = rule.decide(later.logits, later.features)
    passed = verdicts.decisions == 0
    assert rule.good_threshold is not None
    assert np.array_equal(passed, verdicts.probabilities[:, 0] > rule.good_threshold)
    assert (passed & (later.labels > 0)).sum() / (later.labels > 0).sum() < 0.0115
    assert (passed <= (verdicts.labels == 0)).all()  # stricter than argmax, never laxer
    assert rule.risk_bound is not None and rule.risk_bound.escapes <= 0.01 * rule.risk_bound.defects
    # a promise that is kept anyway does not let more pass than the most probable class does
    lax = make_rule(replace(settings, max_escape=0.5), CLASSES, make_scores(2000, 0), make_scores(5000, 1))
    assert lax.threshold == 0.0


@given(st.integers(0, 3000), st.sampled_from([0.8, 0.95, 0.99, 0.999]))
def test_the_promise_that_is_offered_instead_can_be_made(defects: int, confidence: float) -> None:
    settings = DecisionSettings("conservative", 1e-5, confidence, ood_rate=0.0, ambiguous_rate=0.0)
    with pytest.raises(SettingError) as refused:
        settings.check(CLASSES, defects)
    offered = re.search(r"max_escape=(\S+) or more", str(refused.value))
    assert offered is not None or defects < 3
    if offered is not None:
        replace(settings, max_escape=float(offered[1])).check(CLASSES, defects)


def test_too_few_calibration_images_are_refused_with_the_number_that_would_do() -> None:
    settings = DecisionSettings("conservative", 0.001, 0.95, ood_rate=0.0, ambiguous_rate=0.0)
    with pytest.raises(SettingError, match=r"max_escape: 0.001 cannot .* from \d+ defective .* takes 2995 of them"):
        make_rule(settings, CLASSES, make_scores(50, 0), make_scores(900, 1))
    with pytest.raises(SettingError, match="rule: conservative needs a class named good"):
        settings.check(["left", "right"], 10_000)


def test_too_few_for_unsure_is_said_and_left_out(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        rule = make_rule(argmax_settings(ood_rate=0.01), CLASSES, make_scores(50, 0), make_scores(98, 1))
    assert "decision.ood_rate=0.01 is left out: it takes 99 calibration images, there are 98" in caplog.text
    later = make_scores(500, 2)
    assert (rule.decide(later.logits, later.features).decisions != UNSURE).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rule": "best"}, "rule: found 'best', expected one of argmax, conservative"),
        ({"max_escape": 0.0}, "max_escape: found 0, expected a share between 0 and 1"),
        ({"confidence": 1.0}, "confidence: found 1"),
        ({"ood_rate": 0.7}, "ood_rate: found 0.7, expected a share of the images from 0 to 0.5"),
    ],
)
def test_settings_that_cannot_be(changes: dict[str, float], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        argmax_settings(**changes)


def save_checkpoint(path: Path, **more: object) -> None:
    """A checkpoint with no rule, but with what else is given."""
    torch.manual_seed(0)
    save_classifier(make_classifier(), path)
    state = torch.load(path, weights_only=True)
    del state["decision_rule"]
    torch.save(state | more, path)


def test_a_rule_travels_in_the_checkpoint_without_pickles(tmp_path: Path) -> None:
    path = tmp_path / "best.ckpt"
    save_checkpoint(path)
    assert load_model(path).rule == Rule()  # one without a rule takes the most probable class
    rng = np.random.default_rng(0)
    labels = np.arange(90) % 3
    ood = MahalanobisScore.fit(Scores(rng.normal(size=(90, 3)), rng.normal(size=(90, 192)), labels, labels >= 0), 3)
    rule = Rule("conservative", 1.5, 2.25, 0.1, ood, 30.0, RiskBound(0.01, 0.95, 800, 3, 400, 4))
    save_rule(path, rule, tmp_path / "strict.ckpt")
    found = load_model(tmp_path / "strict.ckpt").rule
    assert replace(found, ood=None) == replace(rule, ood=None)
    assert ood is not None and found.ood is not None
    features = rng.normal(size=(4, 192))
    assert found.ood(features) == pytest.approx(ood(features), rel=1e-4)
    assert load_model(path).rule == Rule()  # the original is left alone


ODD_RULES: list[dict[str, Any]] = [
    {"temperature": "a"},
    {"temperature": 0.0},
    {"temperature": float("nan")},
    {"threshold": 1.0},
    {"kind": "conservative"},
    {"kind": ["argmax"]},
    {"kind": "conservative", "threshold": float("nan")},
    {"kind": "conservative", "threshold": -1000.0},
    {"ood_limit": None},
    {"margin": -1.0},
    {"risk_bound": {"escape": 1}},
    {"ood": {"means": torch.zeros(3, 192), "whitening": torch.zeros(3, 3)}},
    {"ood": {"means": torch.zeros(3, 5), "whitening": torch.zeros(5, 5)}},
    {"ood": {"means": torch.full((3, 192), torch.nan), "whitening": torch.zeros(192, 192)}},
]


@pytest.mark.parametrize("broken", [{}, {"kind": "argmax"}, "argmax", *(Rule().to_dict() | odd for odd in ODD_RULES)])
def test_a_checkpoint_with_another_kind_of_rule_is_refused(tmp_path: Path, broken: object) -> None:
    save_checkpoint(tmp_path / "odd.ckpt", decision_rule=broken)
    with pytest.raises(UserError, match=r"odd.ckpt: written by another version of sem-lightning"):
        load_model(tmp_path / "odd.ckpt")


@pytest.mark.parametrize(
    "settings",
    [
        {"classes": [], "image_size": 64},
        {"classes": [1, 2], "image_size": 64},
        {"classes": "good", "image_size": 64},
        {"classes": ["a", "b"], "image_size": 64, "size": 3},
        {"classes": ["a", "b"]},
        {"classes": ["a", "b"], "image_size": 0},
        {"classes": ["a", "b"], "image_size": "x"},
        {"classes": ["a", "b"], "image_size": 10**9},
        {"classes": ["a", "b"], "image_size": 64, "view_scales": [2, 1]},
        {"classes": ["a", "b"], "image_size": 64, "view_scales": ["1", "2"]},
        {"classes": ["a", "b"], "image_size": 64, "learning_rate": "fast"},
        {"classes": ["a", "b"], "image_size": 64, "network": ["resnet18"]},
    ],
)
def test_a_checkpoint_with_odd_settings_is_refused(tmp_path: Path, settings: dict[str, object]) -> None:
    torch.save({"state_dict": {}, "hyper_parameters": {"settings": settings}}, tmp_path / "odd.ckpt")
    with pytest.raises(
        UserError, match=r"odd\.ckpt: (written by another version|(classes|image_size|view_scales): found)"
    ):
        load_model(tmp_path / "odd.ckpt")
    torch.save({"state_dict": {}, "hyper_parameters": None}, tmp_path / "none.ckpt")
    with pytest.raises(UserError, match=r"none\.ckpt: not a checkpoint of sem-lightning"):
        load_model(tmp_path / "none.ckpt")


def test_an_answer_that_is_no_number_is_never_good() -> None:
    for rule in (Rule(), Rule("conservative", threshold=0.0)):
        assert rule.decide(np.full((1, 3), np.nan), np.zeros((1, 3))).decisions.tolist() == [UNSURE]


def test_features_that_never_vary_count_for_nothing_else() -> None:
    scores = make_scores(100, 0)
    padded = Scores(scores.logits, np.hstack([scores.features, np.zeros((100, 50))]), scores.labels, scores.usable)
    ood = MahalanobisScore.fit(padded, 3)
    assert ood is not None
    distances = ood(padded.features)
    assert np.isfinite(distances).all() and np.median(distances) < 4
    one = Scores(scores.logits[:1], scores.features[:1], scores.labels[:1], scores.usable[:1])
    assert MahalanobisScore.fit(one, 3) is None
