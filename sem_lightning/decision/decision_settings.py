"""The config group ``decision``: settings of a decision rule."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sem_lightning.checks import share
from sem_lightning.decision.rule import RULES, UNSURE_NAME
from sem_lightning.errors import SettingError
from sem_lightning.synthesis.defects.mix import GOOD


@dataclass
class DecisionSettings:
    """Settings of a decision rule (``conf/decision/*.yaml`` document every key)."""

    rule: str = "argmax"
    max_escape: float = 0.01
    confidence: float = 0.95
    ood_rate: float = 0.01
    ambiguous_rate: float = 0.0

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise SettingError("rule", f"found {self.rule!r}, expected one of {', '.join(RULES)}")
        for key in ("max_escape", "confidence"):
            share(key, getattr(self, key))
        for key in ("ood_rate", "ambiguous_rate"):
            if not 0 <= getattr(self, key) <= 0.5:
                raise SettingError(key, f"found {getattr(self, key):g}, expected a share of the images from 0 to 0.5")

    def check(self, classes: Sequence[str], defects: int) -> None:
        """Check that a risk bound is possible with this number of defective calibration images.

        Raises:
            SettingError: Too few images, no class ``good``, or a class with the name of a decision.
        """
        if UNSURE_NAME in classes:
            raise SettingError("rule", f"a class is named {UNSURE_NAME}, as the decision is; give it another name")
        if self.rule != "conservative":
            return
        if classes[0] != GOOD:
            raise SettingError("rule", f"conservative needs a class named good, the first; found {', '.join(classes)}")
        from sem_lightning.decision.risk_control import allowed_escapes, defects_needed  # imports SciPy

        if allowed_escapes(defects, self.max_escape, self.confidence) is None:
            needed = defects_needed(self.max_escape, self.confidence)
            best = -math.expm1(math.log(1 - self.confidence) / defects) if defects else 1.0
            digit = 10.0 ** (math.floor(math.log10(best)) - 1)
            best = math.ceil(best / digit) * digit  # rounded up, because a smaller bound is not possible
            offer = f", or max_escape={best:.2g} or more" if best < 1 else ""
            raise SettingError(
                "max_escape",
                f"{self.max_escape:g} cannot be promised with confidence {self.confidence:g} from {defects} defective "
                f"calibration images; that takes {needed} of them (data.calibration_per_class or data.shares){offer}",
            )
