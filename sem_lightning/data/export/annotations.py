"""Object annotations for training detectors: COCO JSON and YOLO text."""

from pathlib import Path
from typing import Any

import numpy as np

from sem_lightning.synthesis.simulator import Instance, Sample


def coco_annotations(sample: Sample, category_ids: dict[str, int]) -> list[dict[str, Any]]:
    """The defects of an image as COCO annotations without ids (https://cocodataset.org/#format-data)."""
    return [
        {
            "category_id": category_ids[instance.label],
            "bbox": list(instance.box),
            "area": int(instance.mask.sum()),
            "segmentation": _run_lengths(instance, sample.image.shape),
            "iscrowd": 0,
            "severity": round(instance.severity, 6),
        }
        for instance in sample.instances
    ]


def _run_lengths(instance: Instance, shape: tuple[int, ...]) -> dict[str, Any]:
    """COCO's uncompressed run-length encoding: lengths of runs of 0s, 1s, 0s, ... in column order.

    Own code, because sets are byte-identical from run to run and pycocotools needs the whole mask; tests compare both.
    """
    x, y, width, height = instance.box
    columns = np.zeros((width, shape[0]), np.uint8)  # only the columns of the box hold 1s
    columns[:, y : y + height] = instance.mask.T
    flat = columns.ravel()
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    ends = np.concatenate([[0], changes, [flat.size]])
    counts = [int(length) for length in np.diff(ends)]
    if flat.size and flat[0]:
        counts.insert(0, 0)
    counts[0:1] = [counts[0] + x * shape[0]] if counts else [0]
    rest = shape[0] * shape[1] - sum(counts)
    if len(counts) % 2:  # the last run is of 0s
        counts[-1] += rest
    else:
        counts.append(rest)
    return {"size": [int(shape[0]), int(shape[1])], "counts": counts}


def yolo_text(sample: Sample, category_ids: dict[str, int]) -> str:
    """One line for each defect; classes are counted from 0."""
    shape = (sample.image.shape[0], sample.image.shape[1])
    return "".join(yolo_line(category_ids[each.label] - 1, each.box, shape) for each in sample.instances)


def yolo_line(number: int, box: tuple[int, int, int, int], shape: tuple[int, int]) -> str:
    """A line of YOLO text: class from 0, then centre and size of the box relative to the image.

    Args:
        number: The class.
        box: Left edge, upper edge, width and height, pixels.
        shape: Height and width of the image.
    """
    x, y, wide, high = box
    height, width = shape
    numbers = ((x + wide / 2) / width, (y + high / 2) / height, wide / width, high / height)
    return " ".join([str(number), *(f"{each:.6f}" for each in numbers)]) + "\n"


def find_images_folder(root: Path) -> Path | None:
    """The last folder called ``images`` on the way to the images of a set; ``None`` if there is none.

    Ultralytics looks for the labels of an image where the last ``/images/`` of its path is ``/labels/``, and finds none
    for images whose labels are beside them.
    """
    return next((folder for folder in (root, *root.parents) if folder.name == "images"), None)
