"""Makes what a test leaves behind, from truth and answers written by hand."""

from collections.abc import Sequence

import numpy as np

from sem_lightning.decision.rule import Rule
from sem_lightning.evaluation.test_predictions import PredictionCollector, TestPredictions

CLASSES = ["good", "gap", "bridge"]


def make_tested(
    labels: Sequence[int],
    logits: np.ndarray,
    rule: Rule = Rule(),
    classes: Sequence[str] = CLASSES,
    conditions: dict[str, np.ndarray] | None = None,
) -> TestPredictions:
    """One batch of black images with these answers."""
    count = len(labels)
    unknown = {name: np.full(count, np.nan) for name in ("severity", "dose", "size")}
    collector = PredictionCollector()
    collector.add(
        rule,
        np.asarray(logits, np.float64),
        np.zeros((count, 2)),
        np.asarray(labels, np.int64),
        np.zeros((count, 8, 8), np.float32),
        unknown | (conditions or {}),
    )
    return collector.finish(list(classes), rule, 2.0)
