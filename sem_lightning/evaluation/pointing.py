"""Do pictures that explain an answer point at the defect? (the pointing game, J. Zhang et al., ECCV 2016)"""

import itertools
from collections import Counter
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from sem_lightning.errors import SettingError
from sem_lightning.evaluation.metrics import wilson_interval
from sem_lightning.model.classifier import SEMClassifier
from sem_lightning.model.saliency import check_captum, saliency, upsample

_BATCH = 32


def measure_pointing(
    classifier: SEMClassifier, dataset: "Dataset[dict[str, Any]]", defects: int, negative: bool = False
) -> dict[str, Any]:
    """The share of defects whose explanation peaks inside the box around the defect's mask.

    Args:
        classifier: In evaluation mode, on the CPU.
        dataset: Labelled images, the first class without defects.
        defects: How many defective images to take, the first ones of the data set.
        negative: Whether their negatives are judged.

    Returns:
        For ``heatmap`` (the network's own map) and ``saliency`` (captum): ``events``, ``trials``, ``interval_95``.

    Raises:
        SettingError: No class good, or no defective image with a mask.
        UserError: Without the extra ``explain``.
    """
    check_captum()
    if not classifier.knows_good:
        raise SettingError("explain", "it points at what is not good, and no class is named good; use explain=0")
    with_masks = (
        item
        for item in (dataset[index] for index in range(len(dataset)))  # type: ignore[arg-type]
        if item["label"] > 0 and bool((item["mask"] == 1).any())
    )
    hits = Counter(heatmap=0, saliency=0)
    trials = 0
    chosen = itertools.islice(with_masks, defects)
    while batch := list(itertools.islice(chosen, _BATCH)):
        trials += len(batch)
        hits.update(_count_hits(classifier, batch, negative))
    if not trials:
        raise SettingError("explain", "no defective image here has a mask to point at; use explain=0")
    return {
        name: {"events": count, "trials": trials, "interval_95": list(wilson_interval(count, trials))}
        for name, count in hits.items()
    }


def _count_hits(classifier: SEMClassifier, batch: list[dict[str, Any]], negative: bool) -> dict[str, int]:
    images = torch.stack([1 - item["image"] if negative else item["image"] for item in batch])
    with torch.no_grad():
        prediction = classifier(images)
        heat = upsample(classifier.heatmap(prediction), (images.shape[2], images.shape[3])).numpy()
        believed: Tensor = 1 + prediction.logits[:, 1:].argmax(dim=1)  # the defect it would be, whatever is decided
    maps = {"heatmap": heat, "saliency": saliency(classifier, images, believed)}
    return {
        name: sum(_points_at(one, item["mask"].numpy()) for one, item in zip(every, batch, strict=True))
        for name, every in maps.items()
    }


def _points_at(explanation: npt.NDArray[np.float32], mask: npt.NDArray[np.uint8]) -> bool:
    row, column = np.unravel_index(int(explanation.argmax()), explanation.shape)
    x, y, width, height = cv2.boundingRect((mask == 1).astype(np.uint8))
    return bool(x <= column < x + width and y <= row < y + height)
