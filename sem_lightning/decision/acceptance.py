"""Acceptance sampling: how many images a person has to look at before a share of escapes can be claimed.

A classifier calls ``N`` images good, ``D`` of which are defective, the escapes. A random sample without replacement is
reviewed one image after the other. The claim is ``D / N <= max_rate``. It is made after ``limits[e]`` sampled images
with ``e`` escapes among them, for ``e = 0, 1, 2, ...``: after an escape the sample goes on to the next of the limits.

The limits bound the probability of a false claim over the whole course of the sample, although it is looked at after
each image. With the smallest ``D`` for which it is false, ``floor(max_rate N) + 1``, image ``n + 1`` is an escape
with the probability ``(D - e) / (N - n)``, so that the probability of ``e`` escapes after ``n`` images, without a claim
before, is exact. ``limits[e]`` is the first ``n`` after ``limits[e - 1]`` for which it is within what is left of
``1 - confidence``, half of which is spent on the first limit, a quarter on the second, and so on (error spending:
K. Lan and D. DeMets, Biometrika 70, 659 (1983)). A larger ``D`` makes a false claim rarer.

For a plan with a single look the hypergeometric distribution is enough: `sample_size`, and `hypergeometric_upper` for
the number that follows from a sample of fixed size.

Images that are reviewed whatever the sample is, those with the lowest scores, are a stratum of their own, whose escapes
are then known: the claim on all images becomes one on the rest, with fewer escapes. This takes fewer images where the
scores say where the escapes are; `choose_census` compares. Its choice needs the scores alone, and the claim holds
whatever the scores are worth.
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import hypergeom

from sem_lightning.checks import between, share
from sem_lightning.decision.scores import Floats

MOST_IMAGES = 1_000_000
UNKNOWN, NO_ESCAPE, ESCAPE = -1, 0, 1  # of an image that is called good
CLAIMED, REFUTED, OPEN = "claimed", "refuted", "open"
Verdicts = npt.NDArray[np.int8]
_MOST_LIMITS = 60  # escapes after which only the review of all images tells
_CENSUSES = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5)  # shares of the images that are compared


def hypergeometric_upper(events: int, sample: int, population: int, confidence: float) -> int:
    """One-sided upper bound on the number of events in a finite population, after a sample without replacement.

    It is the largest number with which as few events as this, or fewer, have a probability above ``1 - confidence``;
    for large populations the share tends to `sem_lightning.decision.intervals.clopper_pearson_upper`
    (W. Wang, J. Am. Stat. Assoc. 110, 1514 (2015)).

    Args:
        events: Found in the sample.
        sample: Size of the sample, fixed before.
        population: Size of the population.
        confidence: Of the bound, between 0 and 1.
    """
    low, high = events, population - (sample - events)
    while low < high:  # the probability falls with the number
        middle = (low + high + 1) // 2
        if hypergeom.cdf(events, population, middle, sample) > 1 - confidence:
            low = middle
        else:
            high = middle - 1
    return low


def sample_size(population: int, escapes: int, max_rate: float, confidence: float) -> int | None:
    """The smallest sample, fixed before, in which so many escapes still allow the claim.

    Args:
        population: Number of images called good.
        escapes: Number of escapes that the sample may hold.
        max_rate: Bound of the claim, between 0 and 1.
        confidence: Of the claim, between 0 and 1.

    Returns:
        ``None`` if so many escapes refute the claim.
    """
    allowed = math.floor(max_rate * population + 1e-9)
    if escapes > allowed:
        return None
    low, high = escapes, population
    while low < high:  # with more images as few escapes become less probable
        middle = (low + high) // 2
        if hypergeom.cdf(escapes, population, allowed + 1, middle) <= 1 - confidence:
            high = middle
        else:
            low = middle + 1
    return low


@functools.lru_cache(64)
def claim_limits(population: int, allowed: int, confidence: float) -> tuple[int, ...]:
    """The sizes of the sample after which ``D <= allowed`` is claimed with 0, 1, 2, ... escapes in it.

    Args:
        population: Number of images.
        allowed: Largest number of escapes of the claim, from 0.
        confidence: Of the claim, between 0 and 1.

    Returns:
        Increasing; at most 60, and no more than ``allowed + 1``. Where more escapes are found, all images have to be
        reviewed.
    """
    if allowed >= population:
        return (0,)
    defective, budget = allowed + 1, 0.0
    limits: list[int] = []
    states = np.zeros(min(defective, _MOST_LIMITS) + 1)  # probability of each number of escapes without a claim
    states[0] = 1.0
    escapes = np.arange(len(states))
    for seen in range(population + 1):
        looked_for = len(limits)
        if looked_for == len(states) - 1:
            break
        spent = budget + (1 - confidence) / 2 ** (looked_for + 1)
        if states[looked_for] <= spent and seen >= looked_for:
            limits.append(seen)
            budget, states[looked_for] = spent - states[looked_for], 0.0
        if seen < population:
            moving = states * np.clip((defective - escapes) / (population - seen), 0.0, 1.0)
            states = states - moving
            states[1:] += moving[:-1]
    return tuple(limits)


@dataclass(frozen=True)
class AcceptancePlan:
    """A plan to claim that few of the images called good are defective.

    Attributes:
        population: Number of images called good.
        max_rate: Bound of the claim: share of them that are defective.
        confidence: Of the claim.
        census: Number of images, those with the lowest scores, that are all reviewed first.

    Raises:
        SettingError: Numbers out of range.
    """

    population: int
    max_rate: float
    confidence: float = 0.95
    census: int = 0

    def __post_init__(self) -> None:
        between("population", self.population, 0, MOST_IMAGES, "images")
        share("max_rate", self.max_rate)
        share("confidence", self.confidence)
        between("census", self.census, 0, self.population, "images")

    @property
    def allowed(self) -> int:
        """The largest number of escapes of the claim."""
        return math.floor(self.max_rate * self.population + 1e-9)

    def state(self, census: Verdicts, sample: Verdicts) -> "Acceptance":
        """What may be claimed, and how many more images it takes.

        Args:
            census: ``ESCAPE``, ``NO_ESCAPE`` or ``UNKNOWN`` for each image of the census, int8.
            sample: The same for each of the other images, in their random order. The order must not depend on the
                verdicts; images that were reviewed for another reason count when their turn comes.

        Raises:
            ValueError: Not as many images as in the plan.
        """
        if len(census) != self.census or len(census) + len(sample) != self.population:
            raise ValueError(
                f"found {len(census)} and {len(sample)} images, expected {self.census} of {self.population}"
            )
        escapes = int((census == ESCAPE).sum() + (sample == ESCAPE).sum())
        needed = self._sample_needed(self.allowed - int((census == ESCAPE).sum()), sample)
        more = int((census == UNKNOWN).sum() + (sample[:needed] == UNKNOWN).sum())
        reviewed = int((census != UNKNOWN).sum() + (sample[:needed] != UNKNOWN).sum())
        if escapes > self.allowed:
            return Acceptance(self, REFUTED, escapes, reviewed, 0)
        return Acceptance(self, OPEN if more else CLAIMED, escapes, reviewed, more)

    def _sample_needed(self, allowed: int, sample: Verdicts) -> int:
        """The size of the sample at which the claim is made if no image of unknown verdict is an escape."""
        if allowed < 0:
            return 0
        found = np.concatenate([[0], np.cumsum(sample == ESCAPE)])
        limits = claim_limits(len(sample), allowed, self.confidence)
        return next((limit for escapes, limit in enumerate(limits) if found[limit] <= escapes), len(sample))


@dataclass(frozen=True)
class Acceptance:
    """Where a review stands.

    Attributes:
        plan: The plan.
        verdict: ``claimed``; ``refuted`` if more escapes were found than the claim allows in all images; or ``open``.
        escapes: Escapes found among the images called good, for whatever reason they were reviewed.
        reviewed: Images of the census and the sample that were reviewed.
        more: Images to review until the claim, if no further escape is found.
    """

    plan: AcceptancePlan
    verdict: str
    escapes: int
    reviewed: int
    more: int


def choose_census(risks: Floats, max_rate: float, confidence: float = 0.95) -> int:
    """How many of the images with the highest risk to review whatever the sample is, so that the fewest are expected.

    Args:
        risks: Estimated probability of each image to be an escape, float64 [N]; it only decides how many images are
            reviewed, not whether the claim holds.
        max_rate: Bound of the claim, between 0 and 1.
        confidence: Of the claim, between 0 and 1.

    Returns:
        A number of images, 0 for a random sample of all.
    """
    ordered = np.sort(risks)[::-1]
    total = len(ordered)
    candidates = sorted({round(part * total) for part in _CENSUSES})
    plans = [AcceptancePlan(total, max_rate, confidence, census) for census in candidates]
    costs = [_expected_images(plan, ordered) for plan in plans]
    return candidates[int(np.argmin(costs))]


def _expected_images(plan: AcceptancePlan, ordered: Sequence[float] | Floats) -> int:
    """Images until the claim, if escapes are found at the rate that the risks say."""
    found = round(float(np.sum(ordered[: plan.census])))
    rest, left = plan.population - plan.census, plan.allowed - found
    expected = float(np.sum(ordered[plan.census :]))
    if left < 0:
        return plan.population
    for escapes, limit in enumerate(claim_limits(rest, left, plan.confidence)):
        if limit * expected <= (escapes + 0.5) * rest:
            return plan.census + limit
    return plan.population
