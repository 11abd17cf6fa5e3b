"""Collects what comparisons say of labelled images, without their pixels."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sem_lightning.decision.rule import UNSURE_NAME
from sem_lightning.inference.prediction import UnreadableImage
from sem_lightning.inspection.inspection import Inspection
from sem_lightning.inspection.labels import Labels, Truth, read_labels
from sem_lightning.inspection.references import InspectionPair


@dataclass(frozen=True)
class Outcome:
    """What the comparison says of a labelled image.

    Attributes:
        truth: Its label and boxes.
        decision: See `Inspection`; ``unsure`` for a file that cannot be read.
        peaks: See `Inspection`.
        network: See `Inspection`.
        found: Number of the boxes on which a place lies.
    """

    truth: Truth
    decision: str
    peaks: tuple[float, ...] | None
    network: str | None
    found: int


class Outcomes:
    """What comparisons say of labelled images, in order; takes results as the writers do.

    Args:
        labels: The labels of images by their paths; ``None`` if no path has one.

    Attributes:
        labelled: An outcome for each image with a label.
        unlabelled: The other images.
    """

    def __init__(self, labels: Labels | None = None) -> None:
        self._labels = labels
        self.labelled: list[Outcome] = []
        self.unlabelled: list[str] = []

    def add(self, inspection: Inspection) -> None:
        """Take the next result."""
        self._take(inspection.path, inspection)

    def add_unusable(self, pair: InspectionPair, reason: str, error: str) -> None:
        """Take the next pair, which could not be compared."""
        self._take(pair.image, None)

    def _take(self, path: Path | None, inspection: Inspection | None) -> None:
        truth = None if self._labels is None or path is None else self._labels.of(path)
        if truth is None:
            self.unlabelled.append("array" if path is None else str(path))
        else:
            self.labelled.append(_outcome_of(inspection, truth))


def label_inspections(
    inspections: Iterable[Inspection | UnreadableImage], labels: str | Path | Sequence[str]
) -> Outcomes:
    """What comparisons say of labelled images, for `evaluate_inspections` and `choose_limits`.

    Args:
        inspections: From `Inspector.stream`, or several of `Inspector.inspect`.
        labels: A table, see `read_labels`; or a word for each inspection: ``good``, or any other for a defect.

    Raises:
        UserError: No such table, or it cannot be used.
        ValueError: Another number of words than of inspections.
    """
    if isinstance(labels, str | Path):
        outcomes = Outcomes(read_labels(labels))
        for each in inspections:
            outcomes._take(each.path, each if isinstance(each, Inspection) else None)
        return outcomes
    outcomes = Outcomes()
    for each, word in zip(inspections, labels, strict=True):
        outcomes.labelled.append(_outcome_of(each if isinstance(each, Inspection) else None, Truth(word)))
    return outcomes


def _outcome_of(inspection: Inspection | None, truth: Truth) -> Outcome:
    if inspection is None:
        return Outcome(truth, UNSURE_NAME, None, None, 0)
    found = sum(any(place.overlaps(box) for place in inspection.places) for box in truth.boxes)
    return Outcome(truth, inspection.decision, inspection.peaks, inspection.network, found)
