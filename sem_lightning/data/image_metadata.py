"""Metadata of simulated images, by which metrics are stratified."""

import json
import math
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sem_lightning.errors import UserError
from sem_lightning.io.dataset_format import METADATA

METADATA_NAMES = ("severity", "dose", "size")


@dataclass(frozen=True)
class ImageMetadata:
    """Metadata of one image; NaN means unknown.

    Attributes:
        severity: Highest severity of its defects, 0 to 1.
        dose: Electrons that a white pixel collects in all frames.
    """

    severity: float = math.nan
    dose: float = math.nan

    def numbers(self, mask: npt.NDArray[np.uint8], pixel_size: float | None) -> dict[str, float]:
        """``severity``, ``dose`` and ``size``, the square root of the mask's area in nm."""
        known = pixel_size is not None and mask.max() <= 1
        size = math.sqrt(int(mask.sum())) * pixel_size if known and pixel_size is not None else math.nan
        return dict(zip(METADATA_NAMES, (self.severity, self.dose, size), strict=True))


def total_dose(dose: float | None, frames: int) -> float:
    """Electrons a white pixel collects in all frames; infinite without photon noise."""
    return math.inf if dose is None else dose * frames


def read_image_metadata(root: Path, names: Set[str]) -> dict[str, ImageMetadata]:
    """Read the metadata of some images from ``metadata.jsonl`` of a set of this package.

    Args:
        root: The set's folder.
        names: File names as in its ``labels.csv``.

    Raises:
        UserError: A line in another format.
    """
    path = root / METADATA
    if not path.is_file():
        return {}
    found = {}
    with path.open() as stream:
        for number, line in enumerate(stream, start=1):
            try:
                entry = json.loads(line)
                if entry.get("filename") in names:
                    detection = entry["scene"]["detection"]
                    dose = total_dose(detection["dose"], detection["frames"])
                    found[entry["filename"]] = ImageMetadata(float(entry["severity"]), float(dose))
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                raise UserError(f"{path}, line {number}: not what sem-generate writes ({error}); delete it") from None
    return found
