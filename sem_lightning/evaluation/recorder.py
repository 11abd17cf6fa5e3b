"""A callback that watches a test and keeps what a report needs."""

import time
from typing import Any

import lightning
import numpy as np
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from sem_lightning.data.conditions import NAMES
from sem_lightning.data.ranks import gather
from sem_lightning.evaluation.tested import Collector, Tested, join
from sem_lightning.model.classifier import SEMClassifier


class Recorder(Callback):
    """Counts the images of training, and keeps the answers of a test.

    Attributes:
        train_images: Images that training has seen in this run.
        tested: Set when the test ends.
    """

    def __init__(self) -> None:
        self.train_images = 0
        self.tested: Tested | None = None
        self._collector = Collector()
        self._started = 0.0

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: dict[str, Tensor],
        batch_idx: int,
    ) -> None:
        self.train_images += len(batch["label"]) * trainer.world_size

    def on_test_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self._collector = Collector()
        self._started = time.perf_counter()

    def on_test_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: dict[str, Tensor],
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        assert isinstance(pl_module, SEMClassifier)
        self._collector.add(
            pl_module.rule,
            outputs["logits"].double().cpu().numpy(),
            outputs["features"].double().cpu().numpy(),
            batch["label"].cpu().numpy().astype(np.int64),
            batch["image"][:, 0].cpu().numpy(),
            {name: batch[name].double().cpu().numpy() for name in NAMES},
        )

    def on_test_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        assert isinstance(pl_module, SEMClassifier)
        seconds = time.perf_counter() - self._started
        mine = self._collector.finish(pl_module.classes, pl_module.rule, seconds)
        self.tested = join(gather(mine), at_once=True)
