"""Runs the Predictor on labelled images and collects the data for reports and rules."""

import heapq
import time
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from sem_lightning.data.image_metadata import METADATA_NAMES
from sem_lightning.data.labelled_image import LabelledImage
from sem_lightning.decision.rule import UNSURE, UNSURE_NAME, Verdicts
from sem_lightning.decision.scores import Scores
from sem_lightning.errors import UserError
from sem_lightning.evaluation.test_predictions import RIGHT_SHOWN, WRONG_SHOWN, Example, TestPredictions
from sem_lightning.inference.prediction import Prediction, UnreadableImage
from sem_lightning.inference.predictor import Predictor
from sem_lightning.io.gray_image import GrayImage
from sem_lightning.io.images import ImageError, resize_to

_SHOWN_SIDE = 256  # pixels


@dataclass
class PredictionCollector:
    """Collects predictions of labelled images, and a few example images.

    Attributes:
        unreadable: Files that could not be used.
    """

    predictor: Predictor
    unreadable: list[ImageError] = field(default_factory=list)
    _labels: list[int] = field(default_factory=list)
    _predictions: list[tuple[np.ndarray, np.ndarray, bool, np.ndarray, int, float, str | None]] = field(
        default_factory=list
    )
    _metadata: list[dict[str, float]] = field(default_factory=list)
    _right: dict[int, list[Example]] = field(default_factory=lambda: defaultdict(list))
    _wrong: list[tuple[float, int, Example]] = field(default_factory=list)  # a heap with the least confident first
    _seconds: float = 0.0

    def run(self, items: Iterable[LabelledImage | ImageError]) -> "PredictionCollector":
        """Judge all images."""
        started = time.perf_counter()
        classes = self.predictor.classes
        for item, prediction in self._predict(items):
            decision = UNSURE if prediction.decision == UNSURE_NAME else classes.index(prediction.decision)
            probabilities = np.array(list(prediction.probabilities.values()))
            ood_score = np.nan if prediction.ood_score is None else prediction.ood_score
            self._labels.append(item.label)
            scores = (prediction.logits, prediction.features, prediction.is_usable)
            self._predictions.append((*scores, probabilities, decision, ood_score, prediction.reason))
            self._metadata.append(item.metadata)
            self._keep_example(item, probabilities, decision)
        self._seconds += time.perf_counter() - started
        return self

    def _predict(self, items: Iterable[LabelledImage | ImageError]) -> Iterator[tuple[LabelledImage, Prediction]]:
        waiting: deque[LabelledImage] = deque()

        def images() -> Iterator[GrayImage]:
            for item in items:
                if isinstance(item, ImageError):
                    self.unreadable.append(item)
                else:
                    waiting.append(item)
                    yield item.image

        for found in self.predictor.stream(images()):
            item = waiting.popleft()
            if isinstance(found, UnreadableImage):
                self.unreadable.append(found.error)
            else:
                yield item, found

    def _keep_example(self, item: LabelledImage, probabilities: np.ndarray, decision: int) -> None:
        label, said = item.label, int(probabilities.argmax())
        confidence = float(probabilities[said])
        if said == label and len(self._right[label]) >= RIGHT_SHOWN:
            return
        if said != label and len(self._wrong) == WRONG_SHOWN and confidence <= self._wrong[0][0]:
            return
        pixels = item.image.pixels
        scale = min(1.0, _SHOWN_SIDE / max(pixels.shape))
        shape = (max(1, round(pixels.shape[0] * scale)), max(1, round(pixels.shape[1] * scale)))
        example = Example(resize_to(pixels, shape).copy(), label, probabilities, decision)
        if example.correct:
            self._right[label].append(example)
        elif len(self._wrong) < WRONG_SHOWN:
            heapq.heappush(self._wrong, (confidence, len(self._labels), example))
        else:
            heapq.heapreplace(self._wrong, (confidence, len(self._labels), example))

    def refuse_unreadable(self) -> None:
        """Raise an error if files could not be used.

        Raises:
            UserError: There are such files; the message names every one.
        """
        if self.unreadable:
            raise UserError(
                f"{len(self.unreadable)} images cannot be used: {'; '.join(map(str, self.unreadable))}; fix them, or "
                "leave them out with data.on_bad_image=skip"
            )

    def scores(self) -> Scores:
        """Scores for making rules; empty if there were no images."""
        count = len(self.predictor.classes)
        if not self._labels:
            return Scores(np.empty((0, count)), np.empty((0, 1)), np.empty(0, np.int64), np.empty(0, np.bool_))
        logits, features, usable, *_ = zip(*self._predictions, strict=True)
        labels = np.array(self._labels, np.int64)
        return Scores(np.stack(logits), np.stack(features), labels, np.array(usable, np.bool_))

    def test_predictions(self) -> TestPredictions:
        """Predictions for making reports."""
        scores = self.scores()
        *_, probabilities, decisions, ood_scores, reasons = zip(*self._predictions, strict=True)
        wrong = [example for _, _, example in sorted(self._wrong, key=lambda entry: (-entry[0], entry[1]))]
        return TestPredictions(
            classes=self.predictor.classes,
            rule=self.predictor.rule,
            logits=scores.logits,
            labels=scores.labels,
            verdicts=Verdicts(np.stack(probabilities), np.array(decisions, np.int64), np.array(ood_scores), reasons),
            metadata={name: np.array([each.get(name, np.nan) for each in self._metadata]) for name in METADATA_NAMES},
            examples=wrong + [example for label in sorted(self._right) for example in self._right[label]],
            seconds=self._seconds,
        )


def collect_scores(
    predictor: Predictor, items: Iterable[LabelledImage | ImageError], skip_unreadable: bool = False
) -> Scores:
    """Scores of labelled images, for calibration.

    Args:
        predictor: Judges the images.
        items: The images or their errors.
        skip_unreadable: Whether files that cannot be used are skipped.

    Raises:
        UserError: Files that cannot be used.
    """
    collector = PredictionCollector(predictor).run(items)
    if not skip_unreadable:
        collector.refuse_unreadable()
    return collector.scores()
