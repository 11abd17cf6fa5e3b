"""Rates of the decisions on labelled images: escapes, overkill, and whether places lie on the defects."""

from dataclasses import dataclass

from sem_lightning.data.labelled_file import name_some
from sem_lightning.decision.intervals import mean_rate_interval
from sem_lightning.decision.rate import Rate
from sem_lightning.decision.rule import UNSURE_NAME
from sem_lightning.inspection.inspection import DEFECT
from sem_lightning.inspection.outcomes import Outcomes
from sem_lightning.synthesis.defects.mix import GOOD


@dataclass(frozen=True)
class InspectionEvaluation:
    """How good decisions on labelled images are.

    Attributes:
        unsure: Of all images.
        escape: Of the defective images.
        overkill: Of the good images.
        not_passed: Good images that are not called good, because they are defects or unsure.
        located: Defects with a box on which a place lies.
        unlabelled: Images without a label, which are left out.
    """

    unsure: Rate
    escape: Rate
    overkill: Rate
    not_passed: Rate
    located: Rate
    unlabelled: tuple[str, ...]

    @property
    def balanced_accuracy(self) -> float | None:
        """Mean of the share of defective images that do not pass as good and of good ones that do; NaN is ``None``."""
        if self.escape.value is None or self.not_passed.value is None:
            return None
        return 1 - (self.escape.value + self.not_passed.value) / 2

    @property
    def balanced_interval(self) -> tuple[float, float]:
        """95 % interval of it; see `mean_rate_interval`."""
        return mean_rate_interval([(each.trials - each.events, each.trials) for each in (self.escape, self.not_passed)])

    def __str__(self) -> str:
        lacking = [name for name, rate in (("defective", self.escape), ("good", self.overkill)) if not rate.trials]
        rates = [each for each in (self.unsure, self.escape, self.overkill, self.located) if each.trials]
        lines = [
            f"{rate.name}: {rate.events} of {rate.trials} {rate.definition}{_number(rate.value, rate.interval)}"
            for rate in rates
        ]
        if self.unlabelled:
            total = self.unsure.trials + len(self.unlabelled)
            named = name_some([*self.unlabelled])
            lines.insert(0, f"without a label, left out: {len(self.unlabelled)} of {total} images: {named}")
        mean = _number(self.balanced_accuracy, self.balanced_interval)
        none = f": - (no image is labelled {' or '.join(lacking)})"
        return "\n".join([*lines, f"balanced accuracy{mean or none}"])


def evaluate_inspections(outcomes: Outcomes) -> InspectionEvaluation:
    """Rates of the decisions on labelled images, with 95 % intervals; those that are unsure count in every denominator.

    Args:
        outcomes: See `label_inspections`.
    """
    images = outcomes.labelled
    defective = [each.decision for each in images if each.truth.is_defective]
    good = [each.decision for each in images if not each.truth.is_defective]
    boxes = sum(len(each.truth.boxes) for each in images)
    unsure = sum(each.decision == UNSURE_NAME for each in images)
    return InspectionEvaluation(
        unsure=Rate("unsure", "images", unsure, len(images)),
        escape=Rate("escape", "defective images called good", defective.count(GOOD), len(defective)),
        overkill=Rate("overkill", "good images called defect", good.count(DEFECT), len(good)),
        not_passed=Rate("not passed", "good images not called good", len(good) - good.count(GOOD), len(good)),
        located=Rate("located", "defects with a place on their box", sum(each.found for each in images), boxes),
        unlabelled=tuple(outcomes.unlabelled),
    )


def _number(value: float | None, interval: tuple[float, float]) -> str:
    return "" if value is None else f": {value:.3f} [{interval[0]:.3f}, {interval[1]:.3f}]"
