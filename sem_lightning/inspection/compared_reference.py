"""A reference laid on an image, and what several of them say together."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sem_lightning.inspection.difference import compare
from sem_lightning.inspection.inspection import Registration
from sem_lightning.inspection.places import find_places
from sem_lightning.inspection.registration import warp
from sem_lightning.synthesis.field import Float32


@dataclass(frozen=True, eq=False)
class ComparedReference:
    """One reference on the image.

    Attributes:
        name: Its file or a word.
        registration: How it lies there.
        reference: float32 [H, W], registered.
        shown: bool [H, W], where it shows something.
        scores: float32 [H, W], see `compare`.
    """

    name: str
    registration: Registration
    reference: Float32
    shown: npt.NDArray[np.bool_]
    scores: Float32

    @staticmethod
    def of(name: str, image: Float32, reference: Float32, registration: Registration) -> "ComparedReference":
        """The comparison of an image, float32 [H, W], with a reference that was registered on it."""
        moved, shown = warp(reference, registration.matrix, image.shape, registration.row_shifts)
        return ComparedReference(name, registration, moved, shown, compare(image, moved, shown))


def combine_scores(compared: Sequence[ComparedReference]) -> Float32:
    """Of each pixel's scores the median, or the lower one of two in the middle; of the references that show it."""
    if len(compared) == 1:
        return compared[0].scores
    scores = np.stack([each.scores for each in compared])
    shown = np.stack([each.shown for each in compared])
    order = np.argsort(np.where(shown, np.abs(scores), np.inf), axis=0)
    middle = np.maximum((shown.sum(axis=0) - 1) // 2, 0)
    chosen = np.take_along_axis(order, middle[None], axis=0)
    return np.asarray(np.take_along_axis(scores, chosen, axis=0)[0], np.float32)


def name_odd_ones(compared: Sequence[ComparedReference], scores: Float32, least: float) -> list[str]:
    """The references that have a place of their own: the image differs there from this one only."""
    said = []
    for each in compared if len(compared) > 1 else ():
        own = np.where(np.abs(scores) < least / 2, each.scores, np.float32(0))
        count = len(find_places(own, least))
        if count:
            said.append(f"{each.name}: differs at {count} place{'s' * (count > 1)} where the other references do not")
    return said


def describe_periods(compared: ComparedReference) -> list[str]:
    """A remark that the reference fits elsewhere as well, if it does."""
    periods = compared.registration.periods
    if not periods:
        return []
    listed = " or ".join(f"({x:.0f}, {y:.0f})" for x, y in periods)
    return [f"{compared.name}: the pattern repeats itself, so the reference fits {listed} pixels away as well"]
