"""A labelled image for evaluation: at its own size, before any preprocessing."""

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset

from sem_lightning.io.gray_image import GrayImage
from sem_lightning.io.images import ImageError


@dataclass(frozen=True)
class LabelledImage:
    """One image of a data set.

    Attributes:
        image: Decoded, without its data bar.
        label: Number of its class.
        mask: uint8 of any size, [h, w]: 1 on the defect, 0 elsewhere, ``MASK_UNKNOWN`` where unknown.
        metadata: ``severity``, ``dose`` and ``size``; NaN if unknown; see `ImageMetadata`.
    """

    image: GrayImage
    label: int
    mask: npt.NDArray[np.uint8]
    metadata: dict[str, float] = field(default_factory=dict)

    def item(self) -> dict[str, Any]:
        """For training: ``image`` float32 [1, H, W], ``label``, and ``mask`` uint8 [h, w], as tensors and an int."""
        return {
            "image": torch.from_numpy(self.image.pixels).unsqueeze(0),
            "label": self.label,
            "mask": torch.from_numpy(self.mask),
        }


class LabelledImages(Protocol):
    """A map-style data set that also returns its images at their own size."""

    def __len__(self) -> int: ...

    def labelled(self, index: int) -> LabelledImage:
        """Image ``index``. Raises `ImageError` for a file that cannot be used."""


class EvaluationDataset(Dataset[Any]):
    """The `LabelledImage` of each index, or the `ImageError` of a file that cannot be used."""

    def __init__(self, images: LabelledImages) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> LabelledImage | ImageError:
        try:
            return self.images.labelled(index)
        except ImageError as error:
            return error
