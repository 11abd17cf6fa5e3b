"""A callback that watches a test and keeps what a report needs."""

import time
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

_RIGHT_SHOWN, _WRONG_SHOWN = 24, 24


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


class TestRecorder(Callback):
    """Keeps the report, the first right answers and the first wrong ones of a test.

    Attributes:
        report: Set when the test ends.
        examples: Wrong ones first.
    """

    __test__ = False  # not a test case, whatever pytest thinks of the name

    def __init__(self) -> None:
        self.report: Report | None = None
        self._right: list[Example] = []
        self._wrong: list[Example] = []
        self._started = 0.0

    @property
    def examples(self) -> list[Example]:
        return self._wrong + self._right

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
            kept, limit = (self._wrong, _WRONG_SHOWN) if wrong[i] else (self._right, _RIGHT_SHOWN)
            if len(kept) < limit:
                image = batch["image"][i, 0].cpu().numpy()
                kept.append(Example(image, int(batch["label"][i]), outputs[i].float().cpu().numpy()))

    def on_test_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        assert isinstance(pl_module, SEMClassifier)
        values = pl_module.test_metrics.compute()
        self.report = Report(
            classes=pl_module.classes,
            confusion=values["confusion"].cpu().numpy().astype(np.int64),
            metrics=name_scalars(values, pl_module.classes, "test"),
            seconds=time.perf_counter() - self._started,
        )
