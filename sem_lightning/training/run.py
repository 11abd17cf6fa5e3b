"""One training run: fit, restore the best checkpoint, make the rule, test."""

import itertools
import logging
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger, TensorBoardLogger

from sem_lightning.data.data_settings import DataSettings
from sem_lightning.data.datamodule import SEMDataModule
from sem_lightning.data.distributed import gather
from sem_lightning.data.sources import Source
from sem_lightning.decision.decision_settings import DecisionSettings
from sem_lightning.decision.explanation import explain_rule
from sem_lightning.errors import SettingError, UserError
from sem_lightning.evaluation.compatibility import judged_polarity
from sem_lightning.evaluation.prediction_collector import PredictionCollector
from sem_lightning.evaluation.rule_calibration import calibrate_rule
from sem_lightning.evaluation.tensorboard import lay_out_charts
from sem_lightning.evaluation.test_predictions import TestPredictions, join
from sem_lightning.inference.predictor import Predictor
from sem_lightning.model.checkpoint import read_checkpoint, save_rule, save_weights
from sem_lightning.model.classifier import SEMClassifier
from sem_lightning.model.non_finite_guard import StopOnNonFinite
from sem_lightning.model.weight_interpolation import interpolate_weights
from sem_lightning.training.callbacks import ImageCounter, build_checkpoints, optional_callbacks
from sem_lightning.training.loggers import build_logger
from sem_lightning.training.run_settings import CallbackSettings, LoggerSettings
from sem_lightning.training.trainer import build_trainer, explain_interrupt

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunSettings:
    """Settings of a training run.

    Attributes:
        model: `sem_lightning.training.run_settings.ModelOptions`.
        data: Batch size, workers and source.
        decision: Settings of the decision rule.
        logger: Settings of the logger.
        callbacks: Settings of checkpoints and early stopping.
        trainer: Arguments of Lightning's Trainer.
        seed: Seed of all random numbers.
        more_callbacks: The user's callbacks and the pruning callback of a study.
        logger_of_users: The user's logger; it replaces ``logger``.
    """

    model: Any
    data: DataSettings
    decision: DecisionSettings
    logger: LoggerSettings
    callbacks: CallbackSettings
    trainer: Mapping[str, Any]
    seed: int
    more_callbacks: tuple[Callback, ...] = ()
    logger_of_users: Logger | None = field(default=None)


@dataclass(frozen=True)
class Run:
    """The results of a training run.

    Attributes:
        first: Whether this is the first (or only) process, which writes files.
        predictions: Predictions of the test images.
        logger: Logger of its curves.
        checkpoint: Checkpoint of the best epoch, if an epoch was validated.
        best_score: The monitored metric of the best epoch.
        images: Number of training images, with repetitions.
        seconds: Duration of training.
        epochs: Number of started epochs.
        steps: Number of optimiser steps.
        pruned: Whether a study pruned it.
    """

    first: bool
    predictions: TestPredictions
    logger: Logger | None
    checkpoint: str | None
    best_score: float | None
    images: int
    seconds: float
    epochs: int
    steps: int
    pruned: bool


