"""Claims about the share of escapes are false no more often than they say, at every number of escapes."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom

from sem_lightning.decision.acceptance import (
    ESCAPE,
    NO_ESCAPE,
    UNKNOWN,
    Acceptance,
    AcceptancePlan,
    Verdicts,
    choose_census,
    claim_limits,
    hypergeometric_upper,
    sample_size,
)
from sem_lightning.decision.intervals import clopper_pearson_upper
from sem_lightning.errors import SettingError


def share_of_claims(population: int, defective: int, limits: tuple[int, ...], courses: int, seed: int) -> float:
    """How often a random order of the images leads to a claim."""
    rng = np.random.default_rng(seed)
    orders = np.zeros((courses, population), bool)
    for row in orders:
        row[rng.choice(population, defective, replace=False)] = True
    found = np.concatenate([np.zeros((courses, 1), np.int64), np.cumsum(orders, axis=1)], axis=1)
    claims = np.stack([found[:, limit] <= escapes for escapes, limit in enumerate(limits)])
    return float(claims.any(axis=0).mean())


@pytest.mark.parametrize(("population", "max_rate"), [(60, 0.05), (400, 0.01), (400, 0.05), (1500, 0.02)])
def test_a_claim_is_false_as_rarely_as_it_says(population: int, max_rate: float) -> None:
    plan = AcceptancePlan(population, max_rate)
    limits = claim_limits(population, plan.allowed, plan.confidence)
    courses = 4000
    for defective in (plan.allowed + 1, plan.allowed + 2, 2 * plan.allowed + 2):
        wrong = share_of_claims(population, defective, limits, courses, seed=defective)
        assert wrong <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / courses)
    # the error is used up, so that no images are asked for in vain
    if plan.allowed >= 4:
        assert share_of_claims(population, plan.allowed + 1, limits, courses, seed=1) > 0.03
    # and images that are all right are always claimed to be
    assert share_of_claims(population, 0, limits, 10, seed=2) == 1.0


def test_looking_after_each_image_needs_more_than_a_single_look() -> None:
    """Single looks at every number of escapes would be wrong more often than 5 %."""
    population, rate = 1000, 0.05
    naive = tuple(size for e in range(12) if (size := sample_size(population, e, rate, 0.95)) is not None)
    assert share_of_claims(population, 51, naive, 4000, seed=0) > 0.08
    assert all(ours >= single for ours, single in zip(claim_limits(population, 50, 0.95), naive, strict=False))


def reviewed_to_the_end(plan: AcceptancePlan, escapes: Verdicts, rng: np.random.Generator) -> Acceptance:
    """Where a review ends; the images of the census come first."""
    verdicts, census = escapes.copy(), plan.census
    verdicts[census:] = rng.permutation(verdicts[census:])
    known = np.full(plan.population, UNKNOWN, np.int8)
    while (state := plan.state(known[:census], known[census:])).verdict == "open":
        unknown = np.flatnonzero(known == UNKNOWN)[: state.more]
        known[unknown] = verdicts[unknown]
    return state


def test_strata_need_fewer_images_where_the_scores_know_the_escapes() -> None:
    """30 escapes among the 60 images with the lowest scores, and 3 elsewhere; 2 % of 2000 are allowed."""
    rng = np.random.default_rng(0)
    risks = np.full(2000, 3 / 1940)
    risks[:60] = 0.5
    census = choose_census(risks, 0.02)
    assert census >= 40
    reviewed = {}
    for plan in (AcceptancePlan(2000, 0.02), AcceptancePlan(2000, 0.02, census=census)):
        ends = []
        for _ in range(30):
            escapes = np.zeros(2000, np.int8)
            escapes[rng.choice(60, 30, replace=False)] = 1
            escapes[60 + rng.choice(1940, 3, replace=False)] = 1
            ends.append(reviewed_to_the_end(plan, escapes, rng))
        assert {end.verdict for end in ends} == {"claimed"}
        reviewed[plan.census] = np.mean([end.reviewed for end in ends])
    assert reviewed[census] < 0.75 * reviewed[0], reviewed


def test_a_census_and_a_sample_together_are_false_as_rarely() -> None:
    population, census, rate = 500, 50, 0.03
    plan = AcceptancePlan(population, rate, census=census)
    rng = np.random.default_rng(0)
    wrong = 0
    for _ in range(600):
        escapes = np.zeros(population, bool)  # the first ones have the lowest scores
        escapes[rng.choice(census, 8, replace=False)] = True
        escapes[census + rng.choice(population - census, plan.allowed + 1 - 8, replace=False)] = True
        state = reviewed_to_the_end(plan, escapes.astype(np.int8), rng)
        wrong += state.verdict == "claimed"
    assert wrong / 600 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 600)


@settings(deadline=None, max_examples=60)
@given(population=st.integers(1, 300), escapes=st.integers(0, 5), rate=st.floats(0.005, 0.5))
def test_the_sample_is_the_smallest_that_allows_the_claim(population: int, escapes: int, rate: float) -> None:
    size = sample_size(population, escapes, rate, 0.95)
    allowed = int(np.floor(rate * population + 1e-9))
    if size is None:
        assert escapes > allowed
        return
    assert hypergeom.cdf(escapes, population, allowed + 1, size) <= 0.05 + 1e-12
    assert size == escapes or hypergeom.cdf(escapes, population, allowed + 1, size - 1) > 0.05
    assert hypergeometric_upper(escapes, size, population, 0.95) <= allowed


def test_large_populations_are_those_of_clopper_and_pearson() -> None:
    for events, sample in ((0, 59), (3, 400), (10, 100)):
        exact = hypergeometric_upper(events, sample, 1_000_000, 0.95) / 1_000_000
        assert exact == pytest.approx(clopper_pearson_upper(events, sample, 0.95), rel=2e-3)
    assert sample_size(1_000_000, 0, 0.05, 0.95) == 59 and sample_size(1_000_000, 0, 0.01, 0.95) == 298
    assert hypergeometric_upper(2, 100, 100, 0.95) == 2  # all are known
    assert sample_size(100, 0, 0.001, 0.95) == 95  # none of 100 may be an escape: all but what 5 % may miss


@settings(deadline=None, max_examples=40)
@given(sample=st.integers(1, 80), population=st.integers(80, 200), defective=st.integers(0, 80), seed=st.integers(0, 9))
def test_the_upper_bound_covers(sample: int, population: int, defective: int, seed: int) -> None:
    events = np.arange(min(sample, defective) + 1)
    chance = hypergeom.pmf(events, population, defective, sample)
    covered = [hypergeometric_upper(int(each), sample, population, 0.95) >= defective for each in events]
    assert chance[~np.array(covered)].sum() <= 0.05 + 1e-9


def verdicts(total: int, reviewed: int, *escapes: int) -> Verdicts:
    found = np.full(total, UNKNOWN, np.int8)
    found[:reviewed] = NO_ESCAPE
    found[list(escapes)] = ESCAPE
    return found


NONE = verdicts(0, 0)


def test_the_course_of_a_review() -> None:
    plan = AcceptancePlan(2000, 0.02)
    first, second, third, *_ = claim_limits(2000, 40, 0.95)
    assert 150 < first < 200 < second < 300
    assert plan.state(NONE, verdicts(2000, 0)).more == first
    state = plan.state(NONE, verdicts(2000, first - 1))
    assert (state.more, state.verdict, state.reviewed) == (1, "open", first - 1)
    assert plan.state(NONE, verdicts(2000, first)).verdict == "claimed"
    assert plan.state(NONE, verdicts(2000, first, 3)).more == second - first
    # an escape that was found for another reason counts when its turn comes
    assert plan.state(NONE, verdicts(2000, first - 1, second)).more == 1
    assert plan.state(NONE, verdicts(2000, 5, first - 1)).more == second - 6
    assert plan.state(NONE, verdicts(2000, 5, first - 1, second - 1)).more == third - 7
    assert plan.state(NONE, verdicts(2000, 500, *range(41))).verdict == "refuted"
    # a claim stays, whatever is found behind it
    assert plan.state(NONE, verdicts(2000, first, 1990)).verdict == "claimed"
    with_census = AcceptancePlan(2000, 0.02, census=100)
    assert with_census.state(verdicts(100, 40), verdicts(1900, 0)).more == 60 + claim_limits(1900, 40, 0.95)[0]
    five = verdicts(100, 100, *range(5))
    assert with_census.state(five, verdicts(1900, 0)).more == claim_limits(1900, 35, 0.95)[0]
    assert AcceptancePlan(0, 0.02).state(NONE, NONE).verdict == "claimed"  # none of no images
    few = AcceptancePlan(10, 0.001)
    assert few.state(NONE, verdicts(10, 0)).more == 10 and few.state(NONE, verdicts(10, 10)).verdict == "claimed"
    with pytest.raises(ValueError, match="found 1 and 9 images, expected 0 of 10"):
        few.state(verdicts(1, 0), verdicts(9, 0))


@pytest.mark.parametrize(
    ("key", "values"),
    [("population", (-1, 0.1)), ("max_rate", (5, 0.0)), ("max_rate", (5, 1.0)), ("confidence", (5, 0.1, 1.0)),
     ("census", (5, 0.1, 0.9, 6))],
)  # fmt: skip
def test_numbers_out_of_range_are_named(key: str, values: tuple[float, ...]) -> None:
    with pytest.raises(SettingError, match=f"^{key}: found"):
        AcceptancePlan(*values)  # type: ignore[arg-type]


def test_a_census_is_chosen_where_the_scores_know_the_escapes() -> None:
    known = np.full(2000, 1e-4)
    known[:30] = 0.9
    assert choose_census(known, 0.02) in (20, 40)
    assert choose_census(np.full(2000, 0.005), 0.02) == 0  # the scores say nothing
    assert choose_census(np.full(2000, 1e-6), 0.02) == 0  # no escapes are expected
    assert choose_census(np.empty(0), 0.02) == 0


def test_the_figures_of_the_page_on_reviewing() -> None:
    """docs/how-to/review.md"""
    assert sample_size(3400, escapes=0, max_rate=0.01, confidence=0.95) == 278
    assert claim_limits(3400, allowed=34, confidence=0.95)[:3] == (339, 517, 694)
    assert hypergeometric_upper(2, sample=300, population=3400, confidence=0.95) == 68


def test_many_images_take_little_time() -> None:
    begun = time.perf_counter()
    claim_limits.cache_clear()
    assert len(claim_limits(50_000, 500, 0.95)) == 60
    assert time.perf_counter() - begun < 5
