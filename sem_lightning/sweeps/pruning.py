"""Prunes trials of an Optuna study that are worse than the median of the others at the same epoch."""

import logging
from collections.abc import Sequence
from typing import Any

import lightning
import optuna
from lightning.pytorch.callbacks import Callback
from optuna.trial import TrialState

log = logging.getLogger(__name__)
_TRIALS_FIRST = 4  # trials that finish before the first comparison
_EPOCHS_FIRST = 1  # epochs of a trial before it can be pruned


class PruneTrial(Callback):
    """Reports the monitored metric to Optuna after each epoch, and stops training if its median rule prunes the trial.

    A pruned trial is tested, and the study gets its value.

    Args:
        storage: URL of the study's database.
        study_name: Name of the study.
        overrides: Overrides of this job; its trial is the running one with these values.
        monitor: The monitored validation metric.
    """

    def __init__(self, storage: str, study_name: str, overrides: Sequence[str], monitor: str) -> None:
        pruner = optuna.pruners.MedianPruner(_TRIALS_FIRST, _EPOCHS_FIRST)
        study = optuna.load_study(study_name=study_name, storage=storage, pruner=pruner)
        given = set(overrides)
        mine = [
            trial
            for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
            if {f"{name}={value}" for name, value in trial.params.items()} <= given
        ]
        # the newest, because trials of killed runs keep the state running
        self.trial = optuna.trial.Trial(study, mine[-1]._trial_id) if mine else None
        self.monitor = monitor
        self.pruned = False

    def on_validation_end(self, trainer: lightning.Trainer, module: Any) -> None:
        if self.trial is None or trainer.sanity_checking:
            return
        self.trial.report(float(trainer.callback_metrics[self.monitor]), trainer.current_epoch)
        if self.trial.should_prune():
            self.pruned = trainer.should_stop = True
            log.info("trial %d is pruned: it is worse than the median of the others", self.trial.number)
