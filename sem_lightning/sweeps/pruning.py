"""Ends trials of an Optuna study that are no better than the others were by then."""

import logging
from collections.abc import Sequence
from typing import Any

import lightning
import optuna
from lightning.pytorch.callbacks import Callback
from optuna.trial import TrialState

log = logging.getLogger(__name__)
_TRIALS_FIRST = 4  # that end before the first comparison
_EPOCHS_FIRST = 1  # of a trial, before it can be ended


class PruneTrial(Callback):
    """Tells Optuna the monitored metric after each epoch, and ends training where its median rule says so.

    What is ended is tested and reported as it is then: the study gets its value.

    Args:
        storage: URL of the study's database.
        study_name: Of the study.
        overrides: Of this job: its trial is the running one with these values.
        monitor: Metric of the validation.
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
        # the newest: those of runs that were killed stay running for ever
        self.trial = optuna.trial.Trial(study, mine[-1]._trial_id) if mine else None
        self.monitor = monitor
        self.pruned = False

    def on_validation_end(self, trainer: lightning.Trainer, module: Any) -> None:
        if self.trial is None or trainer.sanity_checking:
            return
        self.trial.report(float(trainer.callback_metrics[self.monitor]), trainer.current_epoch)
        if self.trial.should_prune():
            self.pruned = trainer.should_stop = True
            log.info("trial %d lags behind the others and ends here", self.trial.number)
