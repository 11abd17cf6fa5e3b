"""The promise about escapes, against theory, simulation, and another library."""

import numpy as np
import pytest
from crepes import ConformalClassifier
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, norm

from sem_lightning.decision.calibration import make_rule
from sem_lightning.decision.decision_settings import DecisionSettings
from sem_lightning.decision.intervals import clopper_pearson_upper
from sem_lightning.decision.risk_control import (
    allowed_escapes,
    conformal_limit,
    defects_needed,
    images_needed,
    pass_threshold,
)
from sem_lightning.decision.scores import Scores


@given(defects=st.integers(1, 3000), max_escape=st.floats(0.001, 0.5), confidence=st.floats(0.5, 0.999))
def test_the_allowed_count_is_the_largest_within_clopper_pearsons_bound(
    defects: int, max_escape: float, confidence: float
) -> None:
    allowed = allowed_escapes(defects, max_escape, confidence)
    slack = 1e-9
    if allowed is None:
        assert clopper_pearson_upper(0, defects, confidence) > max_escape - slack
    else:
        assert clopper_pearson_upper(allowed, defects, confidence) <= max_escape + slack
        assert clopper_pearson_upper(allowed + 1, defects, confidence) > max_escape - slack


def test_how_many_images_a_promise_takes() -> None:
    # (1 - max_escape)^n <= 5 %
    for max_escape, needed in ((0.05, 59), (0.01, 299), (0.001, 2995)):
        assert defects_needed(max_escape, 0.95) == needed
        assert allowed_escapes(needed, max_escape, 0.95) == 0
        assert allowed_escapes(needed - 1, max_escape, 0.95) is None


@pytest.mark.parametrize(("defects", "max_escape"), [(400, 0.01), (1000, 0.05), (100, 0.05)])
def test_200_calibration_sets_break_the_promise_no_more_often_than_promised(defects: int, max_escape: float) -> None:
    rng = np.random.default_rng(7)
    settings = DecisionSettings("conservative", max_escape, 0.95, ood_rate=0.0, ambiguous_rate=0.0)
    broken = 0
    for _ in range(200):
        # log odds of good: defects N(0, 1), good N(4, 1); the escape rate behind a threshold is known exactly
        odds = np.concatenate([rng.normal(0, 1, defects), rng.normal(4, 1, 50)])
        labels = np.concatenate([np.ones(defects, np.int64), np.zeros(50, np.int64)])
        scores = Scores(np.stack([odds, np.zeros_like(odds)], axis=1), np.zeros((len(odds), 2)), labels, labels >= 0)
        rule = make_rule(settings, ["good", "gap"], _nothing(), scores)
        assert rule.threshold is not None
        broken += norm.sf(rule.threshold) > max_escape
    promised = 0.05
    assert broken <= binom.ppf(0.999, 200, promised)
    if defects == 1000:  # with many images the promise is used up, not merely kept
        assert broken >= binom.ppf(0.001, 200, 0.03)


def test_images_that_cannot_be_judged_never_pass_and_count_in_the_bound() -> None:
    """Half of the defects show no pattern: whatever their odds are, they do not raise the threshold."""
    rng = np.random.default_rng(9)
    settings = DecisionSettings("conservative", 0.02, 0.95, ood_rate=0.05, ambiguous_rate=0.0)
    odds = np.concatenate([rng.normal(2, 1, 500), np.full(500, 50.0), rng.normal(6, 1, 50)])
    labels = np.repeat([1, 0], [1000, 50])
    usable = np.repeat([True, False, True], [500, 500, 50])
    logits, features = np.stack([odds, np.zeros_like(odds)], axis=1), rng.normal(size=(1050, 2))
    features[~usable] += 100
    fitting = Scores(logits, features, labels, usable).without_unusable()
    all_of_them = make_rule(settings, ["good", "gap"], fitting, Scores(logits, features, labels, labels >= 0))
    judged = make_rule(settings, ["good", "gap"], fitting, Scores(logits, features, labels, usable))
    assert judged.threshold is not None and all_of_them.threshold is not None and judged.risk_bound is not None
    assert judged.threshold < all_of_them.threshold
    assert judged.risk_bound.defects == 1000  # the bound is on all defective images
    passed = (odds / judged.temperature > judged.threshold) & usable & (labels > 0)
    assert passed.sum() == judged.risk_bound.escapes == allowed_escapes(1000, 0.02, 0.95)
    assert judged.ood_limit < all_of_them.ood_limit  # the share is that of the images that can be judged


def _nothing() -> Scores:
    return Scores(np.empty((0, 2)), np.empty((0, 2)), np.empty(0, np.int64), np.empty(0, np.bool_))


@pytest.mark.parametrize(("defects", "max_escape"), [(299, 0.01), (1000, 0.01), (200, 0.05)])
def test_crepes_passes_the_same_images(defects: int, max_escape: float) -> None:
    rng = np.random.default_rng(3)
    calibration, later = rng.normal(0, 1, defects), rng.normal(0.5, 1.5, 2000)
    allowed = allowed_escapes(defects, max_escape, 0.95)
    assert allowed is not None
    # a conformal p-value of "this is a defect": the share of defects that look at least as good
    conformal = ConformalClassifier()
    conformal.fit(calibration)
    p = conformal.predict_p(later[:, None], smoothing=False)[:, 0]
    passed = p <= (allowed + 1) / (defects + 1) + 1e-12
    passed_by_us = later > pass_threshold(calibration, allowed)
    assert passed.any() and np.array_equal(passed, passed_by_us)


@given(share=st.sampled_from([0.01, 0.02, 0.05, 0.1, 0.5]), extra=st.integers(0, 300), seed=st.integers(0, 100))
def test_a_usual_limit_is_exceeded_by_no_more_than_its_share(share: float, extra: int, seed: int) -> None:
    needed = images_needed(share)
    rng = np.random.default_rng(seed)
    assert conformal_limit(rng.random(needed - 1), share) is None
    scores = rng.random(needed + extra)
    limit = conformal_limit(scores, share)
    assert limit is not None
    # of this image and the next, exchangeable, the share above is at most that: of n + 1 ranks, floor((n + 1) share)
    assert (scores > limit).sum() <= np.floor((len(scores) + 1) * share + 1e-9)
