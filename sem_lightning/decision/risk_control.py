"""A threshold with a promise: how many defects slip by, bounded with confidence, whatever the classifier is.

Let ``n`` defective calibration images have scores (log odds of good) drawn independently like those of later defective
images. Pass an image as good only if its score is above the ``k + 1`` highest of them. The share of later defects that
then slip by is, for continuous scores, distributed as ``Beta(k + 1, n - k)``, and no larger with ties (S. S. Wilks,
Ann. Math. Stat. 12, 91 (1941); as a bound on conformal prediction: V. Vovk, ACML 2012, proposition 2a). It exceeds
``max_escape`` with the probability ``BinomCDF(k; n, max_escape)``. The largest ``k`` for which that is at most
``1 - confidence`` depends on ``n`` alone, not on the scores, so that nothing is chosen after looking. The same ``k``
is the largest count whose one-sided Clopper-Pearson bound is within ``max_escape``.
"""

import math

import numpy as np
from scipy.stats import binom

from sem_lightning.decision.scores import Floats


def allowed_escapes(defects: int, max_escape: float, confidence: float) -> int | None:
    """The largest ``k`` that keeps the promise with so many defective calibration images; ``None`` if not even 0 does.

    Args:
        defects: Number of defective calibration images.
        max_escape: Promised share, between 0 and 1.
        confidence: Of the promise, between 0 and 1.
    """
    k = int(binom.ppf(1 - confidence, defects, max_escape))
    while k >= 0 and binom.cdf(k, defects, max_escape) > 1 - confidence:
        k -= 1
    return k if k >= 0 else None


def defects_needed(max_escape: float, confidence: float) -> int:
    """The fewest defective calibration images with which the promise can be made at all."""
    return math.ceil(math.log(1 - confidence) / math.log1p(-max_escape))


def pass_threshold(scores: Floats, allowed: int) -> float:
    """The score that an image must exceed to pass, so that ``allowed`` of the defects' scores do."""
    return float(np.sort(scores)[::-1][allowed])


def conformal_limit(scores: Floats, share: float) -> float | None:
    """What at most ``share`` of images like these exceed, in expectation; ``None`` with too few of them.

    The ``ceil((n + 1)(1 - share))``-th smallest: split conformal prediction (V. Vovk et al., Algorithmic Learning in a
    Random World, 2005).
    """
    rank = math.ceil((len(scores) + 1) * (1 - share) - 1e-9)
    return float(np.sort(scores)[rank - 1]) if rank <= len(scores) else None


def images_needed(share: float) -> int:
    """The fewest images with which `conformal_limit` has an answer."""
    return math.ceil(1 / share - 1e-9) - 1
