"""Writes the files that list a whole set once all its parts exist. Only one part's record is in memory at a time."""

import csv
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from sem_lightning.data.export.contact_sheet import draw_contact_sheet
from sem_lightning.data.export.dataset_card import CardFacts, write_card
from sem_lightning.data.export.storage import WriterSettings
from sem_lightning.data.splits import SPLITS
from sem_lightning.io.atomic import write_json
from sem_lightning.io.dataset_format import CARD, CHECKSUMS, COCO, DESCRIPTION, LABELS, METADATA, PREVIEW, SPANS
from sem_lightning.io.images import encode_image
from sem_lightning.synthesis.simulator import Sample

GREY_BINS = 16
_PREVIEW_CELL = 128
_SEVERITY_BINS = 5


@dataclass
class PartRecord:
    """The records of the images of one finished part.

    Attributes:
        rows: Their rows of ``labels.csv``.
        images: Their lines of ``metadata.jsonl``.
        coco: The COCO annotations of each image.
        sums: SHA-256 of each file of the part.
        grey: Number of pixels in each sixteenth of the grey scale.
    """

    rows: list[list[Any]] = field(default_factory=list)
    images: list[dict[str, Any]] = field(default_factory=list)
    coco: list[list[dict[str, Any]]] = field(default_factory=list)
    sums: dict[str, str] = field(default_factory=dict)
    grey: list[int] = field(default_factory=list)

    def to_text(self) -> str:
        return json.dumps(vars(self)) + "\n"

    @staticmethod
    def from_text(text: str) -> "PartRecord":
        return PartRecord(**json.loads(text))


def write_manifest(
    folder: Path,
    records: Iterable[PartRecord],
    settings: WriterSettings,
    facts: CardFacts,
    previews: Sequence[tuple[str, Sequence[Sample]]],
) -> None:
    """Write ``labels.csv``, ``metadata.jsonl``, COCO, the card, the preview, ``dataset.json`` and the checksums.

    Args:
        folder: Holds the images.
        records: Records of all parts, in order.
        settings: File formats of the set.
        facts: Content of the card.
        previews: Class names and their first samples.
    """
    severities = {name: [0] * _SEVERITY_BINS for name in facts.classes[1:]}
    grey = [0] * GREY_BINS
    listed = [LABELS, METADATA, CARD, PREVIEW, DESCRIPTION]
    columns = ["filename", "label", "split", *(SPANS if settings.kind == "shards" else ())]
    with (
        (folder / LABELS).open("w", newline="") as labels,
        (folder / METADATA).open("w") as metadata,
        (folder / CHECKSUMS).open("w") as sums,
    ):
        rows = csv.writer(labels, lineterminator="\n")
        rows.writerow(columns)

        def follow() -> Iterator[tuple[str, list[dict[str, Any]]]]:
            for record in records:
                rows.writerows(record.rows)
                for image in record.images:
                    metadata.write(json.dumps(image) + "\n")
                    for defect in image["scene"]["defects"]:
                        severities[image["label"]][
                            min(int(defect["severity"] * _SEVERITY_BINS), _SEVERITY_BINS - 1)
                        ] += 1
                sums.writelines(f"{checksum}  {name}\n" for name, checksum in sorted(record.sums.items()))
                grey[:] = [a + b for a, b in zip(grey, record.grey, strict=True)]
                yield from zip((row[0] for row in record.rows), record.coco or [[]] * len(record.rows), strict=True)

        if "coco" in settings.annotations:
            listed.append(COCO)
            with (folder / COCO).open("w") as stream:
                _write_coco(stream, follow(), facts)
        else:
            for _ in follow():
                pass
    (folder / PREVIEW).write_bytes(encode_image(draw_contact_sheet(previews, _PREVIEW_CELL), ".png", facts.pixel_size))
    if "yolo" in settings.annotations and settings.kind == "files":
        listed += _write_yolo_lists(folder, facts.classes)
    write_card(folder / CARD, facts, severities, grey)
    write_json(folder / DESCRIPTION, facts.describe())
    with (folder / CHECKSUMS).open("a") as sums:
        for name in sorted(listed):
            with (folder / name).open("rb") as content:
                sums.write(f"{hashlib.file_digest(content, 'sha256').hexdigest()}  {name}\n")


def _write_coco(stream: TextIO, images: Iterator[tuple[str, list[dict[str, Any]]]], facts: CardFacts) -> None:
    """Write COCO JSON of any length. A temporary file holds the annotations until the list of images is complete."""
    categories = [{"id": number, "name": name} for number, name in enumerate(facts.classes) if number]
    info = {"description": "simulated SEM images", "version": facts.identity["made_by"]}
    stream.write(f'{{"info": {json.dumps(info)}, "categories": {json.dumps(categories)}, "images": [')
    count = 0
    with tempfile.TemporaryFile("w+") as annotations:
        for image_id, (name, found) in enumerate(images, start=1):
            image = {"id": image_id, "file_name": name, "width": facts.image_size, "height": facts.image_size}
            stream.write(("\n" if image_id == 1 else ",\n") + json.dumps(image))
            for annotation in found:
                count += 1
                line = json.dumps({"id": count, "image_id": image_id, **annotation})
                annotations.write(("\n" if count == 1 else ",\n") + line)
        stream.write('\n], "annotations": [')
        annotations.seek(0)
        shutil.copyfileobj(annotations, stream)
    stream.write("\n]}\n")


def _write_yolo_lists(folder: Path, classes: Sequence[str]) -> list[str]:
    """``yolo.yaml`` and one list of images for each split, in the format of Ultralytics."""
    written = []
    with (folder / LABELS).open(newline="") as stream:
        rows = csv.DictReader(stream)
        lists: dict[str, TextIO] = {}
        for row in rows:
            name = f"yolo_{row['split']}.txt"
            if name not in lists:
                lists[name] = (folder / name).open("w")
            lists[name].write(f"./{row['filename']}\n")
        for name, opened in lists.items():
            opened.close()
            written.append(name)
    names = "".join(f"  {number}: {name}\n" for number, name in enumerate(classes[1:]))
    # Readers look for the lists next to this file if it names no path, and require train and val.
    lists_of = {name.removeprefix("yolo_").removesuffix(".txt"): name for name in written}
    for split, others in (("train", ("val", "test")), ("val", ("test", "train"))):
        lists_of.setdefault(split, next((lists_of[other] for other in others if other in lists_of), written[0]))
    splits = "".join(f"{split}: {lists_of[split]}\n" for split in SPLITS if split in lists_of)
    (folder / "yolo.yaml").write_text(f"{splits}names:\n{names}")
    return [*written, "yolo.yaml"]
