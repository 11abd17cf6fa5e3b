"""A review at work: which image comes next for whom, and what is known so far."""

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sem_lightning.decision.rule import UNSURE_NAME
from sem_lightning.errors import SettingError
from sem_lightning.review.agreement import compare_reviewers
from sem_lightning.review.answers import Answer, Box, StoredAnswer
from sem_lightning.review.claim import GoodClaim
from sem_lightning.review.images import ReviewImage
from sem_lightning.review.judgement import Judgement
from sem_lightning.review.ordering import order_images
from sem_lightning.review.review_settings import STRATEGIES, ReviewOptions
from sem_lightning.review.store import LabelStore

_LEASE = 120.0  # seconds for which others of the images come before one that another browser has asked for
_IN_ANSWER = ("label", "decision", "reason", "probabilities", "ood_score")  # of what the model said, kept with answers


class ReviewSession:
    """Gives images to reviewers and stores what they say.

    Args:
        images: All of them, see `list_review_images`.
        judgements: By SHA-256, see `judge_images`.
        store: The answers.
        classes: What an image may be, besides ``unsure``.
        model: Name of the classifier.
        options: Order, share of images that two reviewers see, and the claim.

    Attributes:
        identity: The same only for the same images in the same order, classes and classifier.
    """

    def __init__(
        self,
        images: Sequence[ReviewImage],
        judgements: Mapping[str, Judgement | str],
        store: LabelStore,
        classes: Sequence[str],
        model: str,
        options: ReviewOptions,
    ) -> None:
        self.images, self.store, self.classes, self.model, self.options = images, store, list(classes), model, options
        self._errors = {image.number: image.error for image in images if image.error is not None}
        self._judgements: dict[int, Judgement] = {}
        for image in images:
            found = judgements.get(image.sha256)
            if isinstance(found, Judgement):
                self._judgements[image.number] = found
            elif isinstance(found, str):
                self._errors[image.number] = found
        self._claim = GoodClaim(self._judgements, options.acceptance, options.seed, model)
        self._lock = threading.Lock()
        self._leases: dict[int, tuple[str, float]] = {}
        named = [model, *classes, *(f"{image.name}\n{image.sha256}" for image in images)]
        self.identity = hashlib.sha256("\0".join(named).encode("utf-8", "surrogateescape")).hexdigest()
        self._numbers = {(image.name, image.sha256): image.number for image in images}
        self._answers: dict[int, dict[str, StoredAnswer]] = {}
        for each in store.valid_answers():
            self._remember(each)
        self._orders: dict[str, list[int]] = {}
        self.order(options.strategy)

    def order(self, strategy: str) -> list[int]:
        """The numbers of all images in the order of a strategy; those that cannot be shown come last.

        Raises:
            SettingError: No such strategy.
        """
        if strategy not in STRATEGIES:
            raise SettingError("strategy", f"found {strategy[:40]!r}, expected one of {', '.join(STRATEGIES)}")
        if strategy == "acceptance":
            return self._claim.order
        if strategy not in self._orders:
            numbers = list(self._judgements)
            known = [place for place, number in enumerate(numbers) if self._answers.get(number)]
            order = order_images(strategy, [self._judgements[each] for each in numbers], self.options.seed, known)
            self._orders[strategy] = [numbers[place] for place in order] + sorted(self._errors)
        return self._orders[strategy]

    def next_images(
        self, reviewer: str, browser: str, strategy: str, count: int, leave_out: Iterable[int] = ()
    ) -> list[int]:
        """The next images for a reviewer.

        Args:
            reviewer: Who asks. An image that somebody else has answered comes only if two reviewers see it.
            browser: Identifies the browser's tab; two tabs get different images while there are enough.
            strategy: One of ``STRATEGIES``.
            count: Number of images.
            leave_out: Numbers of images that do not come now.
        """
        order, now, skipped = self.order(strategy), time.monotonic(), set(leave_out)
        with self._lock:
            wanted = [n for n in order if n not in skipped and self._is_wanted(n, reviewer, strategy)]
            free = [number for number in wanted if not self._is_held(number, browser, now)]
            # where all are held, by browsers that may be closed, the first one is better than none
            found = free[:count] or wanted[: min(count, 1)]
            self._leases |= dict.fromkeys(found, (browser, now + _LEASE))
        return found

    def add(self, reviewer: str, token: str, said: Sequence[tuple[int, str, Sequence[Box]]]) -> None:
        """Store answers to images; they are on the disk when this returns.

        Args:
            reviewer: Who answers.
            token: See `LabelStore.add`.
            said: Number of the image, label and boxes.

        Raises:
            SettingError: An image or label that is none.
            DatabaseError: They could not be written; none was.
        """
        answers = [self._as_answer(reviewer, *each) for each in said]
        stored = self.store.add(answers, token)
        with self._lock:
            for each in stored:
                self._remember(each)

    def undo(self, reviewer: str, token: str) -> list[int]:
        """Withdraw a reviewer's last answer.

        Returns:
            The images that it was about; those of files that have changed since are left out.
        """
        withdrawn = self.store.withdraw_last(reviewer, token)
        found = []
        for each in withdrawn:
            number = self._numbers.get((each.answer.image, each.answer.sha256))
            if number is None:
                continue
            before = self.store.answer_of(reviewer, each.answer.image, each.answer.sha256)
            with self._lock:
                self._answers[number].pop(reviewer, None)
                if before is not None:
                    self._answers[number][reviewer] = before
            found.append(number)
        return found

    def describe(self, number: int, reviewer: str) -> dict[str, Any]:
        """An image as plain values: name, what the model says, why it cannot be shown, and the reviewer's answer."""
        image, judgement = self.image(number), self._judgements.get(number)
        mine = self._answers.get(number, {}).get(reviewer)
        return {
            "id": number,
            "name": image.name,
            "error": self._errors.get(number),
            "said": None if judgement is None else judgement.said,
            "mine": None
            if mine is None
            else {"label": mine.answer.label, "boxes": [asdict(box) for box in mine.answer.boxes]},
        }

    def image(self, number: int) -> ReviewImage:
        """An image by its number.

        Raises:
            SettingError: There is none.
        """
        if not 0 <= number < len(self.images):
            raise SettingError("id", f"found {number}, expected 0 to {len(self.images) - 1}")
        return self.images[number]

    def judgement(self, number: int) -> Judgement | None:
        """What the classifier says about an image that it could read."""
        return self._judgements.get(self.image(number).number)

    def progress(self, reviewer: str) -> dict[str, Any]:
        """What is known so far, as plain values."""
        with self._lock:
            answers = {number: dict(each) for number, each in self._answers.items() if each}
        labels = {number: [each.answer.label for each in by.values()] for number, by in answers.items()}
        state = self._claim.state(labels)
        agreed = Counter(each[0] if len(set(each)) == 1 else "disputed" for each in labels.values())
        return {
            "images": len(self.images),
            "unreadable": len(self._errors),
            "answered": len(labels),
            "mine": sum(reviewer in by for by in answers.values()),
            "labels": {name: agreed[name] for name in (*self.classes, UNSURE_NAME, "disputed") if agreed[name]},
            "agreement": [
                asdict(each) for each in compare_reviewers(a for by in answers.values() for a in by.values())
            ],
            "acceptance": {
                "verdict": state.verdict,
                "called_good": state.plan.population,
                "max_rate": state.plan.max_rate,
                "confidence": state.plan.confidence,
                "census": state.plan.census,
                "escapes": state.escapes,
                "reviewed": state.reviewed,
                "more": state.more,
            },
        }

    def _remember(self, each: StoredAnswer) -> None:
        number = self._numbers.get((each.answer.image, each.answer.sha256))
        if number is not None:
            self._answers.setdefault(number, {})[each.answer.reviewer] = each

    def _is_held(self, number: int, browser: str, now: float) -> bool:
        """Whether another browser has asked for the image of late."""
        holder, until = self._leases.get(number, (browser, 0.0))
        return holder != browser and until > now and not self._has_two(number)

    def _has_two(self, number: int) -> bool:
        """Whether two reviewers see the image, which follows from its name."""
        digest = hashlib.sha256(f"{self.options.seed} {self.images[number].name}".encode()).digest()
        return int.from_bytes(digest[:4], "big") < self.options.second * 2**32

    def _is_wanted(self, number: int, reviewer: str, strategy: str) -> bool:
        given = self._answers.get(number, {})
        if not given:
            return True
        return reviewer not in given and len(given) < 2 and strategy != "acceptance" and self._has_two(number)

    def _as_answer(self, reviewer: str, number: int, label: str, boxes: Sequence[Box]) -> Answer:
        image = self.image(number)
        if label not in (*self.classes, UNSURE_NAME):
            allowed = ", ".join((*self.classes, UNSURE_NAME))
            raise SettingError("label", f"found {label[:40]!r}, expected one of {allowed}")
        if number in self._errors and label != UNSURE_NAME:
            raise SettingError("label", f"found {label!r} for an image that cannot be shown, expected {UNSURE_NAME}")
        judgement = self._judgements.get(number)
        said = {} if judgement is None else {key: judgement.said[key] for key in _IN_ANSWER}
        if judgement is not None:
            width, height = judgement.said["width"], judgement.said["height"] + judgement.said["data_bar_rows"]
            if any(box.x + box.width > width or box.y + box.height > height for box in boxes):
                raise SettingError("boxes", f"found one outside the image of {width} x {height} pixels")
        return Answer(image.name, image.sha256, reviewer, label, tuple(boxes), self.model, said)
