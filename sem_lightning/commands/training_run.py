"""One training: fit, restore the best checkpoint, choose the rule, test."""

import importlib.util
import logging
import os
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from lightning.pytorch.callbacks import Callback, EarlyStopping, LearningRateMonitor, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, Logger, MLFlowLogger, TensorBoardLogger
from omegaconf import DictConfig

from sem_lightning.commands.calibrate import calibrate_rule, explain_rule
from sem_lightning.commands.open_data import looks_of
from sem_lightning.commands.trainer import build_trainer, explain_interrupt
from sem_lightning.commands.training_settings import CallbackSettings, DataSettings, LoggerSettings, ModelSettings
from sem_lightning.data.datamodule import SEMDataModule, Source
from sem_lightning.decision.calibrate import DecisionSettings
from sem_lightning.errors import SettingError, UserError
from sem_lightning.evaluation.recorder import Recorder
from sem_lightning.evaluation.tensorboard import lay_out_charts
from sem_lightning.evaluation.tested import Tested
from sem_lightning.model.checkpoint import read_checkpoint
from sem_lightning.model.classifier import SEMClassifier, save_rule, save_weights
from sem_lightning.model.divergence import SoundCheckpoint, StopDiverged

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunSettings:
    """The checked groups that every training takes; ``trainer`` is Lightning's own mapping."""

    model: ModelSettings
    data: DataSettings
    decision: DecisionSettings
    logger: LoggerSettings
    callbacks: CallbackSettings
    trainer: DictConfig
    seed: int
    more_callbacks: tuple[Callback, ...] = ()


@dataclass(frozen=True)
class Run:
    """What a training leaves behind.

    Attributes:
        first: Whether this is the only process, or the first of several: the one that writes.
        tested: The answers on its test images.
        logger: Where its curves went.
        checkpoint: The best epoch's, where one was validated.
        best_score: The monitored metric there.
        images: That training has seen, each time counted.
        seconds: Time that training took.
        epochs: That were begun.
        steps: Of the optimiser.
        pruned: Whether a study ended it early.
    """

    first: bool
    tested: Tested
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
    """Train ``classifier``, which then has the best epoch's weights and its rule, and test it on unseen images.

    Args:
        settings: Of the run.
        source: The images of all splits.
        classifier: To be trained.
        output: Folder of checkpoints and curves.
        resume_from: A ``last.ckpt`` to go on from.
    """
    logger = _build_logger(settings.logger, output)
    best, last = _build_checkpoints(settings.callbacks, output)
    recorder = Recorder()
    diverged = StopDiverged()
    callbacks = [
        recorder,
        diverged,
        best,
        last,
        *_optional_callbacks(settings.callbacks, logger),
        *settings.more_callbacks,
    ]
    trainer = build_trainer(
        settings.trainer, output, callbacks, logger, settings.logger.every_n_steps, settings.callbacks.progress_bar
    )
    if isinstance(logger, TensorBoardLogger):
        lay_out_charts(logger.experiment, classifier.classes)
    if settings.model.compile:
        compiler = os.environ.get("CXX", "g++")
        if shutil.which(compiler) is None:
            raise SettingError("compile", f"needs a C++ compiler, and there is no {compiler}").under("model")
        classifier.net.compile()  # in place: names of weights stay
    looks = looks_of(classifier, source)
    data = settings.data
    datamodule = SEMDataModule(source, data.batch_size, data.num_workers, settings.seed, looks=looks)

    share = settings.model.start_share
    start = {name: value.clone() for name, value in classifier.state_dict().items()} if share > 0 else {}
    started = time.perf_counter()
    with explain_interrupt(trainer, Path(last.dirpath or output)):
        trainer.fit(classifier, datamodule=datamodule, ckpt_path=resume_from, weights_only=True)
    seconds = time.perf_counter() - started
    if diverged.epoch is not None:
        said = (
            f"after epoch {diverged.epoch} weights were no numbers: training has diverged; a model.learning_rate below "
            f"{settings.model.learning_rate:g} or trainer.gradient_clip_val=1 may help"
        )
        if not best.best_model_path:
            raise UserError(said)
        log.warning("%s; the best epoch before is tested", said)
    if best.best_model_path:
        classifier.load_state_dict(read_checkpoint(Path(best.best_model_path))["state_dict"])
        if share > 0:
            classifier.take_back(start, share)
            if trainer.is_global_zero:
                save_weights(Path(best.best_model_path), classifier)
    else:
        log.warning("no epoch was validated, so the last weights are tested")
    with explain_interrupt(trainer, Path(last.dirpath or output)):
        if not settings.trainer.get("fast_dev_run"):
            classifier.rule = calibrate_rule(trainer, classifier, datamodule, settings.decision)
            log.info("%s", explain_rule(classifier.rule))
        if best.best_model_path and trainer.is_global_zero:
            save_rule(Path(best.best_model_path), classifier.rule)
        epochs, steps = trainer.current_epoch, trainer.global_step
        trainer.test(classifier, datamodule=datamodule, verbose=False)
    assert recorder.tested is not None
    return Run(
        first=trainer.is_global_zero,
        tested=recorder.tested,
        logger=logger,
        checkpoint=best.best_model_path or None,
        best_score=None if best.best_model_score is None else float(best.best_model_score),
        images=recorder.train_images,
        seconds=seconds,
        epochs=epochs,
        steps=steps,
        pruned=any(getattr(callback, "pruned", False) for callback in settings.more_callbacks),
    )


