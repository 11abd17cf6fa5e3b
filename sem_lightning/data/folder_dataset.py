"""Labelled images on disk as a torch data set."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset

from sem_lightning.data.image_metadata import ImageMetadata, read_image_metadata
from sem_lightning.data.labelled_file import LabelledFile
from sem_lightning.data.labelled_image import LabelledImage
from sem_lightning.io.dataset_format import MASK_UNKNOWN
from sem_lightning.io.gray_image import GrayImage, open_image
from sem_lightning.io.images import read_mask, resize_to
from sem_lightning.synthesis.defects.mix import GOOD


class FolderDataset(Dataset[dict[str, Any]]):
    """Map-style: images of one split, all resized to one ``shape``.

    Masks are read where a file has one. Otherwise the mask of a good image is 0, and that of a defective
    image is unknown.

    Args:
        root: The folder.
        files: Files of the split, see `sem_lightning.data.labelled_folder.read_folder`.
        classes: Class names in label order.
        shape: Height and width of training images, pixels.
        pixel_size: nm at that shape, if known.
        crop_data_bar: Whether data bars are cropped.
        with_metadata: Whether to read ``metadata.jsonl`` of the folder; slow for a large set.
    """

    def __init__(
        self,
        root: Path,
        files: list[LabelledFile],
        classes: list[str],
        shape: tuple[int, int],
        pixel_size: float | None = None,
        crop_data_bar: bool = True,
        with_metadata: bool = False,
    ) -> None:
        self.root = root
        self.files = files
        self.classes = classes
        self.shape = shape
        self.pixel_size = pixel_size
        self.crop_data_bar = crop_data_bar
        listed = {file.name for file in files if file.name} if with_metadata else set()
        self._metadata = read_image_metadata(root, listed) if listed else {}

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Every image once; indices beyond ``len`` repeat them, as further epochs do."""
        return map(self.__getitem__, range(len(self)))

    def labelled(self, index: int) -> LabelledImage:
        """The image at its own size, for evaluation.

        Raises:
            ImageError: The file or its mask cannot be used.
        """
        file = self.files[index % len(self.files)]  # indices continue from epoch to epoch
        image = open_image(file.path, self.crop_data_bar, file.span)
        mask = self._mask(file, image)
        metadata = self._metadata.get(file.name or "", ImageMetadata())
        size = None
        if self.pixel_size is not None:  # in nm per pixel of the mask
            size = self.pixel_size * math.sqrt(self.shape[0] * self.shape[1] / mask.size)
        return LabelledImage(image, self.classes.index(file.label), mask, metadata.numbers(mask, size))

    def __getitem__(self, index: int) -> dict[str, Any]:
        """``image`` float32 [1, H, W] in [0, 1], ``label`` int, ``mask`` uint8 [H, W]: 0, 1 or ``MASK_UNKNOWN``."""
        found = self.labelled(index)
        mask = found.mask
        if mask.max(initial=0) != MASK_UNKNOWN:
            mask = (resize_to(mask.astype(np.float32), self.shape) > 0).astype(np.uint8)
        else:
            mask = np.full(self.shape, MASK_UNKNOWN, np.uint8)
        return {
            "image": torch.from_numpy(resize_to(found.image.pixels, self.shape)).unsqueeze(0),
            "label": found.label,
            "mask": torch.from_numpy(mask),
        }

    def _mask(self, file: LabelledFile, image: GrayImage) -> npt.NDArray[np.uint8]:
        """The mask at its own resolution, turned as its image is, without the data bar."""
        height, width = image.pixels.shape
        path = file.mask if file.mask_span is None else file.path
        if self.classes[0] != GOOD:  # the mask loss needs a class good
            return np.full((height, width), MASK_UNKNOWN, np.uint8)
        if path is None:
            return np.full((height, width), 0 if file.label == GOOD else MASK_UNKNOWN, np.uint8)
        rows = height + image.data_bar_rows
        mask = read_mask(path, file.mask_span, image.orientation, (rows, width))
        return (mask[: round(height / rows * len(mask))] > 0).astype(np.uint8)
