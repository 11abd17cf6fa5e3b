"""Confidence intervals of rates, of F1 and of expected numbers."""

import math
from collections.abc import Sequence

from scipy.stats import binomtest, chi2


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """95 % interval of a rate (E. B. Wilson, J. Am. Stat. Assoc. 22, 209 (1927)); (0, 1) without trials."""
    if trials == 0:
        return 0.0, 1.0
    interval = binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


def mean_rate_interval(counts: Sequence[tuple[int, int]]) -> tuple[float, float]:
    """95 % interval of the mean of independent rates, as balanced accuracy is; (0, 1) if one is without trials.

    By squares of the distances to each Wilson limit (Newcombe 1998, Statistics in Medicine 17:873-890, method 10, whose
    difference has the same distances as this mean).

    Args:
        counts: Successes and trials of each rate.
    """
    if any(trials == 0 for _, trials in counts):
        return 0.0, 1.0
    rates = [successes / trials for successes, trials in counts]
    limits = [wilson_interval(*each) for each in counts]
    mean = sum(rates) / len(rates)
    below = math.hypot(*(rate - low for rate, (low, _) in zip(rates, limits, strict=True))) / len(rates)
    above = math.hypot(*(high - rate for rate, (_, high) in zip(rates, limits, strict=True))) / len(rates)
    return max(mean - below, 0.0), min(mean + above, 1.0)


def f1_interval(hits: int, involved: int) -> tuple[float, float]:
    """95 % interval of F1.

    ``involved`` counts the images whose true or predicted class is this class. The share J of these with both has a
    Wilson interval, and ``F1 = 2 J / (1 + J)``.
    """
    low, high = wilson_interval(hits, involved)
    return 2 * low / (1 + low), 2 * high / (1 + high)


def clopper_pearson_upper(events: int, trials: int, confidence: float) -> float:
    """One-sided upper bound on a rate (C. Clopper and E. Pearson, Biometrika 26, 404 (1934)); 1 without trials."""
    if trials == 0:
        return 1.0
    return float(binomtest(events, trials, alternative="less").proportion_ci(confidence, method="exact").high)


def poisson_upper(events: int, confidence: float) -> float:
    """One-sided upper bound on an expected number (F. Garwood, Biometrika 28, 437 (1936)); 3.0 for none at 0.95."""
    return float(chi2.ppf(confidence, 2 * (events + 1)) / 2)
