"""The LightningDataModule for both sources of images."""

from collections.abc import Iterator
from typing import Any

import cv2
import lightning
from torch.utils.data import DataLoader, Dataset

from sem_lightning.data.distributed import rank, world_size
from sem_lightning.data.labelled_image import EvaluationDataset, LabelledImage
from sem_lightning.data.sources import Batch, Source
from sem_lightning.data.splits import EpochSampler
from sem_lightning.errors import SettingError
from sem_lightning.io.images import ImageError
from sem_lightning.processes import start_worker

_EVAL_BATCH_SIZE = 64


class SEMDataModule(lightning.LightningDataModule):
    """Batches of ``image`` float32 [B, 1, H, W] in [0, 1], ``label`` int64 [B] and ``mask`` uint8 [B, H, W].

    Args:
        source: Source of the images, see `sem_lightning.data.sources`.
        batch_size: Images in a training batch over all processes.
        num_workers: Worker processes that make images; 0 makes them in the training process.
        seed: Seed of the training order.

    Example:
        >>> source = SimulatedSource(Simulator.compose("noise=high"))
        >>> lightning.Trainer(max_epochs=1).fit(classifier, datamodule=SEMDataModule(source))
    """

    def __init__(self, source: Source, batch_size: int = 16, num_workers: int = 0, seed: int = 0) -> None:
        super().__init__()
        self.source = source
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.seed = seed
        self._epochs_before = 0  # of the run that is resumed

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps: the number of whole training epochs."""
        return {"epochs": self._epochs_done()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._epochs_before = int(state_dict["epochs"])

    def _epochs_done(self) -> int:
        """Whole training epochs, those of the resumed run included.

        Lightning (2.6) restores the state of its loops only after a schedule has asked for the number of steps, which
        starts the workers of the training data.
        """
        if self.trainer is None:
            return self._epochs_before
        progress: Any = self.trainer.fit_loop.epoch_progress.current
        return int(progress.processed) or self._epochs_before

    def train_dataloader(self) -> "DataLoader[Batch]":
        dataset = self.source.dataset("train")
        size = len(dataset)  # type: ignore[arg-type]
        if self.batch_size % world_size() or self.batch_size < 2 * world_size():
            raise SettingError(
                "data.batch_size",
                f"found {self.batch_size}, expected a multiple of the {world_size()} processes that share it, two "
                "images or more for each",
            )
        sampler = EpochSampler(size, self.seed, self.source.group, rank(), world_size())
        sampler.set_epoch(self._epochs_done())  # workers fetch the first images before Lightning (2.6) sets it
        batch_size = self.batch_size // world_size()
        # A batch of one image cannot be batch-normalised.
        drop_last = len(sampler) % batch_size == 1 and len(sampler) > 1
        return self._loader(dataset, batch_size, sampler=sampler, drop_last=drop_last)

    def val_dataloader(self) -> "DataLoader[Batch]":
        return self._ordered("val")

    def test_dataloader(self) -> "DataLoader[Batch]":
        return self._ordered("test")

    def labelled(self, split: str) -> Iterator[LabelledImage | ImageError]:
        """The images of a split at their own size, in order, for the Predictor.

        With several processes the images are dealt out in turn. A file that cannot be used yields its error.
        """
        dataset = EvaluationDataset(self.source.dataset(split))  # type: ignore[arg-type]
        loader = self._loader(dataset, _EVAL_BATCH_SIZE, sampler=self._share(split, len(dataset)), collate_fn=list)
        for batch in loader:
            yield from batch

    def _ordered(self, split: str) -> "DataLoader[Batch]":
        """A split's images in order, resized as for training; each process gets its share."""
        dataset = self.source.dataset(split)
        return self._loader(dataset, _EVAL_BATCH_SIZE, sampler=self._share(split, len(dataset)))  # type: ignore[arg-type]

    def _share(self, split: str, size: int) -> range:
        if size < world_size():
            raise SettingError(
                "trainer.devices", f"{world_size()} processes cannot share the {size} images of the split {split}"
            )
        return range(rank(), size, world_size())

    def _loader(self, dataset: "Dataset[Any]", batch_size: int, **options: Any) -> "DataLoader[Any]":
        return DataLoader(
            dataset,
            batch_size=batch_size,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            worker_init_fn=_start_worker,
            **options,
        )


def _start_worker(worker: int) -> None:
    start_worker()
    cv2.setNumThreads(1)
