"""Intervals against published and exact values; the rule in words."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from sem_lightning.decision.explanation import explain_rule
from sem_lightning.decision.intervals import clopper_pearson_upper, f1_interval, mean_rate_interval, wilson_interval
from sem_lightning.decision.out_of_distribution import MahalanobisScore
from sem_lightning.decision.rule import RiskBound, Rule

Z = 1.959963984540054


def test_wilson_at_both_ends() -> None:
    for trials in (1, 20, 1000):
        end = Z**2 / (trials + Z**2)  # what is left of Wilson's formula where none or all succeed
        assert wilson_interval(0, trials) == pytest.approx((0, end), abs=1e-12)
        assert wilson_interval(trials, trials) == pytest.approx((1 - end, 1), abs=1e-12)
    assert wilson_interval(0, 0) == (0.0, 1.0)


@given(trials=st.integers(1, 2000), data=st.data())
def test_wilson_is_where_the_score_test_turns(trials: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(0, trials))
    for end in wilson_interval(successes, trials):
        if 1e-9 < end < 1 - 1e-9:
            deviation = (successes / trials - end) / math.sqrt(end * (1 - end) / trials)
            assert abs(deviation) == pytest.approx(Z, rel=1e-6)


def test_clopper_pearson_against_exact_values() -> None:
    assert clopper_pearson_upper(0, 299, 0.95) == pytest.approx(1 - 0.05 ** (1 / 299))  # the rule of three, exactly
    assert clopper_pearson_upper(0, 1, 0.95) == pytest.approx(0.95)
    assert clopper_pearson_upper(0, 0, 0.95) == 1.0 and clopper_pearson_upper(7, 7, 0.95) == 1.0
    for events, trials in ((1, 20), (10, 100), (999, 1000)):
        bound = clopper_pearson_upper(events, trials, 0.95)
        assert events / trials < bound < 1
        assert binom.cdf(events, trials, bound) == pytest.approx(0.05)  # as few are seen in 5 % of such samples


def test_f1_follows_from_the_share_that_is_right() -> None:
    assert f1_interval(0, 0) == (0.0, 1.0)
    for hits, involved in ((0, 10), (10, 10), (3, 8)):
        low, high = wilson_interval(hits, involved)
        assert f1_interval(hits, involved) == pytest.approx((2 * low / (1 + low), 2 * high / (1 + high)))
    assert f1_interval(0, 10)[0] == 0 and f1_interval(10, 10)[1] == 1


def test_balanced_accuracy_varies_as_the_mean_of_two_rates_does() -> None:
    half = Z * math.sqrt(0.8 * 0.2 / 10_000 + 0.6 * 0.4 / 5_000) / 2
    found = mean_rate_interval([(8_000, 10_000), (3_000, 5_000)])
    assert found == pytest.approx((0.7 - half, 0.7 + half), abs=half / 50)
    assert mean_rate_interval([(3, 10), (0, 0)]) == (0.0, 1.0)
    assert mean_rate_interval([(9, 9), (4, 4)])[1] == 1.0 and mean_rate_interval([(0, 9), (0, 4)])[0] == 0.0


def test_the_interval_of_balanced_accuracy_holds_it_as_often_as_it_says() -> None:
    trials, rates = (40, 20), (0.85, 0.6)
    found = 0.0
    for counts in itertools.product(*(range(number + 1) for number in trials)):
        low, high = mean_rate_interval(list(zip(counts, trials, strict=True)))
        if low <= sum(rates) / 2 <= high:
            found += math.prod(binom.pmf(counts, trials, rates))
    assert 0.94 < found < 0.97
    assert mean_rate_interval([(30, 30), (30, 30)])[0] < 0.93


def test_a_rule_in_words() -> None:
    assert explain_rule(Rule()) == "rule: argmax, temperature 1.000\nunsure: never"
    bound = RiskBound(0.01, 0.95, defects=800, escapes=3, good=400, overkill=4)
    ood = MahalanobisScore(np.zeros((3, 2)), np.eye(2))
    strict = Rule("conservative", 1.5, 2.25, 0.1, ood, 30.0, bound)
    low, high = wilson_interval(4, 400)
    assert explain_rule(strict).splitlines() == [
        "rule: conservative, temperature 1.500",
        f"passes as good with P(good) above {1 / (1 + math.exp(-2.25)):.6g}",
        f"escape at most 0.01 with confidence 0.95 (bound {clopper_pearson_upper(3, 800, 0.95):.5f}: "
        "3 of 800 defective calibration images pass)",
        f"overkill 4 of 400 good ones: 0.0100 [{low:.4f}, {high:.4f}]",
        "unsure: out-of-distribution score above 30.0 or closer than 0.10 in log odds to another decision",
    ]
    none_good = Rule("conservative", 1.0, 0.0, risk_bound=RiskBound(0.01, 0.95, 800, 3, good=0, overkill=0))
    assert "overkill 0 of 0 good ones: 0.0000 [0.0000, 1.0000]" in explain_rule(none_good)
