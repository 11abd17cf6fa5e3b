"""The prediction for one image."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np

from sem_lightning.decision.scores import Floats
from sem_lightning.inference.tiling import MAP_STRIDE
from sem_lightning.io.images import ImageError
from sem_lightning.metrology.usability import FAULTS
from sem_lightning.synthesis.defects.mix import GOOD
from sem_lightning.synthesis.field import Float32

_NEAR_PEAK = 0.8  # of a tile's highest probability of not good
_SUSPICIOUS = 0.5  # cells of the map with at least this probability of not good form regions


@dataclass(frozen=True)
class UnreadableImage:
    """A file that cannot be used, and the reason."""

    path: Path
    error: ImageError

    @staticmethod
    def of(path: Path, error: Exception) -> "UnreadableImage":
        """From an `ImageError`, or from another error, which is one of missing memory."""
        if not isinstance(error, ImageError):
            error = ImageError(f"{path}: not enough memory for it; cut it into parts or scale it down")
        return UnreadableImage(path, error)


@dataclass(frozen=True)
class Region:
    """A suspicious part of an image.

    Attributes:
        x: Left edge of the box, in the file's pixels.
        y: Upper edge.
        width: Width of the box.
        height: Height of the box.
        label: The most probable defect.
        score: Highest probability of not good inside the region.
    """

    x: int
    y: int
    width: int
    height: int
    label: str
    score: float


@dataclass(frozen=True, eq=False)
class Prediction:
    """The prediction for one image.

    Attributes:
        path: The file; ``None`` for an array.
        label: The most probable class.
        decision: Decision of the rule: a class, or ``unsure``.
        reason: Why the decision is ``unsure``: one of `sem_lightning.metrology.usability.FAULTS`, of an image that
            cannot be judged, or a reason of `sem_lightning.decision.rule.Rule.decide`; ``None`` for other decisions.
        probabilities: Calibrated probability of each class, by its name.
        logits: float64 [C], aggregated over views or tiles. Rules are made from these.
        features: float64 [D], of the deciding tile, or of the view with the lowest out-of-distribution score among
            those that do not enlarge the file (the first one if the rule has no such score).
        log_odds_good: Log odds of good at the rule's temperature, the scale of the rule's threshold.
        ood_score: Out-of-distribution score, the lowest of the views that do not enlarge the image, or that of the
            deciding tile; ``None`` if the rule has none.
        by_view: Probabilities at each view scale, float64 [C] each.
        shape: Height and width in the file's pixels, without the data bar.
        pixel_size: Pixel size of the file in nm, if known.
        data_bar_rows: Rows of the data bar that were cropped.
        inverted: Whether the inverted image was judged.
        tiles: Number of tiles; 1 for whole images.
        maps: float32 [C, h, w]: class probabilities at 1/8 of the resolution of the network's input.
        seen_shape: Height and width of the network's input.
        deciding: First row and column of the deciding tile in the network's input, and the tile's height and width;
            ``None`` for several views, because ``maps`` are those of the first only.
        image: float32 [H, W], the network's input; kept only with ``explain=True``.
        saliency: float32 [h, w], from captum; ``None`` without ``explain=True``.
    """

    path: Path | None
    label: str
    decision: str
    reason: str | None
    probabilities: dict[str, float]
    logits: Floats
    features: Floats
    log_odds_good: float | None
    ood_score: float | None
    by_view: dict[float, Floats]
    shape: tuple[int, int]
    pixel_size: float | None
    data_bar_rows: int
    inverted: bool
    tiles: int
    maps: Float32
    seen_shape: tuple[int, int]
    deciding: tuple[int, int, int, int] | None
    image: Float32 | None = None
    saliency: Float32 | None = None

    @property
    def is_usable(self) -> bool:
        """Whether the image can be judged."""
        return self.reason not in FAULTS

    @property
    def confidence(self) -> float:
        """Probability of ``label``."""
        return self.probabilities[self.label]

    @property
    def heatmap(self) -> Float32:
        """Probability of not good in each cell: float32 [h, w]."""
        return np.asarray(1 - self.maps[0], np.float32)

    @cached_property
    def regions(self) -> list[Region]:
        """Boxes around connected cells that are probably not good.

        The first is where the deciding tile is least good, if the image is probably defective; the others follow, the
        most suspicious first. An image that cannot be judged has none.
        """
        if not self.is_usable:
            return []
        deciding = None if self.label == GOOD else self.deciding
        return find_regions(self.maps, list(self.probabilities), self.seen_shape, self.shape, deciding)


def find_regions(
    maps: Float32,
    classes: list[str],
    seen_shape: tuple[int, int],
    shape: tuple[int, int],
    deciding: tuple[int, int, int, int] | None = None,
) -> list[Region]:
    """Connected cells of a map that are probably not good; empty if no class is good.

    Args:
        maps: float32 [C, h, w], class probabilities of each cell.
        classes: Class names.
        seen_shape: Height and width of the network's input, pixels.
        shape: Height and width in the file's pixels; the boxes use these units.
        deciding: First row and column, height and width in the network's input of the tile that called the image
            defective. Its peak is a region, the first, even where no cell is probably not good: a class is decided by
            more than one cell.
    """
    if classes[0] != GOOD:
        return []
    heat = 1 - maps[0]
    hot = (heat > _SUSPICIOUS).astype(np.uint8)
    summit = None
    if deciding is not None:
        top, left, high, wide = (-(-length // MAP_STRIDE) for length in deciding)
        tile = heat[top : top + high, left : left + wide]
        row, column = np.unravel_index(int(tile.argmax()), tile.shape)
        summit = (top + int(row), left + int(column))
        hot[top : top + high, left : left + wide] |= tile >= max(_NEAR_PEAK * float(tile.max()), 1e-6)
    if not hot.any():
        return []
    count, numbers, boxes, _ = cv2.connectedComponentsWithStats(hot, connectivity=8)
    down, across = (full / seen * MAP_STRIDE for full, seen in zip(shape, seen_shape, strict=True))
    height, width = shape
    regions = []
    for number in range(1, count):
        x, y, w, h = (int(n) for n in boxes[number][:4])
        part = (slice(y, y + h), slice(x, x + w))
        inside = np.where(numbers[part] == number, heat[part], 0)
        peak = np.unravel_index(int(inside.argmax()), inside.shape)
        label = classes[1 + int(maps[1:, y + peak[0], x + peak[1]].argmax())]
        left, top = min(int(x * across), width - 1), min(int(y * down), height - 1)
        right, bottom = min(round((x + w) * across), width), min(round((y + h) * down), height)
        regions.append(Region(left, top, right - left, bottom - top, label, round(float(inside.max()), 6)))
    first = int(numbers[summit]) - 1 if summit is not None else -1
    order = sorted(range(len(regions)), key=lambda number: (number != first, -regions[number].score))
    return [regions[number] for number in order]
