"""Answers to clients, as plain values."""

import dataclasses
from typing import Any

from sem_lightning.inference.prediction import Prediction
from sem_lightning.inspection.inspection import Inspection
from sem_lightning.inspection.writers import describe_place, describe_registration
from sem_lightning.io.result_files import without_nan

_DIGITS = 6


def answer_prediction(name: str, found: Prediction) -> dict[str, Any]:
    """What a classifier says about an image.

    Args:
        name: What the client calls it.
        found: The prediction.
    """
    plain: dict[str, Any] = without_nan(
        {
            "name": name,
            "label": found.label,
            "decision": found.decision,
            "reason": found.reason,
            "probabilities": {label: round(p, _DIGITS) for label, p in found.probabilities.items()},
            "ood_score": found.ood_score,
            "places": [dataclasses.asdict(region) for region in found.regions],
            **_describe_file(found),
            "inverted": found.inverted,
        }
    )
    return plain


def answer_inspection(name: str, found: Inspection) -> dict[str, Any]:
    """How an image differs from its references.

    Args:
        name: What the client calls it.
        found: The inspection.
    """
    plain: dict[str, Any] = without_nan(
        {
            "name": name,
            "decision": found.decision,
            "reason": found.reason,
            "places": [describe_place(place, found.pixel_size) for place in found.places],
            "registration": describe_registration(found.registration),
            **_describe_file(found),
            "remarks": list(found.remarks),
        }
    )
    return plain


def _describe_file(found: Prediction | Inspection) -> dict[str, Any]:
    return {
        "height": found.shape[0],
        "width": found.shape[1],
        "pixel_size_nm": found.pixel_size,
        "data_bar_rows": found.data_bar_rows,
    }
