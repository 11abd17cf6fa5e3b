"""Pictures without a pattern: the packaged classifier gives no verdict, and says why."""

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from kind import Kind
from no_pattern_pictures import KINDS, Draw, Gray

import sem_lightning as sl
from sem_lightning.metrology.usability import FAULTS

_SEED, _EACH = 28, 22


def kinds(each: int = _EACH) -> Iterable[Kind]:
    """``each`` pictures of every kind, as files."""
    _ = (
        sl.load
    )  # imports torch once; a classifier that has computed here would wait for its threads in forked processes
    for number, draw in enumerate(KINDS):
        for index in range(each):
            rng = np.random.default_rng([_SEED, number, index])
            yield Kind(f"{draw.__name__.replace('_', ' ')} {index}", partial(_check, draw, rng))


def _check(draw: Callable[[Draw], Gray], rng: Draw, folder: Path) -> str | None:
    picture = draw(rng)
    cv2.imwrite(str(folder / "picture.png"), picture)
    found = sl.load("robust", device="cpu").predict(folder)[0]
    if found.decision == "unsure" and found.reason in FAULTS:
        return None
    return f"{found.decision}, reason {found.reason}, {picture.shape[1]} x {picture.shape[0]} pixels"
