"""How far two reviewers agree: Cohen's kappa."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from sem_lightning.review.answers import StoredAnswer


@dataclass(frozen=True)
class Agreement:
    """The agreement of two reviewers on the images that both have answered.

    Attributes:
        reviewers: Both names.
        images: Number of images.
        same: Share of them with the same answer.
        kappa: See `cohens_kappa`; ``None`` where it is not defined.
    """

    reviewers: tuple[str, str]
    images: int
    same: float
    kappa: float | None


def cohens_kappa(first: Sequence[str], second: Sequence[str]) -> float | None:
    """Agreement of two reviewers beyond chance: 1 for the same answers, 0 for what chance gives.

    ``kappa = (p_o - p_e) / (1 - p_e)``, where ``p_o`` is the share of equal answers, and ``p_e`` the sum over the
    labels of the product of both reviewers' shares (J. Cohen, Educational and Psychological Measurement 20, 37 (1960)).

    Args:
        first: One reviewer's answers.
        second: The other's, to the same images.

    Returns:
        ``None`` without images, or where both gave one and the same answer to all of them.
    """
    names, numbers = np.unique([*first, *second], return_inverse=True)
    one, other = numbers[: len(first)], numbers[len(first) :]
    if len(one) != len(other):
        raise ValueError(f"found {len(one)} and {len(other)} answers, expected as many")
    if len(names) < 2:
        return None
    shares = [np.bincount(each, minlength=len(names)) / len(one) for each in (one, other)]
    by_chance = float(shares[0] @ shares[1])
    return (float((one == other).mean()) - by_chance) / (1 - by_chance)


def compare_reviewers(answers: Iterable[StoredAnswer]) -> list[Agreement]:
    """The agreement of every two reviewers who have answered the same images, ``unsure`` being an answer, too.

    Args:
        answers: Those that count, see `LabelStore.valid_answers`.
    """
    labels: dict[str, dict[tuple[str, str], str]] = defaultdict(dict)
    for each in answers:
        labels[each.answer.reviewer][each.answer.image, each.answer.sha256] = each.answer.label
    found = []
    for one, other in combinations(sorted(labels), 2):
        common = sorted(labels[one].keys() & labels[other].keys())
        if common:
            first, second = ([labels[name][image] for image in common] for name in (one, other))
            same = float(np.mean([a == b for a, b in zip(first, second, strict=True)]))
            found.append(Agreement((one, other), len(common), same, cohens_kappa(first, second)))
    return found
