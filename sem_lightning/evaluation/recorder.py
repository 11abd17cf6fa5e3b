"""A callback that watches a test and keeps what a report needs."""

import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import lightning
import numpy as np
import numpy.typing as npt
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from sem_lightning.evaluation.metrics import name_scalars
from sem_lightning.evaluation.report import Report
from sem_lightning.model.classifier import SEMClassifier

_RIGHT_SHOWN, _WRONG_SHOWN = 8, 24  # right ones of each class, wrong ones in all


@dataclass(frozen=True)
class Example:
    """One tested image: float32 [H, W] in [0, 1], its true label, and the probability of each class."""

    image: npt.NDArray[np.float32]
    label: int
    probabilities: npt.NDArray[np.float32]

    @property
    def predicted(self) -> int:
        return int(self.probabilities.argmax())

    @property
    def correct(self) -> bool:
        return self.predicted == self.label


class Recorder(Callback):
    """Counts the images of training, and keeps the report and some answers of a test.

    Attributes:
        train_images: Images that training has seen in this run.
        report: Set when the test ends.
    """

    def __init__(self) -> None:
        self.train_images = 0
        self.report: Report | None = None
        self._right: dict[int, list[Example]] = defaultdict(list)
        self._wrong: list[Example] = []
        self._started = 0.0

    @property
    def examples(self) -> list[Example]:
        """The first wrong answers, then the first right ones of each class."""
        return self._wrong + [example for label in sorted(self._right) for example in self._right[label]]

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: dict[str, Tensor],
        batch_idx: int,
    ) -> None:
        self.train_images += len(batch["label"])

    def on_test_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
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
        wrong = (outputs.argmax(dim=1) != batch["label"]).cpu().numpy()
        for i in range(len(wrong)):
            label = int(batch["label"][i])
            kept, limit = (self._wrong, _WRONG_SHOWN) if wrong[i] else (self._right[label], _RIGHT_SHOWN)
            if len(kept) < limit:
                image = batch["image"][i, 0].cpu().numpy()
                kept.append(Example(image, label, outputs[i].float().cpu().numpy()))

    def on_test_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        assert isinstance(pl_module, SEMClassifier)
        values = pl_module.test_metrics.compute()
        self.report = Report(
            classes=pl_module.classes,
            confusion=values["confusion"].cpu().numpy().astype(np.int64),
            metrics=name_scalars(values, pl_module.classes, "test"),
            seconds=time.perf_counter() - self._started,
        )
