"""Results of comparisons, without a comparison."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from sem_lightning.inspection.inspection import DEFECT, Inspection, Place, Registration

PLACE = Place(x=10, y=20, width=8, height=4, label="bridge", score=9.123456, area=25, brighter=True)


def make_registration(**changes: Any) -> Registration:
    """A reference that lies 3 pixels to the right and 2 up, turned by 1 degree and 1 % larger, on 64 x 64 pixels."""
    turn = 1.01 * np.array([[np.cos(np.pi / 180), -np.sin(np.pi / 180)], [np.sin(np.pi / 180), np.cos(np.pi / 180)]])
    middle = np.array([31.5, 31.5])
    matrix = np.column_stack([turn, np.add(middle, (3, -2)) - turn @ middle])
    known = Registration(matrix, 0.95, 0.9, 0.04, np.zeros(64, np.float32), (64, 64))
    return dataclasses.replace(known, **changes)


def make_inspection(**changes: Any) -> Inspection:
    """A comparison that has found a place on 64 x 64 pixels."""
    image = np.random.default_rng(0).random((64, 64), np.float32)
    reference = image.copy()
    reference[:, 60:] = np.nan
    difference = np.zeros_like(image)
    difference[20:24, 10:18] = -9.1
    known = Inspection(
        path=Path("a.tif"), references=("b.tif",), decision=DEFECT, reason=None, places=(PLACE,),
        registration=make_registration(), shape=(64, 64), pixel_size=0.8, data_bar_rows=0, remarks=("A remark.",),
        image=image, reference=reference, difference=difference,
    )  # fmt: skip
    return dataclasses.replace(known, **changes)


def make_good(**changes: Any) -> Inspection:
    return make_inspection(**({"decision": "good", "places": ()} | changes))
