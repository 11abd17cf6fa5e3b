"""Simulated images, drawn when they are asked for."""

from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from sem_lightning.data.splits import SPLITS
from sem_lightning.synthesis.simulator import Scene, Simulator, render


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
        small_field: Draws the scenes of the first epochs on a smaller field of view, which is cheaper to train on.
        small_field_epochs: How many epochs those are.
    """

    def __init__(
        self,
        simulator: Simulator,
        seed: int,
        split: str,
        size: int,
        fresh: bool = False,
        class_weights: list[float] | None = None,
        small_field: Simulator | None = None,
        small_field_epochs: int = 0,
    ) -> None:
        self.simulator = simulator
        self.seed = seed
        self.split = SPLITS.index(split)
        self.size = size
        self.fresh = fresh
        self.class_weights = class_weights
        self.small_field = small_field
        self.small_field_epochs = small_field_epochs

    def __len__(self) -> int:
        return self.size

    def scene(self, index: int) -> Scene:
        """The scene behind ``dataset[index]``."""
        epoch = index // self.size
        if not self.fresh:
            index %= self.size
        classes = self.simulator.classes
        if self.class_weights is None:
            label = classes[index % len(classes)]
        else:
            shares = np.asarray(self.class_weights) / sum(self.class_weights)
            label = str(np.random.default_rng([self.seed, self.split, index, 0]).choice(classes, p=shares))
        small = self.small_field is not None and epoch < self.small_field_epochs
        simulator = self.small_field if small and self.small_field is not None else self.simulator
        return simulator.draw(self.seed, self.split, index, label)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """``image`` float32 [1, H, W] in [0, 1], ``label`` int, ``mask`` uint8 [H, W] (1 where the defect is)."""
        sample = render(self.scene(index))
        return {
            "image": torch.from_numpy(sample.image.astype(np.float32) / np.float32(255)).unsqueeze(0),
            "label": self.simulator.classes.index(sample.scene.label),
            "mask": torch.from_numpy(sample.mask),
        }
