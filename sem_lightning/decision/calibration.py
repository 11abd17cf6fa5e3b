"""Makes a decision rule from the scores of images that were not used in training."""

import logging
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.optimize import minimize_scalar

from sem_lightning.decision.decision_settings import DecisionSettings
from sem_lightning.decision.out_of_distribution import MahalanobisScore
from sem_lightning.decision.risk_control import (
    allowed_escapes,
    conformal_limit,
    images_needed,
    pass_threshold,
)
from sem_lightning.decision.rule import RiskBound, Rule
from sem_lightning.decision.scores import Floats, Scores, log_probabilities

_COLDEST, _HOTTEST = 0.01, 1000.0

log = logging.getLogger(__name__)


def make_rule(
    settings: DecisionSettings, classes: Sequence[str], fitting: Scores, calibration: Scores, start: Rule = Rule()
) -> Rule:
    """A rule from the scores of two sets of images that were not used in training.

    Args:
        settings: The config group ``decision``.
        classes: Class names.
        fitting: Scores of in-distribution images (the validation split). The temperature and the out-of-distribution
            score are fitted to those that can be judged. If there are none, both come from ``start``.
        calibration: Scores of images that are independent of training and ``fitting``. Every threshold comes only from
            these, so that the risk bound holds: it counts defective images that cannot be judged, which never pass.
            The shares of ``ood_rate`` and ``ambiguous_rate`` are those of the images that can be judged.
        start: The rule in the checkpoint.

    Raises:
        SettingError: Too few calibration images for the risk bound.
    """
    defective = calibration.labels > 0
    settings.check(classes, int(defective.sum()))
    rule = Rule(temperature=start.temperature, ood=start.ood)
    fitting, judged = fitting.without_unusable(), calibration.without_unusable()
    if len(fitting):
        ood = MahalanobisScore.fit(fitting, len(classes))
        rule = replace(rule, temperature=fit_temperature(fitting), ood=ood or start.ood)
    if settings.rule == "conservative":
        rule = _make_conservative(rule, settings, calibration)
    if settings.ood_rate > 0 and rule.ood is None:
        log.warning("decision.ood_rate=%g is left out: a class has fewer than 2 validation images", settings.ood_rate)
    elif settings.ood_rate > 0:
        ood_scores = rule.ood_scores(judged.features) if len(judged) else np.empty(0)
        limit = _limit("decision.ood_rate", settings.ood_rate, ood_scores)
        rule = rule if limit is None else replace(rule, ood_limit=limit)
    if settings.ambiguous_rate > 0:
        limit = _limit("decision.ambiguous_rate", settings.ambiguous_rate, -rule.log_odds_margin(judged.logits))
        rule = rule if limit is None else replace(rule, margin=-limit)
    return rule


def _make_conservative(rule: Rule, settings: DecisionSettings, calibration: Scores) -> Rule:
    defective = calibration.labels > 0
    odds = calibration.log_odds_good(rule.temperature)
    allowed = allowed_escapes(int(defective.sum()), settings.max_escape, settings.confidence)
    assert allowed is not None
    # The bound alone would allow a negative threshold. An image that is probably defective must not pass.
    threshold = max(pass_threshold(odds[defective], allowed), 0.0)
    passed = odds > threshold
    risk_bound = RiskBound(
        settings.max_escape,
        settings.confidence,
        defects=int(defective.sum()),
        escapes=int((passed & defective).sum()),
        good=int((~defective).sum()),
        overkill=int((~passed & ~defective).sum()),
    )
    return replace(rule, kind=settings.rule, threshold=threshold, risk_bound=risk_bound)


def _limit(key: str, share: float, scores: Floats) -> float | None:
    """The limit that a share of the images exceed; ``None``, with a warning, if there are too few images."""
    limit = conformal_limit(scores, share)
    if limit is None:
        log.warning(
            "%s=%g is left out: it takes %d calibration images, there are %d",
            key,
            share,
            images_needed(share),
            len(scores),
        )
    return limit


def fit_temperature(scores: Scores) -> float:
    """The temperature with the lowest negative log-likelihood (C. Guo et al., ICML 2017).

    If every prediction is correct, that temperature would be 0 and every probability 1. So the targets are smoothed:
    ``(N + 1) / (N + C)`` for the true class and ``1 / (N + C)`` for each other class (J. Platt, Advances in Large
    Margin Classifiers, 1999).
    """
    count, classes = scores.logits.shape
    targets = np.full((count, classes), 1 / (count + classes))
    targets[np.arange(count), scores.labels] = (count + 1) / (count + classes)

    def loss(log_temperature: float) -> float:
        return -float((targets * log_probabilities(scores.logits, math.exp(log_temperature))).sum())

    best = minimize_scalar(loss, bounds=(math.log(_COLDEST), math.log(_HOTTEST)), method="bounded")
    return math.exp(best.x)
