"""Torch data sets of simulated images, rendered on demand."""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
from torch.utils.data import Dataset, IterableDataset, get_worker_info

from sem_lightning.checks import at_least, one_of
from sem_lightning.data.curriculum import Curriculum
from sem_lightning.data.image_metadata import ImageMetadata, total_dose
from sem_lightning.data.labelled_image import LabelledImage
from sem_lightning.data.splits import SPLITS
from sem_lightning.io.gray_image import GrayImage
from sem_lightning.synthesis.simulator import LABEL_STREAM, Scene, Simulator, render


class SimulatedDataset(Dataset[dict[str, Any]]):
    """Map-style: ``dataset[index]`` does not depend on worker, batch or order.

    Args:
        simulator: Draws and renders the scenes.
        seed: Seed of the data set.
        split: ``train``, ``val``, ``test`` or ``calibration``; no two splits share a scene.
        size: Images in one epoch.
        fresh: Indices from ``size`` upwards are new images; otherwise they repeat the first ``size`` images.
        class_weights: Relative frequency of each class, drawn at random; ``None`` takes the classes in turn, which
            balances them exactly.
        curriculum: Changes in some epochs.

    Example:
        >>> dataset = SimulatedDataset(Simulator.compose(), seed=0, split="train", size=300)
        >>> item = dataset[7]  # image float32 [1, H, W], label int, mask uint8 [H, W]
    """

    def __init__(
        self,
        simulator: Simulator,
        seed: int = 0,
        split: str = "train",
        size: int = 1000,
        fresh: bool = False,
        class_weights: list[float] | None = None,
        curriculum: Curriculum = Curriculum(),
    ) -> None:
        one_of("split", split, SPLITS)
        at_least("size", size, 1)
        self.simulator = simulator
        self.seed = seed
        self.split = SPLITS.index(split)
        self.size = size
        self.fresh = fresh
        self.class_weights = class_weights
        self.paired_negatives = curriculum.paired_negatives
        self._stages = curriculum.stages(simulator)

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """The images of the first epoch; indices beyond ``len`` are those of further epochs."""
        return map(self.__getitem__, range(len(self)))

    def scene(self, index: int) -> Scene:
        """The scene of ``dataset[index]``."""
        epoch = index // self.size
        simulator = self._stages.of(epoch)
        if not self.fresh:
            index %= self.size
        if not self.paired_negatives:
            return simulator.draw(self.seed, self.split, index, self._label(index))
        defects = simulator.classes[1:]
        scene = simulator.draw(self.seed, self.split, index // 2, defects[index // 2 % len(defects)])
        return scene.without_defects() if index % 2 else scene

    def _label(self, index: int) -> str:
        classes = self.simulator.classes
        if self.class_weights is None:
            return classes[index % len(classes)]
        shares = np.asarray(self.class_weights) / sum(self.class_weights)
        return str(np.random.default_rng([self.seed, self.split, index, LABEL_STREAM]).choice(classes, p=shares))

    def labelled(self, index: int) -> LabelledImage:
        """The image with its pixel size and metadata, for evaluation."""
        sample = render(self.scene(index))
        pixels = sample.image.astype(np.float32) / np.float32(np.iinfo(sample.image.dtype).max)
        detection, pixel_size = sample.scene.detection, sample.scene.view.pixel_size
        metadata = ImageMetadata(sample.scene.severity, total_dose(detection.dose, detection.frames))
        return LabelledImage(
            GrayImage(pixels, pixel_size=pixel_size),
            self.simulator.classes.index(sample.scene.label),
            sample.mask,
            metadata.numbers(sample.mask, pixel_size),
        )

    def __getitem__(self, index: int) -> dict[str, Any]:
        """``image`` float32 [1, H, W] in [0, 1], ``label`` int, ``mask`` uint8 [H, W] (1 where the defect is)."""
        return self.labelled(index).item()


class SimulatedStream(IterableDataset[dict[str, Any]]):
    """Iterable: the images of `SimulatedDataset` with ``fresh=True``, in an endless stream.

    Several workers of a DataLoader take turns and give the same images as one worker.

    Args:
        simulator: Draws and renders the scenes.
        seed: Seed of the data set.
        split: See `SimulatedDataset`.
        start: Index of the first image, to continue an earlier stream.

    Example:
        >>> stream = SimulatedStream(Simulator.compose("noise=high"), seed=1)
        >>> first = next(iter(stream))
    """

    def __init__(self, simulator: Simulator, seed: int = 0, split: str = "train", start: int = 0) -> None:
        self._images = SimulatedDataset(simulator, seed, split, size=len(simulator.classes), fresh=True)
        self._start = start

    def __iter__(self) -> Iterator[dict[str, Any]]:
        worker = get_worker_info()
        first, step = (0, 1) if worker is None else (worker.id, worker.num_workers)
        return map(self._images.__getitem__, itertools.count(self._start + first, step))
