"""Classifies the defects of a lot: one answer for all images of a defect."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sem_lightning.decision.rule import UNSURE_NAME
from sem_lightning.inference.prediction import Prediction, UnreadableImage
from sem_lightning.inference.predictor import Predictor
from sem_lightning.inference.writers import describe_prediction, prediction_cells
from sem_lightning.inspection.references import NO_REFERENCE
from sem_lightning.io.gray_image import ImagePage
from sem_lightning.io.images import ImageError
from sem_lightning.klarf.document import Defect
from sem_lightning.klarf.image_files import LotImages
from sem_lightning.klarf.read import KlarfFile
from sem_lightning.synthesis.defects.mix import GOOD

NO_IMAGE, UNREADABLE = "no image", "unreadable"
WITHOUT_ANSWER = (NO_IMAGE, NO_REFERENCE, UNREADABLE)  # reasons
ToJudge = TypeVar("ToJudge", bound="DefectToJudge")
Result = TypeVar("Result")


@dataclass(frozen=True)
class DefectToJudge:
    """A defect and its images.

    Attributes:
        defect: The defect.
        pages: Its images; empty if there are none, or one of them cannot be found.
        numbers: Their numbers in the KLARF file.
        fault: Why there is nothing to judge: `NO_IMAGE`, `NO_REFERENCE` or `UNREADABLE`.
        error: What is wrong with a file.
    """

    defect: Defect
    pages: tuple[ImagePage, ...] = ()
    numbers: tuple[int, ...] = ()
    fault: str | None = None
    error: str | None = None


@dataclass(frozen=True)
class JudgedDefect:
    """The answer for a defect.

    Attributes:
        defect: The defect.
        decision: ``None`` without an answer.
        label: The most probable class, or that of the strongest place.
        cells: The cells of the command's own columns.
        details: All results as plain values.
        images: Number of images that were judged.
        image: Number of the deciding image in the KLARF file.
        reason: `NO_IMAGE`, `NO_REFERENCE` or `UNREADABLE` without an answer, else why the decision is ``unsure``.
        error: What is wrong with its images.
    """

    defect: Defect
    decision: str | None = None
    label: str = ""
    cells: Sequence[object] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    images: int = 0
    image: int | None = None
    reason: str | None = None
    error: str | None = None


def find_defects(lot: KlarfFile, images: LotImages) -> list[DefectToJudge]:
    """The defects of a lot with the images to judge."""
    found = []
    for defect in lot.defects:
        try:
            chosen = images.judged(defect.images)
            pages = tuple(images.locate(image) for image in chosen)
            numbers = tuple(image.number for image in chosen)
            found.append(DefectToJudge(defect, pages, numbers, None if pages else NO_IMAGE))
        except ImageError as error:
            found.append(DefectToJudge(defect, fault=UNREADABLE, error=f"{name_defect(defect)}: {error}"))
    return found


def name_defect(defect: Defect) -> str:
    """A defect in a message."""
    return f"wafer {defect.wafer.name or '?'}, defect {defect.id or defect.index}"


def answer_defects(
    defects: Sequence[ToJudge],
    results: Iterator[Result | UnreadableImage],
    answer: Callable[[ToJudge, list[Result]], JudgedDefect],
) -> Iterator[JudgedDefect]:
    """One answer for each defect, in their order.

    A defect of which one image cannot be read has none: that image might be the one that shows it.

    Args:
        defects: The defects.
        results: Of their images, one after the other.
        answer: From a defect and the results of all of its images, of which there is one at least.
    """
    for each in defects:
        found = [next(results) for _ in each.pages]
        usable = [one for one in found if not isinstance(one, UnreadableImage)]
        errors = [str(one.error) for one in found if isinstance(one, UnreadableImage)]
        error = each.error or (f"{name_defect(each.defect)}: {errors[0]}" if errors else None)
        if error or not usable:
            yield JudgedDefect(each.defect, reason=UNREADABLE if error else each.fault, error=error)
        else:
            yield answer(each, usable)


def judge_defects(predictor: Predictor, defects: Sequence[DefectToJudge]) -> Iterator[JudgedDefect]:
    """One answer for each defect, in their order; see `answer_defects` and `choose_deciding`.

    Args:
        predictor: Its polarity is adopted before, see `Predictor.adopt_polarity`.
        defects: See `find_defects`.
    """
    results = predictor.stream([page for each in defects for page in each.pages])
    return answer_defects(defects, results, _answer)


def _answer(judged: DefectToJudge, predictions: list[Prediction]) -> JudgedDefect:
    deciding = choose_deciding(predictions)
    return JudgedDefect(
        judged.defect,
        deciding.decision,
        deciding.label,
        prediction_cells(deciding),
        describe_prediction(deciding),
        len(predictions),
        judged.numbers[predictions.index(deciding)],
        deciding.reason,
    )


def choose_deciding(predictions: Sequence[Prediction]) -> Prediction:
    """The prediction that counts for a defect of several images: the most defective one, as among tiles of an image.

    An image that is decided to be defective comes before one that is unsure, and that before one that is good; among
    those of equal rank, the one with the lowest log odds of good, or without a class good the most confident one.
    """

    def rank(prediction: Prediction) -> tuple[int, float]:
        order = {UNSURE_NAME: 1, GOOD: 2}.get(prediction.decision, 0)
        odds = prediction.log_odds_good
        return order, -prediction.confidence if odds is None else odds

    return min(predictions, key=rank)
