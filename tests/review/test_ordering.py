"""Images that are worth a look come first, and no twenty alike follow each other."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sem_lightning.review.judgement import Judgement, entropy, view_disagreement
from sem_lightning.review.ordering import novelty, order_images, uncertainty
from sem_lightning.review.review_settings import ORDERS


def judged(
    *probabilities: float, ood: float | None = 1.0, disagreement: float = 0.0, at: tuple[float, ...] = (0.0, 0.0)
) -> Judgement:
    said = {
        "probabilities": dict(zip(("good", "gap", "bridge"), probabilities, strict=True)),
        "ood_score": ood,
        "disagreement": disagreement,
    }
    return Judgement(said, np.array(at, np.float32), b"")


SURE, TORN = (0.98, 0.01, 0.01), (0.4, 0.35, 0.25)


@settings(max_examples=30, deadline=None)
@given(count=st.integers(0, 40), strategy=st.sampled_from(ORDERS), seed=st.integers(0, 5), known=st.integers(0, 3))
def test_every_image_comes_once(count: int, strategy: str, seed: int, known: int) -> None:
    rng = np.random.default_rng(seed)
    images = [
        judged(*rng.dirichlet(np.ones(3)), ood=float(rng.random()), at=tuple(rng.normal(size=3))) for _ in range(count)
    ]
    before = list(range(min(known, count)))
    order = order_images(strategy, images, seed, before)
    assert sorted(order.tolist()) == list(range(count))
    assert np.array_equal(order, order_images(strategy, images, seed, before))


def test_what_the_classifier_is_torn_about_comes_first() -> None:
    images = [judged(*SURE), judged(*TORN), judged(0.7, 0.2, 0.1), judged(*SURE, disagreement=0.3)]
    assert order_images("uncertainty", images, 0).tolist() == [1, 2, 3, 0]
    found = uncertainty(images)
    assert found.shape == (4,) and 0 <= found.min() <= found.max() <= 1


def test_what_is_unlike_training_comes_first() -> None:
    images = [judged(*SURE, ood=score) for score in (3.0, 90.0, 5.0)]
    assert order_images("novelty", images, 0).tolist() == [1, 2, 0]
    assert novelty([judged(*SURE, ood=None)] * 3).tolist() == [0.5] * 3


def test_random_depends_on_the_seed_alone() -> None:
    images = [judged(*SURE)] * 50
    first, second = (order_images("random", images, seed).tolist() for seed in (0, 1))
    assert first != second and first == order_images("random", images, 0).tolist()


@pytest.mark.parametrize("strategy", ["diversity", "best"])
def test_no_twenty_alike_follow_each_other(strategy: str) -> None:
    """60 copies of the least certain image, and 60 others: the copies do not come first together."""
    rng = np.random.default_rng(0)
    alike = [judged(*TORN, ood=9.0, at=(5.0, *rng.normal(0, 0.01, 3))) for _ in range(60)]
    others = [judged(*rng.dirichlet((9, 1, 1)), ood=1.0, at=tuple(rng.normal(0, 3, 4))) for _ in range(60)]
    order = order_images(strategy, [*alike, *others], 0)
    assert (order[:20] < 60).sum() <= 8
    plain = order_images("uncertainty", [*alike, *others], 0)
    assert (plain[:20] < 60).sum() == 20


def test_diversity_keeps_away_from_what_is_known() -> None:
    corners = [judged(*SURE, at=place) for place in ((0, 0), (0, 10), (10, 0), (0.1, 0), (10, 10.1))]
    assert set(order_images("diversity", corners, 0)[:4].tolist()) in ({0, 1, 2, 4}, {3, 1, 2, 4})
    assert order_images("diversity", corners, 0, known=[4, 1, 2])[0] in (0, 3)


def test_best_mixes_its_kinds() -> None:
    rng = np.random.default_rng(1)
    images = [judged(*SURE, ood=1.0, at=tuple(rng.normal(size=4))) for _ in range(80)]
    images += [judged(*TORN, ood=1.0, at=tuple(rng.normal(size=4))) for _ in range(10)]
    images += [judged(*SURE, ood=50.0, at=tuple(rng.normal(size=4))) for _ in range(10)]
    first = order_images("best", images, 0)[:15]
    torn, novel = ((first >= 80) & (first < 90)).sum(), (first >= 90).sum()
    assert torn >= 6 and novel >= 2 and (first < 80).sum() >= 2


def test_views_that_agree_do_not_disagree() -> None:
    one, other = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    assert view_disagreement([one]) == view_disagreement([one, one]) == 0
    assert view_disagreement([one, other]) == pytest.approx(np.log(2))
    assert entropy(np.array([[0.5, 0.5], [1.0, 0.0]])).tolist() == pytest.approx([np.log(2), 0])


def test_four_thousand_images_are_ordered_in_seconds() -> None:
    rng = np.random.default_rng(2)
    images = [
        judged(*rng.dirichlet(np.ones(3)), ood=float(rng.random()), at=tuple(rng.normal(size=256))) for _ in range(4000)
    ]
    begun = time.perf_counter()
    order_images("best", images, 0)
    assert time.perf_counter() - begun < 15
