"""Joins differing pixels into places."""

from dataclasses import replace

import cv2
import numpy as np

from sem_lightning.inspection.inspection import DEFECT, Place
from sem_lightning.synthesis.field import Float32

CANDIDATE_SCORE = 3.0  # from which a network looks at a place
CANDIDATES = 16  # of an image that it looks at, those with the highest scores
_EXTENT = 0.5  # share of the least score at which a place ends
_JOINED = 3  # pixels between parts that are one place
_MOST = 200  # places of an image that are listed
_APART = 5  # pixels between two peaks at least
_REACH = 32  # pixels around a peak that can belong to it


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


def find_peaks(difference: Float32, least: float, most: int) -> tuple[Place, ...]:
    """The highest peaks of a difference, each with the connected part of half its height around it.

    Low limits join much of a noisy image to one place, in which a network would not know where to look.

    Args:
        difference: float32 [H, W], see `compare`.
        least: Least score of a peak.
        most: Peaks at most, the strongest first.
    """
    size = np.abs(difference)
    highest = np.asarray(cv2.dilate(size, np.ones((2 * _APART + 1, 2 * _APART + 1), np.uint8)))
    rows, columns = np.nonzero((size == highest) & (size >= least))
    order = np.argsort(-size[rows, columns], kind="stable")[:most]
    return tuple(_describe_peak(difference, size, int(rows[each]), int(columns[each])) for each in order)


def peak_scores(difference: Float32) -> tuple[float, ...]:
    """The scores of all local maxima from `CANDIDATE_SCORE`, or of the highest pixel if there are none; falling.

    Each of `find_places` holds one of at least its limit. So no limit shows more places than peaks reach it, and the
    number of these falls with the limit, which that of places does not: a low limit joins them.

    Args:
        difference: float32 [H, W], see `compare`.
    """
    size = np.abs(difference)
    if size.max() < CANDIDATE_SCORE:
        return (float(size.max()),)
    highest = np.asarray(cv2.dilate(size, np.ones((3, 3), np.uint8)))
    peaks = size[(size == highest) & (size >= CANDIDATE_SCORE)]
    return tuple(float(peak) for peak in np.sort(peaks)[::-1])


def _describe_peak(difference: Float32, size: Float32, row: int, column: int) -> Place:
    top, left = max(row - _REACH, 0), max(column - _REACH, 0)
    window = (slice(top, row + _REACH + 1), slice(left, column + _REACH + 1))
    _, parts = cv2.connectedComponents((size[window] >= _EXTENT * size[row, column]).astype(np.uint8), connectivity=8)
    found = _describe(difference[window], parts == parts[row - top, column - left])
    return replace(found, x=found.x + left, y=found.y + top)


def _describe(difference: Float32, inside: "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]") -> Place:
    x, y, width, height = cv2.boundingRect(inside.astype(np.uint8))
    scores = difference[inside]
    peak = float(scores[np.argmax(np.abs(scores))])
    return Place(x, y, width, height, DEFECT, round(abs(peak), 3), len(scores), peak > 0)
