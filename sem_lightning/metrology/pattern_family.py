"""Finds the pattern family of an image: lines and spaces, or wires of a metal layer."""

import cv2
import numpy as np

from sem_lightning.errors import NotMeasuredError
from sem_lightning.io.images import center_crop
from sem_lightning.metrology.edges import noise_level
from sem_lightning.metrology.orientation import Orientation, find_orientation, refine, upright
from sem_lightning.metrology.polarity_estimate import LARGEST, VISIBLE, bright_pieces
from sem_lightning.synthesis.field import Float32

_FLAT = 1e-3  # standard deviation of an empty image, of full scale
_LEAST_STRENGTH = 1.5  # power of gradients relative to noise
_STRAIGHT = 0.78  # share of the variance from which lines have no ends
_BLURS = (2.0, 1.0)  # pixels; the second is for fine lines
_ONE_WAY = 0.4  # coherence from which wires have one main direction
_AGREE = 8.0  # degrees by which quarters of an image may differ


def find_family(image: Float32, known: str | None = None) -> str:
    """``line_space`` or ``routing``; ``known`` is the family where the user has named it.

    Raises:
        NotMeasuredError: The image shows no pattern, several patterns, or, without ``known``, another family.
    """
    if float(image.std()) < _FLAT:
        raise NotMeasuredError("one flat colour; there is nothing to measure")
    whole = find_orientation(image)
    if whole.strength < _LEAST_STRENGTH:
        raise NotMeasuredError("no pattern of lines or wires: nothing but noise")
    if known is None and whole.family is None:
        raise NotMeasuredError(
            f"no pattern of lines or wires (gradients have one direction to {whole.coherence:.0%}, two to "
            f"{whole.cross:.0%}); holes and free shapes are not fitted: choose pattern settings by hand"
        )
    rows, columns = image.shape[0] // 2, image.shape[1] // 2
    quarters = [np.ascontiguousarray(image[r : r + rows, c : c + columns]) for r in (0, rows) for c in (0, columns)]
    angles = [there.angle for part in quarters if is_straight(part, there := find_orientation(part))]
    if len(angles) >= 3 and max(abs((angle - angles[0] + 90) % 180 - 90) for angle in angles) > _AGREE:
        raise NotMeasuredError("several patterns in one image; cut out one of them")
    if known is not None:
        return known
    return "line_space" if is_straight(image, whole) and len(angles) == len(quarters) else "routing"


def is_straight(image: Float32, orientation: Orientation) -> bool:
    """Whether an image shows lines without ends: the mean along them keeps most of the variance without noise."""
    if orientation.family != "line_space" or orientation.strength < _LEAST_STRENGTH:
        return False
    turned = upright(image, refine(image, orientation.angle))
    noise = noise_level(image) ** 2 / (4 * np.pi)
    for blur in _BLURS:
        smooth = np.asarray(cv2.GaussianBlur(turned, (0, 0), blur), np.float32)
        if float(smooth.mean(axis=0).var()) > _STRAIGHT * max(float(smooth.var()) - noise / blur**2, 1e-9):
            return True
    return False


def find_direction(image: Float32) -> str:
    """The direction of most wires: ``vertical``, ``horizontal`` or ``either``."""
    found = find_orientation(image)
    if found.coherence < _ONE_WAY:
        return "either"
    return "vertical" if abs(found.angle) < 45 else "horizontal"


def wire_end_balance(image: Float32) -> float:
    """`bright_pieces` for an image of wires, else 0, because noise breaks the rims of lines into apparent ends."""
    pieces = bright_pieces(image)
    try:
        return pieces if abs(pieces) >= VISIBLE and find_family(center_crop(image, LARGEST)) == "routing" else 0.0
    except NotMeasuredError:
        return 0.0
