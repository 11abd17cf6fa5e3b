"""Labelled images on disk: ``root/<class>/*`` or a ``labels.csv``."""

import csv
import json
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sem_lightning.data.splits import SPLITS, split_counts
from sem_lightning.errors import SettingError, UserError
from sem_lightning.io.atomic import printable
from sem_lightning.io.data_bar import find_data_bar
from sem_lightning.io.dataset_format import CLEAN, DESCRIPTION, LABELS, MASKS, SPANS, is_description, mask_path
from sem_lightning.io.images import IMAGE_SUFFIXES, ImageError, Span, read_gray

_NAMED_AT_MOST = 10
_LONGEST_NUMBER = 16  # digits of an offset in a file

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LabelledFile:
    """One image of a labelled folder.

    Attributes:
        path: Its file, or the tar file that holds it.
        label: Class.
        split: Split, if ``labels.csv`` has this column.
        span: Start and number of its bytes in a tar file.
        mask_span: The same for its mask.
        name: Name in ``labels.csv``.
        aspect: Height over width without the data bar, once it has been read.
        kept: Share of its rows above the data bar; only these are used.
    """

    path: Path
    label: str
    split: str | None = None
    span: Span | None = None
    mask_span: Span | None = None
    name: str | None = None
    aspect: float = 1.0
    kept: float = 1.0


def read_folder(
    root: Path, classes: list[str] | None, on_bad_image: str, crop_data_bar: bool = True, decode: bool = True
) -> tuple[list[LabelledFile], list[str]]:
    """Every labelled image below ``root``.

    Args:
        root: Holds ``labels.csv`` (``filename,label`` and optionally ``split``), or one folder for each class.
        classes: Class names in label order; ``None`` takes those of ``dataset.json``, or all that are found, ``good``
            first and the others sorted.
        on_bad_image: ``error``, or ``skip`` with one warning that counts and names the skipped images.
        crop_data_bar: Whether data bars are detected and cropped.
        decode: Whether each image is read once now, so that unreadable images are found before training.

    Returns:
        The files, in the order of ``labels.csv`` or sorted by name, and the class names.

    Raises:
        UserError: No images, or (with ``error``) files that are missing, unreadable or of an unknown class.
    """
    if not root.is_dir():
        raise SettingError("data.root", f"{root} is not a folder")
    listing = root / LABELS
    files, found = _read_listing(listing) if listing.is_file() else _read_class_folders(root)
    if not files:
        raise SettingError("data.root", f"{root} holds no images; expected labels.csv, or root/<class>/<image>")
    if classes is None:
        classes = describe_folder(root).get("classes") or sorted(found, key=lambda name: (name != "good", name))
    elif len(set(classes)) < len(classes) or "good" in classes[1:]:
        raise SettingError("data.classes", f"found {', '.join(classes)}; name each class once, good first")
    bad: list[str] = []
    good: list[LabelledFile] = []
    for file in files:
        if file.label not in classes:
            bad.append(f"{file.path}: unknown class {file.label!r} (classes: {', '.join(classes)})")
            continue
        if not decode:
            good.append(file)
            continue
        try:
            image = read_gray(file.path, file.span)
            mask = mask_path(root, file.path)
            if file.mask_span is not None:
                read_gray(file.path, file.mask_span)
            elif mask is not None and mask.is_file():
                read_gray(mask)
        except ImageError as error:
            bad.append(str(error))
        else:
            kept = 1 - find_data_bar(image) / len(image) if crop_data_bar else 1.0
            good.append(replace(file, aspect=kept * len(image) / image.shape[1], kept=kept))
    if bad:
        text = f"{len(bad)} of {len(files)} images in {root} cannot be used: {_name_some(bad)}"
        if on_bad_image != "skip":
            raise UserError(f"{text}; fix them, or leave them out with data.on_bad_image=skip")
        log.warning("skipped: %s", printable(text))
    return good, classes


def describe_folder(root: Path) -> dict[str, Any]:
    """The content of ``dataset.json`` of a set of this package; empty for other folders."""
    path = root / DESCRIPTION
    if not path.is_file():
        return {}
    try:
        description = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: not readable as JSON ({error}); fix or delete it") from None
    if not is_description(description):
        raise UserError(f"{path}: not what sem-generate writes; fix or delete it")
    return dict(description)


def _read_listing(listing: Path) -> tuple[list[LabelledFile], set[str]]:
    try:
        with listing.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            columns, rows = reader.fieldnames or [], list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{listing}: not a CSV file in UTF-8 ({error})") from None
    if not {"filename", "label"} <= set(columns):
        raise UserError(f"{listing}: found the columns {', '.join(columns) or 'none'}; expected filename,label")
    for number, row in enumerate(rows, start=2):
        if not row["filename"] or not row["label"] or (row.get("split") and row["split"] not in SPLITS):
            raise UserError(
                f"{listing}, row {number}: expected a filename, a label and, where there is a column split, one of "
                f"{', '.join(SPLITS)}"
            )
    repeated = [name for name, count in Counter(row["filename"] for row in rows).items() if count > 1]
    if repeated:
        raise UserError(f"{listing}: listed more than once: {_name_some(repeated)}")
    unassigned = [row["filename"] for row in rows if not row.get("split")]
    if 0 < len(unassigned) < len(rows):
        raise UserError(f"{listing}: some images have a split and some have none: {_name_some(unassigned)}")
    files = [
        LabelledFile(
            _file_of(listing.parent, row),
            row["label"],
            row.get("split") or None,
            *_spans_of(listing, row),
            name=row["filename"],
        )
        for row in rows
    ]
    return files, {file.label for file in files}


