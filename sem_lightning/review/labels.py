"""What reviewers have agreed on."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from sem_lightning.decision.rule import UNSURE_NAME
from sem_lightning.review.answers import Box, StoredAnswer
from sem_lightning.review.images import ReviewImage


@dataclass(frozen=True)
class ReviewedImage:
    """An image whose reviewers agree on its class.

    Attributes:
        image: The image.
        label: The class.
        boxes: Those of the last answer that has any.
        reviewers: Who gave the answer.
    """

    image: ReviewImage
    label: str
    boxes: tuple[Box, ...]
    reviewers: tuple[str, ...]


@dataclass(frozen=True)
class Reviewed:
    """The outcome of a review.

    Attributes:
        images: With a class, by name.
        unsure: Number of images with the answer ``unsure``, by all or some of their reviewers.
        disputed: Number of images to which reviewers gave different classes.
        gone: Number of images with an answer whose file has changed or is not there.
    """

    images: list[ReviewedImage]
    unsure: int
    disputed: int
    gone: int

    @property
    def left_out(self) -> str:
        """How many answered images have no class, and why."""
        return f"{self.unsure} unsure, {self.disputed} disputed, {self.gone} of files that are gone or have changed"


def collect_labels(images: Iterable[ReviewImage], answers: Iterable[StoredAnswer]) -> Reviewed:
    """The images on whose class all of their reviewers agree.

    Args:
        images: As they are now, see `list_review_images`.
        answers: Those that count, see `LabelStore.valid_answers`.
    """
    by_content = {(image.name, image.sha256): image for image in images}
    given: dict[tuple[str, str], list[StoredAnswer]] = defaultdict(list)
    for each in answers:
        given[each.answer.image, each.answer.sha256].append(each)
    found, unsure, disputed, gone = [], 0, 0, 0
    for key, said in given.items():
        labels = {each.answer.label for each in said}
        if key not in by_content:
            gone += 1
        elif UNSURE_NAME in labels:
            unsure += 1
        elif len(labels) > 1:
            disputed += 1
        else:
            boxes = next((each.answer.boxes for each in reversed(said) if each.answer.boxes), ())
            reviewers = tuple(sorted({each.answer.reviewer for each in said}))
            found.append(ReviewedImage(by_content[key], labels.pop(), boxes, reviewers))
    return Reviewed(sorted(found, key=lambda each: each.image.name), unsure, disputed, gone)
