"""Writes the labels of a review: for this package, for detectors, and for Label Studio."""

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sem_lightning.data.export.annotations import yolo_line
from sem_lightning.errors import SettingError
from sem_lightning.io.atomic import atomic_file, atomic_folder, write_json
from sem_lightning.io.csv_rows import write_row
from sem_lightning.io.dataset_format import LABELS
from sem_lightning.io.gray_image import open_image
from sem_lightning.io.images import ImageError
from sem_lightning.review.images import list_review_images
from sem_lightning.review.labels import Reviewed, ReviewedImage, collect_labels
from sem_lightning.review.store import STORE, LabelStore
from sem_lightning.synthesis.defects.mix import GOOD

COCO, LABEL_STUDIO, YOLO = "coco.json", "label_studio.json", "yolo"
FROM_CHOICE, FROM_BOXES, TO_NAME = "class", "boxes", "image"  # names in a Label Studio project
LOCAL_FILES = "/data/local-files/?d="  # where Label Studio serves files from
_YOLO_FACTS, _YOLO_LIST = "yolo.yaml", "images.txt"


def export_review(images: Path, output: Path) -> tuple[Reviewed, list[str]]:
    """Write the labels of a review into its output, see `export_labels`.

    Args:
        images: The reviewed folder.
        output: Holds the answers.

    Returns:
        The outcome, and what was written.

    Raises:
        SettingError: There are no answers.
    """
    if not (output / STORE).is_file():
        raise SettingError("output", f"{output} holds no {STORE}; review images first")
    store = LabelStore(output / STORE)
    try:
        found = collect_labels(list_review_images(images, output), store.valid_answers())
    finally:
        store.close()
    return found, export_labels(found.images, output)


def export_labels(images: Sequence[ReviewedImage], folder: Path) -> list[str]:
    """Write ``labels.csv``, ``coco.json``, ``label_studio.json`` and ``yolo/``.

    Args:
        images: See `sem_lightning.review.labels.collect_labels`.
        folder: Where they go. Names of images are relative to it.

    Returns:
        What was written.

    Raises:
        OSError: The folder cannot be written to, or the disk is full.
    """
    classes = sorted({each.label for each in images} - {GOOD})
    sizes = [_read_size(each) for each in images]
    kept = [(each, size) for each, size in zip(images, sizes, strict=True) if size is not None]
    _write_listing(folder / LABELS, [each for each, _ in kept])
    write_json(folder / COCO, _as_coco(kept, classes, folder))
    write_json(folder / LABEL_STUDIO, [_as_task(each, size) for each, size in kept])
    _write_yolo(folder / YOLO, kept, classes)
    return [LABELS, COCO, LABEL_STUDIO, YOLO]


def _read_size(reviewed: ReviewedImage) -> tuple[int, int] | None:
    """Height and width of the whole file; ``None`` if it cannot be read any more."""
    try:
        shape = open_image(reviewed.image.path, crop_data_bar=False).pixels.shape
    except ImageError:
        return None
    return shape[0], shape[1]


def _relative(reviewed: ReviewedImage, folder: Path) -> str:
    return Path(os.path.relpath(reviewed.image.path.absolute(), folder.absolute())).as_posix()


def _write_listing(path: Path, images: Sequence[ReviewedImage]) -> None:
    with atomic_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        write_row(stream, ["filename", "label"])
        for each in images:
            write_row(stream, [Path(_relative(each, path.parent)), each.label])


Kept = Sequence[tuple[ReviewedImage, tuple[int, int]]]


def _as_coco(images: Kept, classes: Sequence[str], folder: Path) -> dict[str, Any]:
    """COCO's format for detection (https://cocodataset.org/#format-data), good having no category."""
    ids = {name: number for number, name in enumerate(classes, start=1)}
    annotations: list[dict[str, Any]] = []
    for number, (each, _) in enumerate(images, start=1):
        for box in each.boxes:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": ids[each.label],
                    "bbox": [box.x, box.y, box.width, box.height],
                    "area": box.width * box.height,
                    "iscrowd": 0,
                }
            )
    return {
        "info": {"description": "reviewed SEM images"},
        "categories": [{"id": number, "name": name} for name, number in ids.items()],
        "images": [
            {"id": number, "file_name": _relative(each, folder), "height": height, "width": width, "label": each.label}
            for number, (each, (height, width)) in enumerate(images, start=1)
        ],
        "annotations": annotations,
    }


def _write_yolo(target: Path, images: Kept, classes: Sequence[str]) -> None:
    """A folder for Ultralytics: links to the images, a text file beside each, a list, and ``yolo.yaml``.

    Defective images without boxes are left out, because a detector would learn that nothing is there.
    """
    numbers = {name: number for number, name in enumerate(classes)}
    if (target / _YOLO_FACTS).is_file():  # of an earlier export; a folder of anything else is not replaced
        shutil.rmtree(target)
    listed = []
    with atomic_folder(target) as folder:
        for number, (each, shape) in enumerate(images):
            if each.label != GOOD and not each.boxes:
                continue
            name = f"{number:06d}{each.image.path.suffix.lower()}"
            (folder / name).symlink_to(each.image.path.absolute())
            lines = "".join(yolo_line(numbers[each.label], astuple(box), shape) for box in each.boxes)
            (folder / name).with_suffix(".txt").write_text(lines)
            listed.append(f"./{name}\n")
        names = "".join(f"  {number}: {json.dumps(name)}\n" for name, number in numbers.items())
        (folder / _YOLO_LIST).write_text("".join(listed))
        (folder / _YOLO_FACTS).write_text(f"train: {_YOLO_LIST}\nval: {_YOLO_LIST}\nnames:\n{names}")


def _as_task(reviewed: ReviewedImage, shape: tuple[int, int]) -> dict[str, Any]:
    """A task of Label Studio with its annotation (https://labelstud.io/guide/task_format)."""
    height, width = shape
    sizes = {"original_width": width, "original_height": height, "to_name": TO_NAME}
    choice = {**sizes, "from_name": FROM_CHOICE, "type": "choices", "value": {"choices": [reviewed.label]}}
    boxes = [
        {
            **sizes,
            "from_name": FROM_BOXES,
            "type": "rectanglelabels",
            "value": {
                "x": 100 * box.x / width,
                "y": 100 * box.y / height,
                "width": 100 * box.width / width,
                "height": 100 * box.height / height,
                "rotation": 0,
                "rectanglelabels": [reviewed.label],
            },
        }
        for box in reviewed.boxes
    ]
    return {"data": {"image": LOCAL_FILES + quote(reviewed.image.name)}, "annotations": [{"result": [choice, *boxes]}]}
