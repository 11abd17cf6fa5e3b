"""Aggregates the logits of several views of an image."""

import numpy as np

from sem_lightning.decision.scores import Floats, log_probabilities

_POWER = (
    1 / 3
)  # of the mean of P(good); 1 would be the arithmetic mean, 0 the geometric (docs/explanation/views-and-polarity.md)


def aggregate_views(logits: Floats, weights: Floats, knows_good: bool) -> Floats:
    """Logits of the image, float64 [C], from the logits of its views.

    A small defect is visible only in the largest view; the other views have a high P(good). So P(good) is a power mean
    over the views: one view with a defect outweighs several views without. The other classes share the rest as in the
    arithmetic mean.

    Args:
        logits: float64 [V, C], one row for each view.
        weights: float64 [V], positive.
        knows_good: Whether the first class is good; otherwise all probabilities are averaged equally.
    """
    log_p = log_probabilities(logits, 1.0)
    share = (weights / weights.sum())[:, None]
    mean = _log_sum_exp(log_p + np.log(share))
    if not knows_good:
        return mean
    defect = _log_sum_exp(log_p[:, 1:].T)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        # 1 - P(good) keeps its digits where P(good) rounds to 1; thresholds need the order of these images
        log_good = np.where(defect < -1, np.log1p(-np.exp(defect)), log_p[:, 0])
        lost = float((share[:, 0] * np.expm1(_POWER * log_good)).sum())
        total = float(_log_sum_exp((np.log(share[:, 0]) + _POWER * log_good)[:, None])[0])
    good = (np.log1p(lost) if lost > -0.5 else total) / _POWER
    good = min(good, -float(np.finfo(np.float64).tiny)) if good == good else good
    return np.concatenate([[good], np.log(-np.expm1(good)) + log_probabilities(mean[None, 1:], 1.0)[0]])


def _log_sum_exp(values: Floats) -> Floats:
    """Over the first axis."""
    highest = values.max(axis=0)
    result: Floats = highest + np.log(np.exp(values - highest).sum(axis=0))
    return result
