"""A threshold with a risk bound: the escape rate is bounded with confidence, for any classifier.

Let ``n`` defective calibration images have scores (log odds of good) drawn independently from the distribution of later
defective images. An image passes as good only if its score exceeds the ``(k + 1)``-th highest of them. For continuous
scores the escape rate is then distributed as ``Beta(k + 1, n - k)``, and it is no larger with ties (S. S. Wilks,
Ann. Math. Stat. 12, 91 (1941); as a bound on conformal prediction: V. Vovk, ACML 2012, proposition 2a). It exceeds
``max_escape`` with the probability ``BinomCDF(k; n, max_escape)``. The largest ``k`` for which that is at most
``1 - confidence`` depends only on ``n``, not on the scores, so that the bound holds without a correction. The same
``k`` is the largest count whose one-sided Clopper-Pearson bound is within ``max_escape``.

Events of which an image may have several, such as false places, are bounded in the same way, with Poisson's
distribution in place of the binomial one: see `allowed_events`.
"""

import math

import numpy as np
from scipy.stats import binom, poisson

from sem_lightning.decision.scores import Floats


def allowed_escapes(defects: int, max_escape: float, confidence: float) -> int | None:
    """The largest ``k`` that satisfies the risk bound; ``None`` if not even 0 does.

    Args:
        defects: Number of defective calibration images.
        max_escape: Bound on the escape rate, between 0 and 1.
        confidence: Confidence of the bound, between 0 and 1.
    """
    k = int(binom.ppf(1 - confidence, defects, max_escape))
    while k >= 0 and binom.cdf(k, defects, max_escape) > 1 - confidence:
        k -= 1
    return k if k >= 0 else None


def defects_needed(max_escape: float, confidence: float) -> int:
    """The smallest number of defective calibration images for which the risk bound is possible."""
    return math.ceil(math.log(1 - confidence) / math.log1p(-max_escape))


def allowed_events(trials: int, rate: float, confidence: float) -> int | None:
    """The largest number of events in all trials with which at most ``rate`` are to be expected in one.

    It is the largest ``k`` with ``PoissonCDF(k; trials * rate) <= 1 - confidence``, and the largest count whose
    `poisson_upper` is within ``trials * rate``. A limit that ``k`` events of the trials exceed is too low only if no
    more than ``k`` exceed the right one, which has that probability; so it may be chosen on the trials.

    Args:
        trials: Number of trials, from 0.
        rate: Expected number of events in one trial, above 0.
        confidence: Confidence of the bound, between 0 and 1.

    Returns:
        ``None`` if not even 0 events are few enough.
    """
    k = int(poisson.ppf(1 - confidence, trials * rate))
    while k >= 0 and poisson.cdf(k, trials * rate) > 1 - confidence:
        k -= 1
    return k if k >= 0 else None


def trials_needed(rate: float, confidence: float) -> int:
    """The smallest number of trials for which `allowed_events` is not ``None``."""
    return math.ceil(-math.log(1 - confidence) / rate)


def pass_threshold(scores: Floats, allowed: int) -> float:
    """The threshold that exactly ``allowed`` of the defects' scores exceed (fewer with ties)."""
    return float(np.sort(scores)[::-1][allowed])


def conformal_limit(scores: Floats, share: float) -> float | None:
    """The limit that at most ``share`` of images from this distribution exceed, in expectation; ``None`` with too few.

    It is the ``ceil((n + 1)(1 - share))``-th smallest score: split conformal prediction (V. Vovk et al., Algorithmic
    Learning in a Random World, 2005).
    """
    rank = math.ceil((len(scores) + 1) * (1 - share) - 1e-9)
    return float(np.sort(scores)[rank - 1]) if rank <= len(scores) else None


def images_needed(share: float) -> int:
    """The smallest number of images for which `conformal_limit` returns a limit."""
    return math.ceil(1 / share - 1e-9) - 1
