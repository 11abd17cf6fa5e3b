"""Opens what a service needs, from plain values."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from sem_lightning.inference.predictor import load
from sem_lightning.inspection.inspector import Inspector
from sem_lightning.serving.access import Access
from sem_lightning.serving.app import Service
from sem_lightning.serving.limits import ServiceLimits
from sem_lightning.serving.metrics import ServiceMetrics
from sem_lightning.serving.worker import Worker


def open_service(
    ckpt: str,
    predictor_options: Mapping[str, Any],
    inspector_options: Mapping[str, Any],
    limits: ServiceLimits,
    access: Access,
) -> Service:
    """A service that has judged an image, so that the first request waits no longer than others.

    Args:
        ckpt: A checkpoint, a folder of sem-export, or the classifier in the package; its name stands in the answers.
        predictor_options: Of the `Predictor`.
        inspector_options: Of the `Inspector`.
        limits: Of requests.
        access: Who may ask.

    Raises:
        UserError: No such classifier, or the extra that runs it is not installed.
        SettingError: Options that do not fit it, or it compares images.
    """
    predictor = load(ckpt, **predictor_options)
    inspector = Inspector(**inspector_options)
    list(predictor.stream([np.zeros((predictor.settings.image_size,) * 2, np.uint8)]))
    metrics = ServiceMetrics()
    return Service(Worker(predictor, inspector, limits, metrics), limits, access, metrics, ckpt)
