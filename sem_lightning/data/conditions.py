"""Under which conditions an image was made, where its scene is known: what accuracy is broken down by."""

import json
import math
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from sem_lightning.data.layout import METADATA
from sem_lightning.errors import UserError

NAMES = ("severity", "dose", "size")


@dataclass(frozen=True)
class Conditions:
    """Of one image; NaN is unknown.

    Attributes:
        severity: Of its gravest defect, 0 to 1.
        dose: Electrons that a white pixel collects in all frames.
    """

    severity: float = math.nan
    dose: float = math.nan

    def tensors(self, mask: npt.NDArray[np.uint8], pixel_size: float | None) -> dict[str, torch.Tensor]:
        """The conditions as float32 scalars of a batch; ``size`` is the square root of the mask's area, nm."""
        size = math.nan if pixel_size is None or mask.max() > 1 else math.sqrt(int(mask.sum())) * pixel_size
        return {
            name: torch.tensor(value, dtype=torch.float32)
            for name, value in zip(NAMES, (self.severity, self.dose, size), strict=True)
        }


def total_dose(dose: float | None, frames: int) -> float:
    """Electrons a white pixel collects in all frames; infinite without photon noise."""
    return math.inf if dose is None else dose * frames


def read_conditions(root: Path, names: Set[str]) -> dict[str, Conditions]:
    """What ``metadata.jsonl`` of a set that this package wrote says of some of its images.

    Args:
        root: The set's folder.
        names: As in its ``labels.csv``.

    Raises:
        UserError: A line that is not what this package writes.
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
                    found[entry["filename"]] = Conditions(float(entry["severity"]), float(dose))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise UserError(f"{path}, line {number}: not what sem-generate writes ({error}); delete it") from None
    return found
