"""Everything that a test leaves behind for a report: answers, truth, decisions and conditions."""

import heapq
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from sem_lightning.decision.answers import Floats
from sem_lightning.decision.rule import UNSURE, UNSURE_NAME, Rule, Verdicts
from sem_lightning.synthesis.defects.mix import GOOD

_RIGHT_SHOWN, _WRONG_SHOWN = 8, 24  # right ones of each class, wrong ones in all


@dataclass(frozen=True)
class Example:
    """One tested image: float32 [H, W] in [0, 1], its true label, the probability of each class, and the decision."""

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
class Tested:
    """A tested classifier's answers, image by image in the order of the data (of several processes: one after another).

    Attributes:
        classes: Class names in label order.
        rule: The rule that decided.
        logits: [N, C].
        labels: The truth, int64 [N].
        verdicts: What the rule said.
        conditions: ``severity``, ``dose`` and ``size``, [N] each, NaN where unknown.
        examples: The most confident mistakes, then some right answers of each class.
        seconds: Time that the test took.
    """

    classes: list[str]
    rule: Rule
    logits: Floats
    labels: npt.NDArray[np.int64]
    verdicts: Verdicts
    conditions: dict[str, Floats]
    examples: list[Example]
    seconds: float

    @property
    def knows_good(self) -> bool:
        """Whether the first class is good, so that capture and escape mean something."""
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

    def decision_names(self) -> list[str]:
        """Of the columns of `decided`."""
        return [*self.classes, UNSURE_NAME]

    def _count(self, said: npt.NDArray[np.int64], columns: int) -> npt.NDArray[np.int64]:
        counts = np.bincount(self.labels * columns + said, minlength=len(self.classes) * columns)
        return counts.reshape(len(self.classes), columns).astype(np.int64)


def join(parts: Sequence[Tested], at_once: bool = False) -> Tested:
    """The tests of several classifiers for the same task on different images, or of several processes, as one.

    The rule is the first one's; logits are scaled so that its temperature serves all.

    Args:
        parts: In the order in which their images shall come.
        at_once: Whether they were made at the same time, in several processes.
    """
    first = parts[0]
    if len(parts) == 1:
        return first
    seconds = [part.seconds for part in parts]
    shown = sorted((example for part in parts for example in part.examples), key=lambda one: -one.probabilities.max())
    examples = [example for example in shown if not example.correct][:_WRONG_SHOWN]
    for label in range(len(first.classes)):
        examples += [example for example in shown if example.correct and example.label == label][:_RIGHT_SHOWN]
    return Tested(
        classes=first.classes,
        rule=first.rule,
        logits=np.concatenate([part.logits * (first.rule.temperature / part.rule.temperature) for part in parts]),
        labels=np.concatenate([part.labels for part in parts]),
        verdicts=_join_verdicts([part.verdicts for part in parts]),
        conditions={name: np.concatenate([part.conditions[name] for part in parts]) for name in first.conditions},
        examples=examples,
        seconds=max(seconds) if at_once else sum(seconds),
    )


def _join_verdicts(parts: Sequence[Verdicts]) -> Verdicts:
    return Verdicts(
        np.concatenate([part.probabilities for part in parts]),
        np.concatenate([part.decisions for part in parts]),
        np.concatenate([part.distances for part in parts]),
    )


@dataclass
class Collector:
    """Gathers the batches of a test; of the images themselves it keeps a few."""

    _batches: list[dict[str, Any]] = field(default_factory=list)
    _right: dict[int, list[Example]] = field(default_factory=lambda: defaultdict(list))
    _wrong: list[tuple[float, int, Example]] = field(default_factory=list)  # a heap, the least confident first
    _seen: int = 0

    def add(
        self,
        rule: Rule,
        logits: Floats,
        features: Floats,
        labels: npt.NDArray[np.int64],
        images: npt.NDArray[np.float32],
        conditions: dict[str, Floats],
    ) -> None:
        """One batch: images float32 [B, H, W], the rest [B, ...]."""
        verdicts = rule.decide(logits, features)
        self._batches.append({"logits": logits, "labels": labels, "verdicts": verdicts, **conditions})
        said = verdicts.labels
        for i, label in enumerate(labels.tolist()):
            self._seen += 1
            confidence = float(verdicts.probabilities[i, said[i]])
            if said[i] == label and len(self._right[label]) >= _RIGHT_SHOWN:
                continue
            if said[i] != label and len(self._wrong) == _WRONG_SHOWN and confidence <= self._wrong[0][0]:
                continue
            example = Example(images[i].copy(), label, verdicts.probabilities[i], int(verdicts.decisions[i]))
            if example.correct:
                self._right[label].append(example)
            elif len(self._wrong) < _WRONG_SHOWN:
                heapq.heappush(self._wrong, (confidence, self._seen, example))
            else:
                heapq.heapreplace(self._wrong, (confidence, self._seen, example))

    def finish(self, classes: list[str], rule: Rule, seconds: float) -> Tested:
        """All of it, in the order it came."""
        known = [name for name in self._batches[0] if name not in ("logits", "labels", "verdicts")]
        wrong = [example for _, _, example in sorted(self._wrong, key=lambda entry: (-entry[0], entry[1]))]
        return Tested(
            classes=classes,
            rule=rule,
            logits=np.concatenate([batch["logits"] for batch in self._batches]),
            labels=np.concatenate([batch["labels"] for batch in self._batches]),
            verdicts=_join_verdicts([batch["verdicts"] for batch in self._batches]),
            conditions={name: np.concatenate([batch[name] for batch in self._batches]) for name in known},
            examples=wrong + [example for label in sorted(self._right) for example in self._right[label]],
            seconds=seconds,
        )
