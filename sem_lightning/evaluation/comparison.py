"""Compares two classifiers on the same images."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest

from sem_lightning.evaluation.test_predictions import TestPredictions

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Comparison:
    """One kind of success of two classifiers, image by image.

    Attributes:
        what: The success.
        images: Number of images that both judged.
        first_only: Number of images where only the first succeeds.
        second_only: Number of images where only the second succeeds.
        p: Two-sided probability of a difference at least that large if both were equally good (exact McNemar test,
            Q. McNemar, Psychometrika 12, 153 (1947)).
    """

    what: str
    images: int
    first_only: int
    second_only: int
    p: float

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def compare(first: TestPredictions, second: TestPredictions) -> list[Comparison]:
    """McNemar's test on correct classes, captured defects and good images without overkill."""
    defective = first.labels > 0
    everything = np.ones(len(first.labels), np.bool_)
    kinds: list[tuple[str, Flags, Callable[[TestPredictions], Flags]]] = [
        ("right class", everything, lambda one: one.correct)
    ]
    if first.knows_good:
        kinds.append(("defect captured", defective, lambda one: ~one.passed))
        kinds.append(("good image not called defective", ~defective, lambda one: one.verdicts.decisions <= 0))
    return [_mcnemar(what, succeeds(first)[of], succeeds(second)[of]) for what, of, succeeds in kinds if of.any()]


def _mcnemar(what: str, first: Flags, second: Flags) -> Comparison:
    first_only, second_only = int((first & ~second).sum()), int((~first & second).sum())
    discordant = first_only + second_only
    p = float(binomtest(first_only, discordant, 0.5).pvalue) if discordant else 1.0
    return Comparison(what, len(first), first_only, second_only, p)
