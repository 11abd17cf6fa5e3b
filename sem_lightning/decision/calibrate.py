"""Making a rule from answers to images that training never saw."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize_scalar

from sem_lightning.decision.answers import Answers, Floats, good_log_odds, log_probabilities
from sem_lightning.decision.familiarity import Familiarity
from sem_lightning.decision.guarantee import (
    allowed_escapes,
    defects_needed,
    pass_threshold,
    usual_images_needed,
    usual_limit,
)
from sem_lightning.decision.rule import RULES, UNSURE_NAME, Promise, Rule
from sem_lightning.errors import SettingError
from sem_lightning.synthesis.defects.mix import GOOD

_COLDEST, _HOTTEST = 0.01, 1000.0

log = logging.getLogger(__name__)


@dataclass
class DecisionSettings:
    """How a rule is made (``conf/decision/*.yaml`` document every key)."""

    rule: str
    max_escape: float
    confidence: float
    unlike: float
    too_close: float

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise SettingError("rule", f"found {self.rule!r}, expected one of {', '.join(RULES)}")
        for key in ("max_escape", "confidence"):
            if not 0 < getattr(self, key) < 1:
                raise SettingError(key, f"found {getattr(self, key):g}, expected a share between 0 and 1")
        for key in ("unlike", "too_close"):
            if not 0 <= getattr(self, key) <= 0.5:
                raise SettingError(key, f"found {getattr(self, key):g}, expected a share of the images from 0 to 0.5")

    def check(self, classes: Sequence[str], defects: int) -> None:
        """Refuse a promise that so many defective calibration images cannot carry.

        Raises:
            SettingError: Too few of them, no class ``good``, or a class named as a decision is.
        """
        if UNSURE_NAME in classes:
            raise SettingError("rule", f"a class is named {UNSURE_NAME}, as the decision is; give it another name")
        if self.rule != "conservative":
            return
        if classes[0] != GOOD:
            raise SettingError("rule", f"conservative needs a class named good, the first; found {', '.join(classes)}")
        if allowed_escapes(defects, self.max_escape, self.confidence) is None:
            needed = defects_needed(self.max_escape, self.confidence)
            best = -math.expm1(math.log(1 - self.confidence) / defects) if defects else 1.0
            digit = 10.0 ** (math.floor(math.log10(best)) - 1)
            best = math.ceil(best / digit) * digit  # up, for a little less cannot be promised either
            offer = f", or max_escape={best:.2g} or more" if best < 1 else ""
            raise SettingError(
                "max_escape",
                f"{self.max_escape:g} cannot be promised with confidence {self.confidence:g} from {defects} defective "
                f"calibration images; that takes {needed} of them (data.calibration_per_class or data.shares){offer}",
            )


def make_rule(
    settings: DecisionSettings, classes: Sequence[str], fitting: Answers, calibration: Answers, start: Rule = Rule()
) -> Rule:
    """A rule from answers to two sets of images that training did not learn from.

    Args:
        settings: What is asked for.
        classes: Class names.
        fitting: Images like those of training (its validation split): the temperature and what is familiar come from
            these. Where there are none, both stay those of ``start``.
        calibration: Other images, independent of all before: every threshold comes from these, so that the promises
            about them hold.
        start: A rule to take the rest from.

    Raises:
        SettingError: A promise that the calibration images are too few for.
    """
    defective = calibration.labels > 0
    settings.check(classes, int(defective.sum()))
    rule = Rule(temperature=start.temperature, familiarity=start.familiarity)
    if len(fitting):
        familiarity = Familiarity.fit(fitting, len(classes))
        rule = replace(rule, temperature=fit_temperature(fitting), familiarity=familiarity or start.familiarity)
    if settings.rule == "conservative":
        rule = _make_conservative(rule, settings, calibration)
    if settings.unlike > 0 and rule.familiarity is None:
        log.warning("decision.unlike=%g is left out: a class has fewer than 2 validation images", settings.unlike)
    elif settings.unlike > 0:
        distances = rule.distances(calibration.features) if len(calibration) else np.empty(0)
        limit = _limit("decision.unlike", settings.unlike, distances)
        rule = rule if limit is None else replace(rule, distance=limit)
    if settings.too_close > 0:
        limit = _limit("decision.too_close", settings.too_close, -rule.closeness(calibration.logits))
        rule = rule if limit is None else replace(rule, margin=-limit)
    return rule


def _make_conservative(rule: Rule, settings: DecisionSettings, calibration: Answers) -> Rule:
    defective = calibration.labels > 0
    odds = good_log_odds(calibration.logits, rule.temperature)
    allowed = allowed_escapes(int(defective.sum()), settings.max_escape, settings.confidence)
    assert allowed is not None
    # A promise that is easily kept is no licence: what is more probably defective than good never passes.
    threshold = max(pass_threshold(odds[defective], allowed), 0.0)
    passed = odds > threshold
    promise = Promise(
        settings.max_escape,
        settings.confidence,
        defects=int(defective.sum()),
        escapes=int((passed & defective).sum()),
        good=int((~defective).sum()),
        overkill=int((~passed & ~defective).sum()),
    )
    return replace(rule, kind=settings.rule, threshold=threshold, promise=promise)


def _limit(key: str, share: float, scores: Floats) -> float | None:
    """What a share of the images exceed; ``None``, with a warning, where there are too few to tell."""
    limit = usual_limit(scores, share)
    if limit is None:
        log.warning(
            "%s=%g is left out: it takes %d calibration images, there are %d",
            key,
            share,
            usual_images_needed(share),
            len(scores),
        )
    return limit


def fit_temperature(answers: Answers) -> float:
    """The temperature with the lowest negative log-likelihood (C. Guo et al., ICML 2017).

    Where every answer is right that would be 0, and every answer certain. So each of N truths counts as
    ``(N + 1) / (N + C)`` and each other class as ``1 / (N + C)`` (J. Platt, Advances in Large Margin Classifiers,
    1999): N right answers out of N promise no more than that.
    """
    count, classes = answers.logits.shape
    targets = np.full((count, classes), 1 / (count + classes))
    targets[np.arange(count), answers.labels] = (count + 1) / (count + classes)

    def loss(log_temperature: float) -> float:
        return -float((targets * log_probabilities(answers.logits, math.exp(log_temperature))).sum())

    best = minimize_scalar(loss, bounds=(math.log(_COLDEST), math.log(_HOTTEST)), method="bounded")
    return math.exp(best.x)
