"""What is published about a file: from the classifier, or from a comparison with a reference."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sem_lightning.decision.rule import UNSURE_NAME
from sem_lightning.inference.prediction import UnreadableImage
from sem_lightning.inference.writers import describe_prediction
from sem_lightning.inspection.inspection import Inspection
from sem_lightning.inspection.inspector import Inspector
from sem_lightning.inspection.references import InspectionPair
from sem_lightning.inspection.writers import UNREADABLE, describe_inspection

if TYPE_CHECKING:  # a comparison with references starts without torch
    from sem_lightning.inference.predictor import Predictor


@dataclass(frozen=True)
class Verdict:
    """What is said about a file.

    Attributes:
        row: Decision, reason, label, number of places, references.
        details: All of it.
        is_final: Whether it is said of a file that could be read; others may not be whole yet.
    """

    row: tuple[object, ...]
    details: dict[str, Any]
    is_final: bool = True


def refuse(pair: InspectionPair, reason: str, error: str) -> Verdict:
    """The verdict on a file that cannot be judged."""
    details = {"path": str(pair.image), "decision": UNSURE_NAME, "reason": reason, "error": error}
    return Verdict((UNSURE_NAME, reason, "", 0, ""), details, False)


class Classifying:
    """Judges files alone."""

    def __init__(self, predictor: "Predictor") -> None:
        self._predictor = predictor

    def judge(self, pairs: Sequence[InspectionPair]) -> Iterator[Verdict]:
        """One verdict for each file, in their order."""
        for pair, found in zip(pairs, self._predictor.stream([pair.image for pair in pairs]), strict=True):
            if isinstance(found, UnreadableImage):
                yield refuse(pair, UNREADABLE, str(found.error))
            else:
                row = (found.decision, found.reason or "", found.label, len(found.regions), "")
                yield Verdict(row, describe_prediction(found))


class Inspecting:
    """Compares files with references."""

    def __init__(self, inspector: Inspector) -> None:
        self._inspector = inspector

    def judge(self, pairs: Iterable[InspectionPair]) -> Iterator[Verdict]:
        """One verdict for each file, in their order."""
        listed = list(pairs)
        results = self._inspector.stream(pair for pair in listed if pair.fault is None)
        for pair in listed:
            if pair.fault is not None:
                yield refuse(pair, pair.fault, pair.detail)
                continue
            found = next(results)
            if isinstance(found, Inspection):
                label = found.places[0].label if found.places else ""
                row = (found.decision, found.reason or "", label, len(found.places), "; ".join(found.references))
                yield Verdict(row, describe_inspection(found))
            else:
                yield refuse(pair, UNREADABLE, str(found.error))