def _file_of(root: Path, row: dict[str, str]) -> Path:
    """The file of a row. Images in tar files are listed as ``shard.tar/name``."""
    return root / (row["filename"].rpartition("/")[0] if row.get(SPANS[0]) else row["filename"])


def _spans_of(listing: Path, row: dict[str, str]) -> tuple[Span | None, Span | None]:
    if not row.get(SPANS[0]):
        return None, None
    numbers = [row.get(name) or "" for name in SPANS]
    if not all(number.isdecimal() and len(number) < _LONGEST_NUMBER for number in numbers):
        raise UserError(f"{listing}: {row['filename']} has {', '.join(numbers)} for {', '.join(SPANS)}; make it again")
    image_start, image_bytes, mask_start, mask_bytes = map(int, numbers)
    return (image_start, image_bytes), (mask_start, mask_bytes)


def _read_class_folders(root: Path) -> tuple[list[LabelledFile], set[str]]:
    """Files of every class folder, and the names of all folders, including empty ones."""
    entries = (entry for entry in sorted(root.iterdir()) if entry.is_dir() and entry.name not in (MASKS, CLEAN))
    folders = [entry for entry in entries if not entry.name.startswith(".")]
    files = [
        LabelledFile(path, folder.name)
        for folder in folders
        for path in sorted(folder.iterdir())
        if not path.name.startswith(".") and not _is_sidecar(path)
    ]
    return files, {folder.name for folder in folders}


def _is_sidecar(path: Path) -> bool:
    """Whether this is a text file next to an image of the same name, like YOLO's labels."""
    return path.suffix == ".txt" and any(path.with_suffix(suffix).is_file() for suffix in IMAGE_SUFFIXES)


def _name_some(items: list[str]) -> str:
    rest = len(items) - _NAMED_AT_MOST
    return "; ".join(items[:_NAMED_AT_MOST]) + (f"; and {rest} more" if rest > 0 else "")


def split_files(
    files: list[LabelledFile],
    classes: list[str],
    shares: dict[str, float],
    seed: int,
    fold: tuple[int, int] | None = None,
) -> dict[str, list[LabelledFile]]:
    """Files of each split: as listed if every file has a split, else every class divided by ``shares`` at random.

    With ``fold=(number, count)`` every class is divided into ``count`` folds instead: fold ``number`` is for test, the
    next one for validation, the others for training.

    Raises:
        SettingError: Folds for files with listed splits, or for a class with too few images.
    """
    if all(file.split for file in files):
        if fold is not None:
            raise SettingError("data.folds", f"{LABELS} says which split each image is in; drop its column split")
        return {split: [file for file in files if file.split == split] for split in SPLITS}
    if fold is not None:
        return _take_fold(files, classes, *fold, seed)
    return _stratify(files, classes, shares, seed)


def _take_fold(
    files: list[LabelledFile], classes: list[str], number: int, count: int, seed: int
) -> dict[str, list[LabelledFile]]:
    splits: dict[str, list[LabelledFile]] = {split: [] for split in SPLITS}
    for label, name in enumerate(classes):
        members = [file for file in files if file.label == name]
        if len(members) < count:
            raise SettingError(
                "data.folds", f"found {count}, but of class {name} there are {len(members)} images; use no more folds"
            )
        folds = np.random.default_rng([seed, label]).permutation(len(members)) % count
        for file, its_fold in zip(members, folds.tolist(), strict=True):
            split = {number: "test", (number + 1) % count: "val"}.get(its_fold, "train")
            splits[split].append(replace(file, split=split))
    return splits


def check_complete(splits: dict[str, list[LabelledFile]], needed: Sequence[str], classes: list[str]) -> None:
    """Check that each needed split has images of every class.

    Raises:
        UserError: One of the ``needed`` splits has no image of a class.
    """
    totals = Counter(file.label for files in splits.values() for file in files)
    for split in needed:
        counts = Counter(file.label for file in splits[split])
        empty = [name for name in classes if not counts[name]]
        if empty:
            raise UserError(
                f"the {split} split has no image of class {', '.join(empty)} (images in all: "
                f"{', '.join(f'{name} {totals[name]}' for name in classes)}); bring more images ("
                f"{len(needed)} of each class at least), change data.shares, or name only the classes there are with "
                "data.classes"
            )


# Own code: a checkpoint relies on the same division, independent of library versions.
def _stratify(
    files: list[LabelledFile], classes: list[str], shares: dict[str, float], seed: int
) -> dict[str, list[LabelledFile]]:
    splits: dict[str, list[LabelledFile]] = {split: [] for split in SPLITS}
    for number, name in enumerate(classes):
        members = [file for file in files if file.label == name]
        order = np.random.default_rng([seed, number]).permutation(len(members)).tolist()
        for split, count in split_counts(len(members), shares).items():
            chosen, order = sorted(order[:count]), order[count:]
            splits[split] += [replace(members[i], split=split) for i in chosen]
    return splits
