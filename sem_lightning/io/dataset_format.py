"""The files of a labelled folder, as written by ``generate.py`` and read by ``data=folder``."""

import math
from typing import Any

from sem_lightning.polarity import POLARITIES

LABELS = "labels.csv"  # filename,label and optionally split; for tar files also the position of each image
DESCRIPTION = "dataset.json"  # classes, pixel size, polarity, counts, configuration
METADATA = "metadata.jsonl"  # one image a line: boxes, severity, the scene
COCO = "annotations.json"
CARD = "README.md"
CHECKSUMS = "checksums.sha256"  # sha256sum -c reads it
PREVIEW = "preview.png"
MASKS = "masks"  # mirrors the folder, with one mask PNG for each image
GROUND_TRUTH = "ground_truth"  # the same in sets like MVTec AD
CLEAN = "clean"  # mirrors the folder, with each image without its defects
MASK_UNKNOWN = 255  # value of mask pixels that are unknown
SPANS = ("image_start", "image_bytes", "mask_start", "mask_bytes")  # columns of labels.csv for tar files


def is_description(content: Any) -> bool:
    """Whether the values of ``dataset.json`` that are used have the right types."""
    if not isinstance(content, dict):
        return False
    classes, polarity = content.get("classes"), content.get("polarity")
    sizes = [content[key] for key in ("pixel_size", "image_size") if content.get(key) is not None]
    return (
        (classes is None or (isinstance(classes, list) and all(isinstance(name, str) for name in classes)))
        and all(isinstance(each, int | float) and 0 < each < math.inf for each in sizes)
        and (len(sizes) == 2 or content.get("pixel_size") is None)
        and (polarity is None or polarity in POLARITIES)
    )


def shard_name(number: int) -> str:
    """File name of a tar file of images."""
    return f"shard-{number:06d}.tar"
