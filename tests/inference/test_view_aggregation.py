"""One answer from several views."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sem_lightning.decision.scores import log_odds_good, log_probabilities
from sem_lightning.inference.view_aggregation import aggregate_views

LOGITS = st.lists(st.floats(-30, 30), min_size=3, max_size=3)


def probabilities(logits: list[list[float]], weights: list[float], knows_good: bool = True) -> list[float]:
    found = aggregate_views(np.array(logits, np.float64), np.array(weights, np.float64), knows_good)
    assert found.dtype == np.float64 and found.shape == (len(logits[0]),)
    assert float(np.exp(found).sum()) == pytest.approx(1)
    return [float(p) for p in np.exp(found)]


@given(views=st.lists(st.tuples(LOGITS, st.sampled_from([0.5, 1.0])), min_size=1, max_size=4), knows_good=st.booleans())
def test_what_is_left_of_good_is_shared_as_on_average(views: list[tuple[list[float], float]], knows_good: bool) -> None:
    logits, weights = [each for each, _ in views], np.array([weight for _, weight in views])
    single = np.exp(log_probabilities(np.array(logits), 1.0))
    mean = weights @ single / weights.sum()
    good = (weights @ single[:, 0] ** (1 / 3) / weights.sum()) ** 3 if knows_good else mean[0]
    expected = [good, *(mean[1:] / mean[1:].sum() * (1 - good))]
    assert probabilities(logits, list(weights), knows_good) == pytest.approx(expected, abs=1e-9)
    # only the shares of the weights count
    assert probabilities(logits, list(3 * weights), knows_good) == pytest.approx(expected, abs=1e-9)


def test_a_defect_that_one_view_sees_outvotes_three_that_see_none() -> None:
    blind, sees = np.log([0.9, 0.06, 0.04]), np.log([0.001, 0.009, 0.99])
    found = probabilities([list(blind)] * 3 + [list(sees)], [1.0] * 4)
    assert max(found) == found[2]
    averaged = probabilities([list(blind)] * 3 + [list(sees)], [1.0] * 4, knows_good=False)
    assert max(averaged) == averaged[0]


def test_the_surest_answers_are_still_told_apart() -> None:
    odds = [
        log_odds_good(aggregate_views(np.array([[high, 0.0, 0.0]] * 2), np.ones(2), True)[None], 1.0)[0]
        for high in (40.0, 41.0)
    ]
    assert odds == pytest.approx([40 - np.log(2), 41 - np.log(2)], rel=1e-6)
    endless = np.array([[300.0, 0.0, 0.0]] * 2)
    assert np.isfinite(aggregate_views(endless, np.ones(2), True)).all()


@pytest.mark.parametrize("high", [710.0, 1000.0, 5000.0])
def test_odds_beyond_what_numbers_hold_stay_numbers_in_order(high: float) -> None:
    """P(not good) is 0 there; what is left is an order: good, without a warning."""
    logits = aggregate_views(np.array([[high, 0.0, 0.0]] * 2), np.ones(2), True)
    usual = aggregate_views(np.array([[30.0, 0.0, 0.0]] * 2), np.ones(2), True)
    assert np.isfinite(logits).all()
    assert log_odds_good(logits[None], 1.0)[0] > log_odds_good(usual[None], 1.0)[0]


def test_a_view_that_is_no_number_makes_none_of_the_whole() -> None:
    for knows_good in (True, False):
        found = aggregate_views(np.array([[1.0, 0.0, 0.0], [np.nan] * 3]), np.ones(2), knows_good)
        assert np.isnan(found).all()
