"""Names the places where an image differs from its design."""

from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from sem_lightning.inspection.design.comparison import Compared
from sem_lightning.inspection.inspection import DEFECT, Place
from sem_lightning.synthesis.field import Float32

MISSING, CLOSED, PARTICLE, GAP, BRIDGE = "missing", "closed", "particle", "gap", "bridge"

Bools = npt.NDArray[np.bool_]

_SMOOTHING = 1.5  # pixels
_EXTENT = 0.5  # share of a place's score that belongs to it
_MOSTLY = 0.5  # share of an island or a hole, and of the contrast
_DEEP = 2.5  # times what is forgiven, from an outline: what lies there belongs to no edge
_INNER = 1.5  # the same, for a part of the feature that lacks
_FAINT = 0.2  # of the contrast
_SMALL = 0.01  # share of an image's area that a hole at its border may have


def label(places: tuple[Place, ...], image: Float32, compared: Compared) -> tuple[Place, ...]:
    """The places with the labels ``missing``, ``closed``, ``gap``, ``bridge``, ``particle`` where they are plain.

    Args:
        places: See `find_places`.
        image: float32 [H, W].
        compared: The design on it.
    """
    scope = compared.microscope
    smooth = np.asarray(cv2.GaussianBlur(image, (0, 0), _SMOOTHING), np.float32)
    tone = (smooth - scope.ground) / (scope.top - scope.ground or 1.0)  # 0 as the ground, 1 as the feature
    islands, holes = (_Parts(side * compared.drawn > 0) for side in (1, -1))
    return tuple(replace(each, label=_name(each, tone, islands, holes, compared)) for each in places)


class _Parts:
    """The connected parts of the feature, or of the ground."""

    def __init__(self, inside: Bools) -> None:
        count, numbers = cv2.connectedComponents(inside.astype(np.uint8), connectivity=8)
        self.numbers = np.asarray(numbers, np.int32)
        self.areas = np.bincount(self.numbers.ravel(), minlength=count)
        edge = np.concatenate([numbers[0], numbers[-1], numbers[:, 0], numbers[:, -1]])
        self.bounded = np.ones(count, bool)
        self.bounded[np.unique(edge)] = False

    def of(self, mask: Bools) -> int:
        """The part that a mask covers most of; 0 for none."""
        counts = np.bincount(self.numbers[mask])
        return int(counts[1:].argmax()) + 1 if len(counts) > 1 and counts[1:].any() else 0


def _name(place: Place, tone: Float32, islands: _Parts, holes: _Parts, compared: Compared) -> str:
    scope, forgiven = compared.microscope, compared.forgiven
    mask = np.zeros(tone.shape, bool)
    box = (slice(place.y, place.y + place.height), slice(place.x, place.x + place.width))
    mask[box] = np.abs(compared.scores[box]) >= _EXTENT * place.score
    added = place.brighter == (scope.top > scope.ground)
    side = -1 if added else 1  # where what was added, or lacks, should not be
    if float(np.median(side * compared.drawn[mask])) < 0:  # brighter than the brighter side, or darker than the other
        return PARTICLE if float(np.abs(compared.drawn[mask]).max()) >= _DEEP * forgiven else DEFECT
    parts, around = (holes, islands) if added else (islands, holes)
    depth = float((side * compared.drawn[mask]).max())
    level = tone if added else 1 - tone
    number = parts.of(mask)
    changed = number > 0 and float((level[parts.numbers == number] > _MOSTLY).mean()) >= _MOSTLY
    if changed and (not added or parts.bounded[number] or parts.areas[number] < _SMALL * mask.size):
        return CLOSED if added else MISSING
    likeness = float(np.median(level[mask]))  # 1 if it looks like what should not be there
    flat = depth >= _DEEP * forgiven
    if likeness > _MOSTLY and not flat:
        joined = _joins(mask, around, round(forgiven) + 2)
        return (BRIDGE if added else GAP) if joined else MISSING if not added and depth >= _INNER * forgiven else DEFECT
    if not flat or likeness < _FAINT:
        return DEFECT
    return MISSING if likeness > _MOSTLY and not added else PARTICLE


def _joins(mask: Bools, around: _Parts, reach: int) -> bool:
    """Whether a mask touches two parts that nothing else joins nearby."""
    x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
    window = (slice(max(y - 2 * reach, 0), y + height + 2 * reach), slice(max(x - 2 * reach, 0), x + width + 2 * reach))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    near = cv2.dilate(mask[window].astype(np.uint8), disc) > 0
    _, numbers = cv2.connectedComponents((around.numbers[window] > 0).astype(np.uint8), connectivity=8)
    return len(np.setdiff1d(np.unique(numbers[near]), [0])) > 1
