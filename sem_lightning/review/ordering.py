"""In which order images are shown: the most worth a look first."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from sem_lightning.decision.scores import Floats
from sem_lightning.review.judgement import Judgement, entropy

_BEST = ("uncertainty", "uncertainty", "novelty", "uncertainty", "random")  # of every five images of ``best``
_DIMENSIONS = 32  # of the features, after a principal component analysis
_MOST_GREEDY = 4000  # images that are chosen one by one; those behind come by their scores

Order = npt.NDArray[np.int64]


def uncertainty(judgements: Sequence[Judgement]) -> Floats:
    """How unsure the classifier is of each image, [N], from 0 to 1: the mean of three ranks.

    The ranks are those of the difference of the two highest probabilities, of their entropy, and of the disagreement of
    the views (B. Settles, Active Learning Literature Survey, 2009, section 3.1 and 3.2).
    """
    probabilities = np.array([list(each.said["probabilities"].values()) for each in judgements], np.float64)
    two = np.sort(probabilities, axis=1)[:, -2:]
    views = np.array([each.said["disagreement"] for each in judgements], np.float64)
    ranks = [_rank(each) for each in (two[:, 0] - two[:, -1], entropy(probabilities), views)]
    mean: Floats = np.mean(ranks, axis=0)
    return mean


def novelty(judgements: Sequence[Judgement]) -> Floats:
    """How unlike the training images each image is, [N], from 0 to 1: the rank of the out-of-distribution score.

    All are 0.5 for a classifier without such a score.
    """
    scores = [each.said["ood_score"] for each in judgements]
    return _rank(np.array([-1.0 if score is None else score for score in scores], np.float64))


def order_images(strategy: str, judgements: Sequence[Judgement], seed: int, known: Sequence[int] = ()) -> Order:
    """The order in which images are shown.

    ``uncertainty`` and ``novelty`` sort by these. ``diversity`` takes the image farthest from those before it, by the
    network's features, again and again (T. Gonzalez, Theoret. Comput. Sci. 38, 293 (1985); for labelling: O. Sener and
    S. Savarese, ICLR 2018). ``random`` is a random order. ``best`` takes three of five images by uncertainty, one by
    novelty and one at random, each of the first two being the one with the largest product of its score and its
    distance from those before it, so that no twenty alike follow each other.

    Args:
        strategy: One of ``sem_lightning.review.review_settings.ORDERS``.
        judgements: Of the images, [N].
        seed: Of random choices.
        known: Places of images that have an answer already; diversity keeps away from them. They stay in the order.

    Returns:
        The places of all images, int64 [N].
    """
    rng = np.random.default_rng([seed, 1])
    shuffled = rng.permutation(len(judgements))
    if strategy == "random" or len(judgements) < 2:
        return shuffled
    if strategy in ("uncertainty", "novelty"):
        scores = (uncertainty if strategy == "uncertainty" else novelty)(judgements)
        return shuffled[np.argsort(-scores[shuffled], kind="stable")]
    points = _reduce(np.stack([each.features for each in judgements]).astype(np.float64))
    if strategy == "diversity":
        return _farthest_first(points, [np.ones(len(points))], known)
    # the floor lets an image with the lowest rank come before a copy of one that was shown
    by_name = {"uncertainty": uncertainty(judgements), "novelty": novelty(judgements)}
    slots = [None if name == "random" else by_name[name] + 1e-3 for name in _BEST]
    return _farthest_first(points, slots, known, shuffled)


def _rank(values: Floats) -> Floats:
    """Ranks from 0 to 1, equal for equal values."""
    ranks: Floats = (rankdata(values) - 0.5) / max(len(values), 1)
    return ranks


def _reduce(features: Floats) -> Floats:
    """Features [N, D] in the directions in which they vary most, [N, 32 or fewer]."""
    centred = features - features.mean(axis=0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    return np.asarray(centred @ vectors[:, -_DIMENSIONS:], np.float64)


def _farthest_first(
    points: Floats, slots: Sequence[Floats | None], known: Sequence[int], shuffled: Order | None = None
) -> Order:
    """Images one by one, each with the largest product of the slot's score and its distance from those before it.

    Args:
        points: [N, D].
        slots: Scores [N], taken in turn; ``None`` takes the next image of ``shuffled``.
        known: Places of images that count as chosen before.
        shuffled: A random order of all.
    """
    distances = np.full(len(points), np.inf)
    for place in known:
        np.minimum(distances, ((points - points[place]) ** 2).sum(axis=1), out=distances)
    if not len(known):  # the first is far from the mean
        distances = (points**2).sum(axis=1)
    left = np.ones(len(points), bool)
    chosen: list[int] = []
    for turn in range(min(len(points), _MOST_GREEDY)):
        scores = slots[turn % len(slots)]
        if scores is None:
            assert shuffled is not None
            place = int(next(each for each in shuffled if left[each]))
        else:
            place = int(np.argmax(np.where(left, scores * np.sqrt(distances), -1.0)))
        chosen.append(place)
        left[place] = False
        if turn == 0 and not len(known):
            distances = np.full(len(points), np.inf)
        np.minimum(distances, ((points - points[place]) ** 2).sum(axis=1), out=distances)
    rest = np.flatnonzero(left)
    scores = next(each for each in slots if each is not None)
    return np.concatenate([np.array(chosen, np.int64), rest[np.argsort(-scores[rest], kind="stable")]])
