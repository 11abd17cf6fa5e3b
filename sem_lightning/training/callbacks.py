"""The callbacks of a training run."""

from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback, EarlyStopping, LearningRateMonitor, ModelCheckpoint
from lightning.pytorch.loggers import Logger
from torch import Tensor

from sem_lightning.model.non_finite_guard import FiniteCheckpoint
from sem_lightning.training.run_settings import CallbackSettings


class ImageCounter(Callback):
    """Counts the training images of this run over all processes."""

    def __init__(self) -> None:
        self.images = 0

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: dict[str, Tensor],
        batch_idx: int,
    ) -> None:
        self.images += len(batch["label"]) * trainer.world_size


def build_checkpoints(settings: CallbackSettings, output: Path) -> tuple[ModelCheckpoint, ModelCheckpoint]:
    """``best.ckpt`` with the best epoch's weights (under 50 MB), and ``last.ckpt`` for resuming."""
    folder = output / "checkpoints"
    best = FiniteCheckpoint(
        folder,
        filename="best",
        monitor=settings.monitor,
        mode=better(settings.monitor),
        save_weights_only=True,
        enable_version_counter=False,
    )
    last = FiniteCheckpoint(folder, filename="last", save_on_train_epoch_end=True, enable_version_counter=False)
    return best, last


def optional_callbacks(settings: CallbackSettings, logger: Logger | None) -> list[Callback]:
    """The callbacks that the settings switch on."""
    callbacks: list[Callback] = []
    if logger is not None:
        callbacks.append(LearningRateMonitor(logging_interval="step"))
    if settings.early_stopping:
        callbacks.append(EarlyStopping(settings.monitor, mode=better(settings.monitor), patience=settings.patience))
    return callbacks


def better(monitor: str) -> str:
    """``min`` if lower values of a metric are better, else ``max``."""
    return "min" if monitor == "val/loss" else "max"
