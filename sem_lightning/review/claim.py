"""What the answers of reviewers say about the images that the classifier calls good."""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from sem_lightning.decision.acceptance import (
    ESCAPE,
    NO_ESCAPE,
    UNKNOWN,
    Acceptance,
    AcceptancePlan,
    choose_census,
)
from sem_lightning.review.judgement import Judgement
from sem_lightning.review.review_settings import AcceptanceSettings
from sem_lightning.synthesis.defects.mix import GOOD


class GoodClaim:
    """Few of the images called good are defective: which images to review for that, and how far the review is.

    The images with the lowest scores come first where that is expected to take fewer images, the others in a random
    order that no answer changes. Each classifier has an order of its own: one that was trained on the first images of
    an order knows their classes, and its escapes would be among the others.

    Args:
        judgements: Of the images that can be shown, by their numbers.
        settings: The claim.
        seed: Of the random order.
        model: Name of the classifier.
    """

    def __init__(
        self, judgements: Mapping[int, Judgement], settings: AcceptanceSettings, seed: int, model: str
    ) -> None:
        good = [number for number, each in judgements.items() if each.said["decision"] == GOOD]
        risks = np.array([1 - judgements[number].said["probabilities"].get(GOOD, 0.0) for number in good], np.float64)
        census = choose_census(risks, settings.max_rate, settings.confidence)
        riskiest = np.argsort(-risks, kind="stable")
        rest = np.sort(riskiest[census:])
        own = int.from_bytes(hashlib.sha256(model.encode()).digest()[:8], "big")
        order = [*riskiest[:census], *np.random.default_rng([seed, 2, own]).permutation(rest)]
        self.order = [good[place] for place in order]
        self.plan = AcceptancePlan(len(good), settings.max_rate, settings.confidence, census)

    def state(self, answers: Mapping[int, Sequence[str]]) -> Acceptance:
        """How far the review is.

        Args:
            answers: The labels that each reviewed image has; an image is no escape only if all of them are good.
        """
        verdicts = np.full(len(self.order), UNKNOWN, np.int8)
        for place, number in enumerate(self.order):
            if labels := answers.get(number):
                verdicts[place] = NO_ESCAPE if all(label == GOOD for label in labels) else ESCAPE
        return self.plan.state(verdicts[: self.plan.census], verdicts[self.plan.census :])
