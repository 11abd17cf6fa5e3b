"""Results of a test for reports: scores, true classes, decisions and image metadata."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from sem_lightning.decision.rule import UNSURE, UNSURE_NAME, Rule, Verdicts
from sem_lightning.decision.scores import Floats
from sem_lightning.synthesis.defects.mix import GOOD

RIGHT_SHOWN, WRONG_SHOWN = 8, 24  # correct examples of each class, wrong examples in all


@dataclass(frozen=True)
class Example:
    """One tested image.

    Attributes:
        image: float32 [H, W] in [0, 1], at most 256 pixels along a side.
        label: Its true class.
        probabilities: Probability of each class, [C].
        decision: A class, or ``UNSURE``.
    """

    image: npt.NDArray[np.float32]
    label: int
    probabilities: npt.NDArray[np.float64]
    decision: int

    @property
    def predicted(self) -> int:
        return int(self.probabilities.argmax())

    @property
    def correct(self) -> bool:
        return self.predicted == self.label


@dataclass(frozen=True)
class TestPredictions:
    """Predictions of labelled images, in the order of the data (with several processes: process after process).

    Attributes:
        classes: Class names in label order.
        rule: The rule that decided.
        logits: [N, C].
        labels: True classes, int64 [N].
        verdicts: Results of the rule.
        metadata: ``severity``, ``dose`` and ``size``, [N] each; NaN if unknown.
        examples: The most confident mistakes, then some correct predictions of each class.
        seconds: Duration of the test.
    """

    __test__: ClassVar[bool] = False  # not a test of pytest

    classes: list[str]
    rule: Rule
    logits: Floats
    labels: npt.NDArray[np.int64]
    verdicts: Verdicts
    metadata: dict[str, Floats]
    examples: list[Example]
    seconds: float

    @property
    def knows_good(self) -> bool:
        """Whether the first class is good, so that capture and escape are defined."""
        return self.classes[0] == GOOD

    @property
    def correct(self) -> npt.NDArray[np.bool_]:
        """Whether the most probable class is the true one: [N]."""
        return np.asarray(self.verdicts.labels == self.labels, np.bool_)

    @property
    def passed(self) -> npt.NDArray[np.bool_]:
        """Whether the decision is good: [N]."""
        return np.asarray(self.verdicts.decisions == 0, np.bool_)

    def confusion(self) -> npt.NDArray[np.int64]:
        """Counts [C, C]: rows are the truth, columns the most probable class."""
        return self._count(self.verdicts.labels, len(self.classes))

    def decided(self) -> npt.NDArray[np.int64]:
        """Counts [C, C + 1]: rows are the truth, columns the decisions, ``unsure`` the last."""
        decisions = np.where(self.verdicts.decisions == UNSURE, len(self.classes), self.verdicts.decisions)
        return self._count(decisions, len(self.classes) + 1)

    def unsure_because(self) -> dict[str, int]:
        """How many images are unsure for each reason, the most frequent first."""
        return dict(Counter(reason for reason in self.verdicts.reasons if reason is not None).most_common())

    def decision_names(self) -> list[str]:
        """Names of the columns of `decided`."""
        return [*self.classes, UNSURE_NAME]

    def _count(self, said: npt.NDArray[np.int64], columns: int) -> npt.NDArray[np.int64]:
        counts = np.bincount(self.labels * columns + said, minlength=len(self.classes) * columns)
        return counts.reshape(len(self.classes), columns).astype(np.int64)


def join(parts: Sequence[TestPredictions], at_once: bool = False) -> TestPredictions:
    """Join the tests of several folds or several processes.

    The result has the rule of the first part. Logits are scaled to its temperature.

    Args:
        parts: Tests of different images, in the order of the result.
        at_once: Whether they ran at the same time, in several processes.
    """
    first = parts[0]
    if len(parts) == 1:
        return first
    seconds = [part.seconds for part in parts]
    shown = sorted((example for part in parts for example in part.examples), key=lambda one: -one.probabilities.max())
    examples = [example for example in shown if not example.correct][:WRONG_SHOWN]
    for label in range(len(first.classes)):
        examples += [example for example in shown if example.correct and example.label == label][:RIGHT_SHOWN]
    return TestPredictions(
        classes=first.classes,
        rule=first.rule,
        logits=np.concatenate([part.logits * (first.rule.temperature / part.rule.temperature) for part in parts]),
        labels=np.concatenate([part.labels for part in parts]),
        verdicts=_join_verdicts([part.verdicts for part in parts]),
        metadata={name: np.concatenate([part.metadata[name] for part in parts]) for name in first.metadata},
        examples=examples,
        seconds=max(seconds) if at_once else sum(seconds),
    )


def _join_verdicts(parts: Sequence[Verdicts]) -> Verdicts:
    return Verdicts(
        np.concatenate([part.probabilities for part in parts]),
        np.concatenate([part.decisions for part in parts]),
        np.concatenate([part.ood_scores for part in parts]),
        tuple(reason for part in parts for reason in part.reasons),
    )