def _build_logger(settings: LoggerSettings, output: Path) -> Logger | None:
    if settings.kind == "tensorboard":
        return TensorBoardLogger(output, name="", version="tensorboard", default_hp_metric=False)
    if settings.kind == "mlflow":
        return build_mlflow_logger()
    return CSVLogger(output, name="", version="csv") if settings.kind == "csv" else None


def build_mlflow_logger() -> Logger:
    """Writes into the run that ``MLFLOW_RUN_ID`` names, as Azure ML does for its jobs, or a new one.

    Raises:
        SettingError: MLflow is not there, or nobody says where it writes.
    """
    if importlib.util.find_spec("mlflow") is None:
        raise SettingError("logger", "mlflow needs an extra: pip install 'sem-lightning[mlflow]'")
    uri = os.environ.get("MLFLOW_TRACKING_URI")
    if not uri:
        raise SettingError("logger", "mlflow needs to know where to write: set MLFLOW_TRACKING_URI")
    experiment = os.environ.get("MLFLOW_EXPERIMENT_NAME", "sem-lightning")
    logger = MLFlowLogger(experiment, tracking_uri=uri, run_id=os.environ.get("MLFLOW_RUN_ID"))
    try:
        logger.experiment.get_run(logger.run_id or "")
    except Exception as error:  # whatever its store raises; its words may hold what the address holds
        where = re.sub(r"//[^/@]*@", "//", uri)
        raise SettingError("logger", f"MLflow cannot write to {where} ({type(error).__name__})") from None
    return logger


def _build_checkpoints(settings: CallbackSettings, output: Path) -> tuple[ModelCheckpoint, ModelCheckpoint]:
    """The best epoch's weights (under 50 MB), and everything needed to go on after the last whole epoch."""
    folder = output / "checkpoints"
    best = SoundCheckpoint(
        folder,
        filename="best",
        monitor=settings.monitor,
        mode=better(settings.monitor),
        save_weights_only=True,
        enable_version_counter=False,
    )
    last = SoundCheckpoint(folder, filename="last", save_on_train_epoch_end=True, enable_version_counter=False)
    return best, last


def _optional_callbacks(settings: CallbackSettings, logger: Logger | None) -> list[Callback]:
    callbacks: list[Callback] = []
    if logger is not None:
        callbacks.append(LearningRateMonitor(logging_interval="step"))
    if settings.early_stopping:
        callbacks.append(EarlyStopping(settings.monitor, mode=better(settings.monitor), patience=settings.patience))
    return callbacks


def better(monitor: str) -> str:
    """Whether a metric is the better the lower it is, ``min``, or the higher, ``max``."""
    return "min" if monitor == "val/loss" else "max"
