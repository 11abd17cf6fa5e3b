"""Looks at an image as a whole at several sizes, as a classifier of any magnification takes them."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch.utils.data import default_collate

from sem_lightning.data.images import fit_to, whole_shape
from sem_lightning.synthesis.field import Float32

# The second look at a small image may enlarge it by half: fine lines are seen better then. Coarse ones are misjudged,
# so its answer counts half (docs/real_images.md). Closer looks see more, and count as the root of their size.
_MOST_ENLARGED = (math.inf, 1.5)  # along a side, by the first and the second look; those beyond enlarge nothing
_ENLARGED_WEIGHT = 0.5
_NEAR = 0.1  # by which an image may be larger than its closest look and not be looked at as it is, too
_ITSELF_WEIGHT = 0.5  # of an image beside its negative


@dataclass(frozen=True)
class Look:
    """An image as a whole at one size.

    Attributes:
        times: The size, times that of the first look.
        image: float32 [h, w].
        weight: Of what is seen there beside the other looks.
        enlarged: Whether it has more pixels than the image.
    """

    times: float
    image: Float32
    weight: float = 1.0
    enlarged: bool = False


@dataclass(frozen=True)
class Looks:
    """Sizes at which an image as a whole is looked at; its aspect ratio stays, see `whole_shape`.

    Attributes:
        image_size: Side of a square with as many pixels as the first look.
        scales: Size of each look times ``image_size``; rising, the first 1.
        negative: Whether its negative is looked at, and it itself counts half beside it.
    """

    image_size: int
    scales: tuple[float, ...] = (1.0,)
    negative: bool = False

    def of(self, image: Float32) -> list[Look]:
        """The image [H, W] at each scale, but for those for which it has too few pixels.

        The first look is always there, the second enlarges by half at most, and those beyond do not enlarge. What is
        clearly larger than the closest of them, and has too few pixels for the next, is looked at as it is, too.
        """
        side = math.sqrt(image.shape[0] * image.shape[1])
        seen = [
            times
            for number, times in enumerate(self.scales)
            if round(times * self.image_size) <= side * (_MOST_ENLARGED[number] if number < len(_MOST_ENLARGED) else 1)
        ]
        if seen[-1] * self.image_size * (1 + _NEAR) < side < self.scales[-1] * self.image_size:
            seen.append(int(side) / self.image_size)
        looks = []
        for number, times in enumerate(seen):
            size = round(times * self.image_size)
            whole = fit_to(image, whole_shape(image.shape[0] / image.shape[1], size))
            enlarged = size > side
            weight = math.sqrt(times) * (_ENLARGED_WEIGHT if number and enlarged else 1.0)
            looks.append(Look(times, np.ascontiguousarray(whole), weight, enlarged))
        if not self.negative:
            return looks
        negatives = [replace(look, image=1 - look.image) for look in looks]
        return negatives + [replace(look, weight=_ITSELF_WEIGHT * look.weight) for look in looks]


def collate(items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A batch of images, each with its ``looks``.

    These are grouped, the first, second, ... look at images of one shape together: its number, from 0; the rows of the
    batch that are looked at, int64 [R]; the looks' weights, float32 [R]; and the looks, float32 [R, 1, h, w].
    """
    groups: dict[tuple[int, ...], list[tuple[int, Look]]] = defaultdict(list)
    for row, item in enumerate(items):
        for number, look in enumerate(item["looks"]):
            groups[(number, *look.image.shape)].append((row, look))
    batch: dict[str, Any] = default_collate([{k: v for k, v in item.items() if k != "looks"} for item in items])
    batch["looks"] = []
    for (number, *_), members in groups.items():
        rows, looks = zip(*members, strict=True)
        weights = torch.tensor([look.weight for look in looks])
        images = torch.from_numpy(np.stack([look.image for look in looks])).unsqueeze(1)
        batch["looks"].append((number, torch.tensor(rows), weights, images))
    return batch
