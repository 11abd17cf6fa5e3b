"""Joins differing pixels into places."""

import cv2
import numpy as np

from sem_lightning.inspection.inspection import DEFECT, Place
from sem_lightning.synthesis.field import Float32

CANDIDATE_SCORE = 3.5  # from which a network looks at a place
_EXTENT = 0.5  # share of the least score at which a place ends
_JOINED = 3  # pixels between parts that are one place
_MOST = 200  # places of an image that are listed


def find_places(difference: Float32, least: float) -> tuple[Place, ...]:
    """Connected parts of a difference with a score of ``least`` or more, the strongest first.

    Args:
        difference: float32 [H, W], see `compare`.
        least: Least score of a place's strongest pixel; its box covers neighbouring pixels of half that score.
    """
    size = np.abs(difference)
    if not (size >= least).any():
        return ()
    differing = (size >= _EXTENT * least).astype(np.uint8)
    near = cv2.dilate(differing, np.ones((_JOINED, _JOINED), np.uint8))
    count, found = cv2.connectedComponents(near, connectivity=8)
    numbers = np.where(differing > 0, found, 0).astype(np.int64)
    highest = np.zeros(count)
    np.maximum.at(highest, numbers[differing > 0], size[differing > 0])
    chosen = [int(number) for number in np.argsort(-highest) if number and highest[number] >= least][:_MOST]
    return tuple(_describe(difference, numbers == number) for number in chosen)


def _describe(difference: Float32, inside: "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]") -> Place:
    x, y, width, height = cv2.boundingRect(inside.astype(np.uint8))
    scores = difference[inside]
    peak = float(scores[np.argmax(np.abs(scores))])
    return Place(x, y, width, height, DEFECT, round(abs(peak), 3), len(scores), peak > 0)
