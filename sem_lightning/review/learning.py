"""A round of a review: the classifier learns from what people said."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from sem_lightning.io.atomic import printable
from sem_lightning.review.exporting import export_review
from sem_lightning.review.labels import Reviewed
from sem_lightning.review.review_settings import ROUNDS
from sem_lightning.training.train import TrainingOutcome, TrainingSettings, train


@dataclass(frozen=True)
class ReviewRound:
    """What a round gave.

    Attributes:
        labels: What was learnt from.
        outcome: Of the training, with its test on the images that were set aside.
        checkpoint: The best one.
    """

    labels: Reviewed
    outcome: TrainingOutcome
    checkpoint: Path

    @property
    def title(self) -> str:
        """The accuracy in a line."""
        return f"accuracy {self.outcome.metrics['test/accuracy']:.4f} of the reviewed images that were set aside"

    def describe(self, images: Path, output: Path) -> str:
        """How many images it was, and the command that goes on with the checkpoint."""
        keys = (f"images={images}", f"output={output}", f"ckpt={self.checkpoint}")
        command = printable(shlex.join(["sem-review", *keys]))
        return f"learnt from {len(self.labels.images)} reviewed images; the next round:\n{command}"


def learn_from_review(images: Path, output: Path, training: TrainingSettings) -> ReviewRound:
    """Export the labels of a review, train on them, and test on those that are set aside.

    Args:
        images: The reviewed folder.
        output: Holds the answers; the training writes into its folder ``rounds/1``, ``rounds/2``, ...
        training: Of a folder, which is ``output``.

    Raises:
        UserError: No answers, or too few images of a class.
    """
    labels, _ = export_review(images, output)
    numbers = [int(each.name) for each in (output / ROUNDS).glob("*") if each.name.isdecimal()]
    folder = output / ROUNDS / str(max(numbers, default=0) + 1)
    outcome = train(training, folder)
    assert outcome is not None  # this is the only process
    return ReviewRound(labels, outcome, folder / "checkpoints" / "best.ckpt")
