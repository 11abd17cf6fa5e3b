"""Reads labels that were made elsewhere into a store: ``labels.csv``, COCO, Label Studio."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from sem_lightning.data.listing import read_listing
from sem_lightning.errors import SettingError, UserError
from sem_lightning.review.answers import Answer, Box, check_reviewer
from sem_lightning.review.exporting import LOCAL_FILES
from sem_lightning.review.images import ReviewImage, list_review_images
from sem_lightning.review.review_settings import check_classes
from sem_lightning.review.store import STORE, LabelStore
from sem_lightning.synthesis.defects.mix import GOOD

_MOST_BYTES = 512 << 20
_UPLOADED = re.compile(r"^[0-9a-f]{8}-")  # what Label Studio puts before the name of an uploaded file


@dataclass(frozen=True)
class ImportedLabel:
    """A label of a file: the image's name as it stands there, its class, and boxes."""

    name: str
    label: str
    boxes: tuple[Box, ...] = ()


def import_review(file: Path, images: Path, output: Path, reviewer: str | None) -> tuple[int, int]:
    """Store the labels of a file in the answers of a review, see `import_labels`.

    Args:
        file: The labels.
        images: The reviewed folder.
        output: Holds the answers.
        reviewer: Whose answers they become; ``None`` takes the name of the file.
    """
    found = list_review_images(images, output)
    output.mkdir(parents=True, exist_ok=True)
    store = LabelStore(output / STORE)
    try:
        return import_labels(file, found, store, reviewer or file.name)
    finally:
        store.close()


def import_labels(file: Path, images: Sequence[ReviewImage], store: LabelStore, reviewer: str) -> tuple[int, int]:
    """Store the labels of a file as the answers of a reviewer, all or none.

    An image is found by its path, by its path below the reviewed folder, or by its file name if only one has it.

    Args:
        file: ``labels.csv``, or JSON of COCO or Label Studio.
        images: See `list_review_images`.
        store: Where they go.
        reviewer: Whose answers they become.

    Returns:
        The number of answers, and of labels whose image is not there.

    Raises:
        UserError: A file that is none of these, or a label that cannot be one.
    """
    who = check_reviewer(reviewer)
    labels = list(_read(file))
    check_classes(sorted({each.label for each in labels}))
    find = _Finder(images, file.parent)
    try:
        found = [(find(each.name), each) for each in labels]
        answers = [Answer(at.name, at.sha256, who, said.label, said.boxes) for at, said in found if at is not None]
    except SettingError as error:
        raise UserError(f"{file}: {error}") from None
    known = {(a.answer.image, a.answer.sha256, a.answer.label, a.answer.boxes) for a in store.valid_answers()
             if a.answer.reviewer == who}  # fmt: skip
    new = [each for each in answers if (each.image, each.sha256, each.label, each.boxes) not in known]
    if new:
        store.add(new, f"import {store.count_rows()}")
    return len(answers), len(labels) - len(answers)


class _Finder:
    """Finds images by the names of other programs."""

    def __init__(self, images: Sequence[ReviewImage], folder: Path) -> None:
        shown = [image for image in images if image.error is None]
        self._folder = folder
        self._by_path = {image.path.absolute().resolve(): image for image in shown}
        self._by_name = {image.name: image for image in shown}
        counts = Counter(image.path.name for image in shown)
        self._by_file_name = {image.path.name: image for image in shown if counts[image.path.name] == 1}

    def __call__(self, name: str) -> ReviewImage | None:
        try:
            path = (self._folder / name).resolve()
        except (OSError, ValueError, RuntimeError):  # no name of a file
            return None
        last = name.rpartition("/")[2]
        found = self._by_path.get(path) or self._by_name.get(name) or self._by_file_name.get(last)
        return found or self._by_file_name.get(_UPLOADED.sub("", last))


def _read(file: Path) -> Iterator[ImportedLabel]:
    if file.suffix.lower() == ".csv":
        yield from (ImportedLabel(each.name or str(each.path), each.label) for each in read_listing(file)[0])
        return
    if not file.is_file() or file.stat().st_size > _MOST_BYTES:
        raise SettingError("labels", f"{file}: expected labels.csv, or JSON of COCO or Label Studio, below 512 MiB")
    try:
        content: Any = json.loads(file.read_bytes())
        if isinstance(content, dict) and "annotations" in content:
            yield from _of_coco(content)
        elif isinstance(content, list):
            yield from filter(None, map(_of_task, content))
        else:
            raise TypeError("neither of both")
    except SettingError as error:
        raise UserError(f"{file}: {error}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{file}: not JSON of COCO or Label Studio ({type(error).__name__}: {error})") from None


def _of_coco(content: dict[str, Any]) -> Iterator[ImportedLabel]:
    """An image's class is that of its boxes, or ours beside the file name; without either it is good."""
    names = {each["id"]: str(each["name"]) for each in content["categories"]}
    boxes: dict[Any, list[tuple[str, Box]]] = {}
    for each in content["annotations"]:
        boxes.setdefault(each["image_id"], []).append((names[each["category_id"]], _box(*each["bbox"])))
    for image in content["images"]:
        found = boxes.get(image["id"], [])
        most = Counter(name for name, _ in found).most_common(1)
        label = str(image.get("label") or (most[0][0] if most else GOOD))
        yield ImportedLabel(str(image["file_name"]), label, tuple(box for name, box in found if name == label))


def _of_task(task: dict[str, Any]) -> ImportedLabel | None:
    done = [each for each in task.get("annotations", []) if not each.get("was_cancelled")]
    if not done:
        return None
    label, boxes = "", []
    for each in done[-1]["result"]:
        value = each["value"]
        if each["type"] == "choices":
            label = str(value["choices"][0])
        elif each["type"] == "rectanglelabels":
            label = label or str(value["rectanglelabels"][0])
            sizes = (each["original_width"], each["original_height"]) * 2
            share = (value["x"], value["y"], value["width"], value["height"])
            boxes.append(_box(*(part * size / 100 for part, size in zip(share, sizes, strict=True))))
    name = next(value for value in task["data"].values() if isinstance(value, str))
    return ImportedLabel(unquote(name.removeprefix(LOCAL_FILES)), label or GOOD, tuple(boxes))


def _box(x: float, y: float, width: float, height: float) -> Box:
    left, top = round(x), round(y)
    return Box(left, top, max(1, round(x + width) - left), max(1, round(y + height) - top))
