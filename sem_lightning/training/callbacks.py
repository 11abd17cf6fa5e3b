"""The callbacks of a training run."""

import shutil
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback, EarlyStopping, LearningRateMonitor, ModelCheckpoint
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from sem_lightning.io.atomic import write_atomically
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


class BestCheckpoint(FiniteCheckpoint):
    """The best epoch's checkpoint, over a run and the runs that it resumes.

    Args:
        resume_from: The ``last.ckpt`` to resume from; the best epoch's checkpoint so far lies next to it.
        options: Those of Lightning's ModelCheckpoint.
    """

    def __init__(self, resume_from: Path | None, **options: Any) -> None:
        super().__init__(**options)
        self._resume_from = resume_from

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Copy the earlier run's best checkpoint, which lies in another folder; without it, this run begins anew."""
        self.best_model_path = ""
        if self._resume_from is None or not state_dict["best_model_path"]:
            return
        earlier = self._resume_from.with_name(Path(state_dict["best_model_path"]).name)
        if not earlier.is_file():
            return
        target = Path(str(self.dirpath)) / earlier.name
        if getattr(rank_zero_only, "rank", 0) == 0 and target.resolve() != earlier.resolve():
            target.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(target, lambda temporary: shutil.copyfile(earlier, temporary))
        self.best_model_path = self.kth_best_model_path = str(target)
        self.best_model_score = self.kth_value = state_dict["best_model_score"]
        self.best_k_models = {str(target): state_dict["best_model_score"]}


def build_checkpoints(
    settings: CallbackSettings, output: Path, resume_from: Path | None = None
) -> tuple[ModelCheckpoint, ModelCheckpoint]:
    """``best.ckpt`` with the best epoch's weights (under 50 MB), and ``last.ckpt`` for resuming."""
    folder = output / "checkpoints"
    best = BestCheckpoint(
        resume_from,
        dirpath=folder,
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
