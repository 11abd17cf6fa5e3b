"""Simulated images, drawn when they are asked for."""

from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from sem_lightning.data.conditions import Conditions, total_dose
from sem_lightning.data.curriculum import Curriculum
from sem_lightning.data.looks import Looks
from sem_lightning.data.splits import SPLITS
from sem_lightning.synthesis.simulator import LABEL_STREAM, Scene, Simulator, render


class SyntheticDataset(Dataset[dict[str, Any]]):
    """Images of one split; ``dataset[index]`` is the same image whatever worker, batch or order asks for it.

    Args:
        simulator: Draws and renders the scenes.
        seed: Seed of the data set.
        split: ``train``, ``val``, ``test`` or ``calibration``; no two splits share a scene.
        size: Images in one epoch.
        fresh: Indices from ``size`` upwards are new images; otherwise they are the first ``size`` again.
        class_weights: Relative frequency of each class, drawn at random; ``None`` takes the classes in turn, so that
            they are exactly balanced.
        curriculum: What is special about some epochs.
        looks: At what sizes an image is looked at; ``None`` for once, as it is.
    """

    def __init__(
        self,
        simulator: Simulator,
        seed: int,
        split: str,
        size: int,
        fresh: bool = False,
        class_weights: list[float] | None = None,
        curriculum: Curriculum = Curriculum(),
        looks: Looks | None = None,
    ) -> None:
        self.simulator = simulator
        self.seed = seed
        self.split = SPLITS.index(split)
        self.size = size
        self.fresh = fresh
        self.class_weights = class_weights
        self.twins = curriculum.twins
        self.looks = looks
        self._stages = curriculum.stages(simulator)

    def __len__(self) -> int:
        return self.size

    def scene(self, index: int) -> Scene:
        """The scene behind ``dataset[index]``."""
        epoch = index // self.size
        simulator = self._stages.of(epoch)
        if not self.fresh:
            index %= self.size
        if not self.twins:
            return simulator.draw(self.seed, self.split, index, self._label(index))
        defects = simulator.classes[1:]
        scene = simulator.draw(self.seed, self.split, index // 2, defects[index // 2 % len(defects)])
        return scene.twin() if index % 2 else scene

    def _label(self, index: int) -> str:
        classes = self.simulator.classes
        if self.class_weights is None:
            return classes[index % len(classes)]
        shares = np.asarray(self.class_weights) / sum(self.class_weights)
        return str(np.random.default_rng([self.seed, self.split, index, LABEL_STREAM]).choice(classes, p=shares))

    def __getitem__(self, index: int) -> dict[str, Any]:
        """``image`` float32 [1, H, W] in [0, 1], ``label`` int, ``mask`` uint8 [H, W] (1 where the defect is).

        Beside them ``severity``, ``dose`` and ``size``, see `Conditions`, and where there are any, ``looks``.
        """
        sample = render(self.scene(index))
        image = sample.image.astype(np.float32) / np.float32(np.iinfo(sample.image.dtype).max)
        detection = sample.scene.detection
        conditions = Conditions(sample.scene.severity, total_dose(detection.dose, detection.frames))
        return {
            "image": torch.from_numpy(image).unsqueeze(0),
            "label": self.simulator.classes.index(sample.scene.label),
            "mask": torch.from_numpy(sample.mask),
            **conditions.tensors(sample.mask, sample.scene.view.pixel_size),
            **({} if self.looks is None else {"looks": self.looks.of(image)}),
        }
