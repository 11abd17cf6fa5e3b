"""Looks at an image as a whole at several sizes, as a classifier of any magnification takes them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import default_collate

from sem_lightning.data.images import fit_to
from sem_lightning.synthesis.field import Float32

_ENOUGH = 0.75  # of the pixels that a look asks for: beyond that there is nothing more to see


@dataclass(frozen=True)
class Looks:
    """Sizes at which an image as a whole is looked at.

    Attributes:
        image_size: Height and width of the first look, pixels.
        scales: Size of each look times ``image_size``; rising, the first 1.
    """

    image_size: int
    scales: tuple[float, ...] = (1.0,)

    def closer(self, image: Float32) -> dict[float, Float32]:
        """The image at each scale beyond the first for which it has enough pixels: float32 [S, S] each."""
        sizes = {times: round(times * self.image_size) for times in self.scales[1:]}
        return {times: fit_to(image, size) for times, size in sizes.items() if min(image.shape) >= _ENOUGH * size}

    def tensors(self, image: Float32) -> dict[str, Any]:
        """``image`` float32 [1, S, S], the first look, and ``closer``, others by their scale, if there can be any."""
        first = torch.from_numpy(np.ascontiguousarray(fit_to(image, self.image_size))).unsqueeze(0)
        if len(self.scales) == 1:
            return {"image": first}
        closer = {times: torch.from_numpy(look).unsqueeze(0) for times, look in self.closer(image).items()}
        return {"image": first, "closer": closer}


def collate(items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A batch of images looked at several times.

    Its ``closer`` lists for each scale the rows that are looked at, int64 [R], and their looks, float32 [R, 1, S, S].
    """
    closer: list[dict[float, torch.Tensor]] = [item.get("closer", {}) for item in items]
    batch: dict[str, Any] = default_collate([{k: v for k, v in item.items() if k != "closer"} for item in items])
    batch["closer"] = []
    for times in sorted({times for looks in closer for times in looks}):
        rows = [row for row, looks in enumerate(closer) if times in looks]
        batch["closer"].append((torch.tensor(rows), torch.stack([closer[row][times] for row in rows])))
    return batch
