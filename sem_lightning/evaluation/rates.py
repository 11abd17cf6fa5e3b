"""Rates of decisions: capture, escape, overkill, purity, review."""

from sem_lightning.decision.rate import Rate
from sem_lightning.decision.rule import UNSURE
from sem_lightning.evaluation.test_predictions import TestPredictions


def decision_rates(predictions: TestPredictions) -> list[Rate]:
    """Capture, escape, overkill, purity and review rates of the decisions; empty without a class good."""
    if not predictions.knows_good:
        return []
    decisions, defective = predictions.verdicts.decisions, predictions.labels > 0
    passed, unsure = predictions.passed, decisions == UNSURE
    called = decisions > 0
    defects, good = int(defective.sum()), int((~defective).sum())
    return [
        Rate("capture", "defective images that do not pass as good", int((defective & ~passed).sum()), defects),
        Rate("escape", "defective images that pass as good", int((defective & passed).sum()), defects),
        Rate("overkill", "good images that are called defective", int((~defective & called).sum()), good),
        Rate("purity", "images called defective that are", int((called & defective).sum()), int(called.sum())),
        Rate("review", "images that are sent to a person as unsure", int(unsure.sum()), len(decisions)),
        *(
            Rate(
                f"escape_{label}",
                f"images of class {label} that pass as good",
                int(((predictions.labels == i) & passed).sum()),
                int((predictions.labels == i).sum()),
            )
            for i, label in enumerate(predictions.classes)
            if i > 0
        ),
    ]
