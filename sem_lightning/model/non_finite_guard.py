"""A training whose weights have become no numbers ends, and overwrites nothing that was whole."""

import lightning
from lightning.pytorch.callbacks import Callback, ModelCheckpoint


def is_finite(trainer: lightning.Trainer, module: lightning.LightningModule) -> bool:
    """Whether all weights and statistics are finite, in every process."""
    sound = all(bool(value.isfinite().all()) for value in module.state_dict().values() if value.is_floating_point())
    return bool(trainer.strategy.reduce_boolean_decision(sound, all=True))


class StopOnNonFinite(Callback):
    """Ends training where it has diverged.

    Attributes:
        epoch: After which it had, the first being 1; ``None`` while it has not.
    """

    def __init__(self) -> None:
        self.epoch: int | None = None

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if self.epoch is None and not is_finite(trainer, pl_module):
            self.epoch = trainer.current_epoch + 1
            trainer.should_stop = True


class FiniteCheckpoint(ModelCheckpoint):
    """Saves no weights of a training that has diverged."""

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if is_finite(trainer, pl_module):
            super().on_train_epoch_end(trainer, pl_module)

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if is_finite(trainer, pl_module):
            super().on_validation_end(trainer, pl_module)
