"""Training stops on NaN or infinite weights and keeps the last finite checkpoint."""

import lightning
from lightning.pytorch.callbacks import Callback, ModelCheckpoint


def is_finite(trainer: lightning.Trainer, module: lightning.LightningModule) -> bool:
    """Whether all weights and statistics are finite, in every process."""
    finite = all(bool(value.isfinite().all()) for value in module.state_dict().values() if value.is_floating_point())
    return bool(trainer.strategy.reduce_boolean_decision(finite, all=True))


class StopOnNonFinite(Callback):
    """Stops training after an epoch that ends with NaN or infinite weights.

    Attributes:
        epoch: That epoch, the first being 1; ``None`` while all weights are finite.
    """

    def __init__(self) -> None:
        self.epoch: int | None = None

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if self.epoch is None and not is_finite(trainer, pl_module):
            self.epoch = trainer.current_epoch + 1
            trainer.should_stop = True


class FiniteCheckpoint(ModelCheckpoint):
    """Saves no checkpoint with NaN or infinite weights."""

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if is_finite(trainer, pl_module):
            super().on_train_epoch_end(trainer, pl_module)

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if is_finite(trainer, pl_module):
            super().on_validation_end(trainer, pl_module)
