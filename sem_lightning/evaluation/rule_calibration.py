"""Makes a decision rule from the splits that were not used in training."""

from collections.abc import Sequence

import numpy as np

from sem_lightning.data.datamodule import SEMDataModule
from sem_lightning.data.distributed import gather
from sem_lightning.decision.calibration import make_rule
from sem_lightning.decision.decision_settings import DecisionSettings
from sem_lightning.decision.rule import Rule
from sem_lightning.decision.scores import Scores
from sem_lightning.errors import SettingError
from sem_lightning.evaluation.prediction_collector import collect_scores
from sem_lightning.inference.predictor import Predictor


def calibrate_rule(
    predictor: Predictor, datamodule: SEMDataModule, settings: DecisionSettings, skip_unreadable: bool = False
) -> Rule:
    """Make a rule for the predictor's classifier from the splits ``val`` and ``calibration``.

    Raises:
        SettingError: Too few calibration images for the risk bound.
        UserError: Files that cannot be used.
    """
    fitting, calibration = (
        _split_scores(predictor, datamodule, split, skip_unreadable) for split in ("val", "calibration")
    )
    try:
        return make_rule(settings, predictor.classes, fitting, calibration, predictor.rule)
    except SettingError as error:
        raise error.under("decision") from None


def _split_scores(predictor: Predictor, datamodule: SEMDataModule, split: str, skip_unreadable: bool) -> Scores:
    """The scores of a split, gathered from all processes."""
    if not sum(datamodule.source.counts(split).values()):
        return collect_scores(predictor, [])
    parts = gather(collect_scores(predictor, datamodule.labelled(split), skip_unreadable))
    return Scores(
        *(
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("logits", "features", "labels", "usable")
        )
    )


def check_decision(settings: DecisionSettings, classes: Sequence[str], counts: dict[str, int]) -> None:
    """Check early that there are enough calibration images for the rule.

    Raises:
        SettingError: For the group ``decision``.
    """
    try:
        settings.check(classes, sum(counts[name] for name in classes[1:]))
    except SettingError as error:
        raise error.under("decision") from None
