"""Bounds on expected numbers of events, and limits that are chosen by them."""

import numpy as np
import pytest
from scipy.stats import poisson

from sem_lightning.decision.intervals import poisson_upper
from sem_lightning.decision.risk_control import allowed_events, trials_needed


def test_the_bound_on_an_expected_number_against_published_values() -> None:
    # 95 % one-sided: F. Garwood, Biometrika 28, 437 (1936), table 1
    for events, bound in ((0, 2.996), (1, 4.744), (2, 6.296), (10, 16.962)):
        assert poisson_upper(events, 0.95) == pytest.approx(bound, abs=1e-3)
        assert poisson.cdf(events, poisson_upper(events, 0.95)) == pytest.approx(0.05)


@pytest.mark.parametrize(("rate", "confidence"), [(0.1, 0.95), (1.0, 0.9), (0.003, 0.99), (100.0, 0.95)])
def test_the_allowed_count_is_the_largest_within_the_bound(rate: float, confidence: float) -> None:
    needed = trials_needed(rate, confidence)
    assert allowed_events(needed - 1, rate, confidence) is None
    for trials in (needed, 2 * needed, 10 * needed + 7):
        allowed = allowed_events(trials, rate, confidence)
        assert allowed is not None
        assert poisson_upper(allowed, confidence) <= trials * rate < poisson_upper(allowed + 1, confidence)


def test_a_limit_chosen_on_the_trials_breaks_the_promise_no_more_often_than_promised() -> None:
    rng, trials, rate = np.random.default_rng(0), 80, 0.1
    allowed = allowed_events(trials, rate, 0.95)
    assert allowed is not None
    broken = 0
    for _ in range(1000):  # one event above the limit L in each trial on average is exp(-L)
        events = np.sort(rng.exponential(size=rng.poisson(trials)))[::-1]
        broken += bool(np.exp(-events[allowed]) > rate)
    assert broken < 1000 * 0.05 + 3 * np.sqrt(1000 * 0.05 * 0.95)
