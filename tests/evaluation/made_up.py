"""Makes what a test leaves behind, from truth and answers written by hand."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from sem_lightning.data.labelled_image import LabelledImage
from sem_lightning.decision.rule import UNSURE, UNSURE_NAME, Rule
from sem_lightning.decision.scores import log_odds_good
from sem_lightning.evaluation.prediction_collector import PredictionCollector
from sem_lightning.evaluation.test_predictions import TestPredictions
from sem_lightning.inference.prediction import Prediction
from sem_lightning.io.gray_image import GrayImage

CLASSES = ["good", "gap", "bridge"]


class WrittenByHand:
    """Stands in for a Predictor: judges the images that come by the logits it was given, in turn."""

    def __init__(self, logits: np.ndarray, rule: Rule, classes: Sequence[str]) -> None:
        self.rule = rule
        self.classes = list(classes)
        self._logits = np.asarray(logits, np.float64)

    def stream(self, images: Iterable[GrayImage]) -> Iterator[Prediction]:
        features = np.zeros((1, 2))
        for logits, image in zip(self._logits[:, None], images, strict=True):
            verdicts = self.rule.decide(logits, features)
            decision = int(verdicts.decisions[0])
            yield Prediction(
                path=None,
                label=self.classes[int(verdicts.labels[0])],
                decision=UNSURE_NAME if decision == UNSURE else self.classes[decision],
                reason=verdicts.reasons[0],
                probabilities=dict(zip(self.classes, verdicts.probabilities[0].tolist(), strict=True)),
                logits=logits[0],
                features=features[0],
                log_odds_good=float(log_odds_good(logits, self.rule.temperature)[0]),
                ood_score=None,
                by_view={},
                shape=image.pixels.shape,
                pixel_size=None,
                data_bar_rows=0,
                inverted=False,
                tiles=1,
                maps=np.zeros((len(self.classes), 1, 1), np.float32),
                seen_shape=image.pixels.shape,
                deciding=(0, 0, *image.pixels.shape),
            )


def make_predictions(
    labels: Iterable[int],
    logits: np.ndarray,
    rule: Rule = Rule(),
    classes: Sequence[str] = CLASSES,
    metadata: dict[str, np.ndarray] | None = None,
) -> TestPredictions:
    """Black images with these answers."""
    image, mask = GrayImage(np.zeros((8, 8), np.float32)), np.zeros((8, 8), np.uint8)
    known = metadata or {}
    items = [
        LabelledImage(image, int(label), mask, {name: float(values[i]) for name, values in known.items()})
        for i, label in enumerate(labels)
    ]
    collector = PredictionCollector(WrittenByHand(logits, rule, classes))  # type: ignore[arg-type]
    return replace(collector.run(items).test_predictions(), seconds=2.0)