def run_training(
    settings: RunSettings, source: Source, classifier: SEMClassifier, output: Path, resume_from: Path | None
) -> Run:
    """Train ``classifier``, load the best epoch's weights, make its rule, and test it on unseen images.

    Args:
        settings: Settings of the run.
        source: The images of all splits.
        classifier: The classifier to train.
        output: Folder of checkpoints and curves.
        resume_from: A ``last.ckpt`` to resume from.

    Raises:
        UserError: Weights became NaN or infinite before any epoch was validated.
    """
    logger = settings.logger_of_users or build_logger(settings.logger, output)
    alpha = settings.model.wise_ft_alpha  # below 1, the best checkpoint of a whole run holds interpolated weights
    best, last = build_checkpoints(settings.callbacks, output, resume_from if alpha == 1 else None)
    counter, guard = ImageCounter(), StopOnNonFinite()
    optional = optional_callbacks(settings.callbacks, logger)
    callbacks: list[Callback] = [counter, guard, best, last, *optional, *settings.more_callbacks]
    trainer = build_trainer(
        settings.trainer, output, callbacks, logger, settings.logger.every_n_steps, settings.callbacks.progress_bar
    )
    if isinstance(logger, TensorBoardLogger):
        lay_out_charts(logger.experiment, classifier.classes)
    if settings.model.compile:
        _compile(classifier)
    data = settings.data
    datamodule = SEMDataModule(source, data.batch_size, data.num_workers, settings.seed)
    start = {name: value.clone() for name, value in classifier.net.state_dict().items()} if alpha < 1 else {}
    started = time.perf_counter()
    with explain_interrupt(Path(last.dirpath or output)):
        trainer.fit(classifier, datamodule=datamodule, ckpt_path=resume_from, weights_only=True)
    seconds = time.perf_counter() - started
    if guard.epoch is not None:
        _explain_non_finite(guard.epoch, classifier.settings.learning_rate, bool(best.best_model_path))
    if best.best_model_path:
        classifier.load_state_dict(read_checkpoint(Path(best.best_model_path))["state_dict"])
        if alpha < 1:
            interpolate_weights(classifier.net, start, alpha)
            if trainer.is_global_zero:
                save_weights(Path(best.best_model_path), classifier.net)
    else:
        log.warning("no epoch was validated, so the last weights are tested")
    with explain_interrupt(Path(last.dirpath or output)):
        predictions = _calibrate_and_test(settings, trainer, classifier, datamodule, best.best_model_path or None)
    return Run(
        first=trainer.is_global_zero,
        predictions=predictions,
        logger=logger,
        checkpoint=best.best_model_path or None,
        best_score=None if best.best_model_score is None else float(best.best_model_score),
        images=counter.images,
        seconds=seconds,
        epochs=trainer.current_epoch,
        steps=trainer.global_step,
        pruned=any(getattr(callback, "pruned", False) for callback in settings.more_callbacks),
    )


def _compile(classifier: SEMClassifier) -> None:
    compiler = os.environ.get("CXX", "g++")
    if shutil.which(compiler) is None:
        raise SettingError("model.compile", f"needs a C++ compiler, and there is no {compiler}")
    classifier.net.compile()  # in place: keeps the names of weights


def _explain_non_finite(epoch: int, learning_rate: float, validated: bool) -> None:
    said = (
        f"training stopped after epoch {epoch}, when weights were NaN or infinite; a model.learning_rate below "
        f"{learning_rate:g} or trainer.gradient_clip_val=1 may help"
    )
    if not validated:
        raise UserError(said)
    log.warning("%s; the best epoch before is tested", said)


def _calibrate_and_test(
    settings: RunSettings,
    trainer: lightning.Trainer,
    classifier: SEMClassifier,
    datamodule: SEMDataModule,
    checkpoint: str | None,
) -> TestPredictions:
    """Make the rule of the classifier, write it to the checkpoint, and judge the test images."""
    options: dict[str, Any] = {
        "polarity": judged_polarity(classifier.settings, datamodule.source),
        "device": str(trainer.strategy.root_device),
    }
    shortened = bool(settings.trainer.get("fast_dev_run"))
    if not shortened:
        predictor = Predictor(classifier.trained, **options)
        classifier.rule = calibrate_rule(predictor, datamodule, settings.decision)
        log.info("%s", explain_rule(classifier.rule))
    if checkpoint and trainer.is_global_zero:
        save_rule(Path(checkpoint), classifier.rule)
    items = datamodule.labelled("test")
    collector = PredictionCollector(Predictor(classifier.trained, **options))
    collector.run(itertools.islice(items, settings.data.batch_size) if shortened else items)
    collector.refuse_unreadable()
    return join(gather(collector.test_predictions()), at_once=True)
