"""The decision rule in a checkpoint."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sem_lightning.decision.out_of_distribution import MahalanobisScore
from sem_lightning.decision.scores import Floats, log_odds_good, log_probabilities

RULES = ("argmax", "conservative")
UNSURE = -1  # besides the numbers of the classes
UNSURE_NAME = "unsure"
OUT_OF_DISTRIBUTION, AMBIGUOUS, NOT_A_NUMBER = "out of distribution", "ambiguous", "not a number"


@dataclass(frozen=True)
class RiskBound:
    """The risk bound of a conservative rule and the counts of its calibration.

    Attributes:
        max_escape: Bound on the escape rate, the share of defective images that pass as good.
        confidence: Probability that the bound holds.
        defects: Number of defective calibration images.
        escapes: Number of defective images that pass.
        good: Number of good calibration images.
        overkill: Number of good images that do not pass.
    """

    max_escape: float
    confidence: float
    defects: int
    escapes: int
    good: int
    overkill: int

    def __post_init__(self) -> None:
        """Check the values, because a rule may come from an untrusted file.

        Raises:
            ValueError: Shares outside 0 to 1, or counts that are no whole numbers.
        """
        counts = (self.defects, self.escapes, self.good, self.overkill)
        if not (0 <= self.max_escape <= 1 and 0 <= self.confidence <= 1):
            raise ValueError("the decision rule's risk bound is out of range")
        if not all(isinstance(each, int) and each >= 0 for each in counts):
            raise ValueError("the decision rule's risk bound has counts that are no whole numbers")


@dataclass(frozen=True)
class Verdicts:
    """The decisions of a rule for images.

    Attributes:
        probabilities: Calibrated, [N, C].
        decisions: int64 [N]: a class, or ``UNSURE``.
        ood_scores: Out-of-distribution score of each image, [N]; NaN where the rule has none.
        reasons: Why each decision is ``UNSURE``, [N]; ``None`` for other decisions.
    """

    probabilities: Floats
    decisions: npt.NDArray[np.int64]
    ood_scores: Floats
    reasons: tuple[str | None, ...]

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """The most probable class of each image, independent of the decision."""
        return np.asarray(self.probabilities.argmax(axis=1), np.int64)


@dataclass(frozen=True)
class Rule:
    """Maps the output of a network to a decision.

    Attributes:
        kind: ``argmax`` takes the most probable class. ``conservative`` passes an image as good only if the log odds of
            good exceed ``threshold``, which is at least 0, and else takes the most probable defect.
        temperature: Divisor of the logits that calibrates probabilities (C. Guo et al., ICML 2017).
        threshold: Threshold of the conservative rule.
        margin: An image is ``unsure`` if it is closer than this to another decision, in log odds; 0 for never.
        ood: The out-of-distribution score.
        ood_limit: An image with a higher out-of-distribution score is ``unsure``; infinite for never.
        risk_bound: Risk bound of the conservative rule.
    """

    kind: str = "argmax"
    temperature: float = 1.0
    threshold: float | None = None
    margin: float = 0.0
    ood: MahalanobisScore | None = None
    ood_limit: float = math.inf
    risk_bound: RiskBound | None = None

    def __post_init__(self) -> None:
        """Check the values, because a rule may come from an untrusted file.

        Raises:
            ValueError: Values that are NaN, out of range or contradictory.
        """
        numbers = [self.temperature, self.margin, self.ood_limit, 0.0 if self.threshold is None else self.threshold]
        if self.kind not in RULES or not all(isinstance(number, float | int) for number in numbers):
            raise ValueError("the decision rule is of an unknown kind")
        if not (1e-6 < self.temperature < 1e6 and 0 <= self.margin < math.inf and self.ood_limit > 0):
            raise ValueError("the decision rule's numbers are out of range")
        if (self.threshold is not None) != (self.kind == "conservative") or not -1e-9 <= numbers[-1] < 500:
            raise ValueError("the decision rule's threshold does not fit its kind")

    def decide(self, logits: Floats, features: Floats) -> Verdicts:
        """Apply the rule to logits [N, C] and features [N, D].

        An image is unsure where its numbers are NaN, its out-of-distribution score is above the limit, or it is closer
        to another decision than the margin: ``not a number``, ``out of distribution``, ``ambiguous``.
        """
        log_p = log_probabilities(logits.astype(np.float64), self.temperature)
        decisions = log_p.argmax(axis=1)
        if self.threshold is not None:
            defects = 1 + log_p[:, 1:].argmax(axis=1)
            decisions = np.where(log_odds_good(logits, self.temperature) > self.threshold, 0, defects)
        ood_scores = self.ood_scores(features)
        # NaN features give a NaN score, which counts as out of distribution
        unlike = self.ood is not None and ~(ood_scores <= self.ood_limit)
        broken, close = ~np.isfinite(log_p).all(axis=1), self.log_odds_margin(logits) < self.margin
        causes = np.select([broken, unlike, close], [NOT_A_NUMBER, OUT_OF_DISTRIBUTION, AMBIGUOUS], default="")
        reasons = tuple(str(cause) or None for cause in causes)
        return Verdicts(np.exp(log_p), np.where(causes != "", UNSURE, decisions), ood_scores, reasons)

    def log_odds_margin(self, logits: Floats) -> Floats:
        """Distance of each image from another decision, in log odds: [N].

        Conservative: from the threshold between good and not good. Argmax: between the two most probable classes.
        """
        if self.threshold is not None:
            return np.abs(log_odds_good(logits, self.temperature) - self.threshold)
        two = np.sort(logits, axis=1)[:, -2:] / self.temperature
        gap: Floats = two[:, 1] - two[:, 0]
        return gap

    def ood_scores(self, features: Floats) -> Floats:
        """The out-of-distribution score of each image: [N], NaN where the rule has none."""
        if self.ood is None:
            return np.full(len(features), np.nan)
        return self.ood(features.astype(np.float64))

    @property
    def good_threshold(self) -> float | None:
        """``threshold`` as a probability of good."""
        return None if self.threshold is None else 1 / (1 + math.exp(-self.threshold))

    def describe(self) -> dict[str, Any]:
        """Plain values for a report."""
        return {
            "rule": self.kind,
            "temperature": self.temperature,
            "good_threshold": self.good_threshold,
            "good_log_odds_threshold": self.threshold,
            "margin": self.margin or None,
            "ood_limit": self.ood_limit if math.isfinite(self.ood_limit) else None,
            "risk_bound": None if self.risk_bound is None else dataclasses.asdict(self.risk_bound),
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain values and tensors for a checkpoint."""
        return {
            "kind": self.kind,
            "temperature": self.temperature,
            "threshold": self.threshold,
            "margin": self.margin,
            "ood": None if self.ood is None else self.ood.to_dict(),
            "ood_limit": self.ood_limit,
            "risk_bound": None if self.risk_bound is None else dataclasses.asdict(self.risk_bound),
        }

    @staticmethod
    def from_dict(state: dict[str, Any]) -> "Rule":
        ood, bound = state["ood"], state["risk_bound"]
        return Rule(
            **{
                **state,
                "ood": None if ood is None else MahalanobisScore.from_dict(ood),
                "risk_bound": None if bound is None else RiskBound(**bound),
            }
        )
