"""The pointing game: whether explanations peak on the defect (J. Zhang et al., ECCV 2016)."""

import itertools
from collections import Counter
from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from sem_lightning.data.labelled_image import LabelledImage
from sem_lightning.decision.intervals import wilson_interval
from sem_lightning.errors import SettingError
from sem_lightning.inference.prediction import Prediction
from sem_lightning.inference.predictor import Predictor
from sem_lightning.io.images import ImageError
from sem_lightning.model.saliency import check_captum

_AT_ONCE = 64


def play_pointing_game(
    predictor: Predictor, items: Iterable[LabelledImage | ImageError], defects: int
) -> dict[str, Any]:
    """The share of defects whose explanation peaks inside the box around the defect's mask.

    Args:
        predictor: A Predictor with ``explain=True``.
        items: Labelled images; the first class has no defects.
        defects: Number of defective images with a mask; the first ones are used.

    Returns:
        For ``heatmap`` (the network's own map) and ``saliency`` (captum): ``events``, ``trials``, ``interval_95``.

    Raises:
        SettingError: There is no class good, or no defective image with a mask.
        UserError: The extra ``explain`` is missing.
    """
    check_captum()
    if not predictor.settings.knows_good:
        raise SettingError("explain", "the pointing game needs a class named good; use explain=0")
    with_masks = (
        item for item in items if isinstance(item, LabelledImage) and item.label > 0 and bool((item.mask == 1).any())
    )
    hits = Counter(heatmap=0, saliency=0)
    trials = 0
    chosen = itertools.islice(with_masks, defects)
    while batch := list(itertools.islice(chosen, _AT_ONCE)):
        for item, found in zip(batch, predictor.stream([item.image for item in batch]), strict=True):
            if not isinstance(found, Prediction) or found.saliency is None:
                continue
            trials += 1
            hits["heatmap"] += points_at(found.heatmap, item.mask)
            hits["saliency"] += points_at(found.saliency, item.mask)
    if not trials:
        raise SettingError("explain", "no defective image has a mask; use explain=0")
    return {
        name: {"events": count, "trials": trials, "interval_95": list(wilson_interval(count, trials))}
        for name, count in hits.items()
    }


def points_at(explanation: npt.NDArray[np.float32], mask: npt.NDArray[np.uint8]) -> bool:
    """Whether an explanation (of any resolution) peaks inside the box around a defect's mask."""
    full = cv2.resize(explanation, mask.shape[::-1], interpolation=cv2.INTER_CUBIC)
    row, column = np.unravel_index(int(full.argmax()), full.shape)
    x, y, width, height = cv2.boundingRect((mask == 1).astype(np.uint8))
    return bool(x <= column < x + width and y <= row < y + height)
