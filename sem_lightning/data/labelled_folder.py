"""Labelled images on disk: folders for classes, also below folders for splits, or a ``labels.csv``."""

import json
import logging
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from sem_lightning.data.class_names import map_names, warn_without_good
from sem_lightning.data.folder_layouts import read_class_folders
from sem_lightning.data.labelled_file import LabelledFile, name_some
from sem_lightning.data.listing import read_listing
from sem_lightning.data.mask_files import pair_masks
from sem_lightning.errors import SettingError, UserError
from sem_lightning.io.atomic import printable
from sem_lightning.io.data_bar import find_data_bar
from sem_lightning.io.dataset_format import DESCRIPTION, LABELS, is_description
from sem_lightning.io.images import ImageError, read_mask, read_oriented
from sem_lightning.synthesis.defects.mix import GOOD

log = logging.getLogger(__name__)


def read_folder(
    root: Path, classes: list[str] | None, on_bad_image: str, crop_data_bar: bool = True, decode: bool = True
) -> tuple[list[LabelledFile], list[str]]:
    """Every labelled image below ``root``, with its mask if there is one.

    Args:
        root: Holds ``labels.csv`` (``filename,label`` and optionally ``split``), or one folder for each class, or
            folders for splits with one folder for each class.
        classes: Class names in label order; ``None`` takes those of ``dataset.json``, or all that are found, ``good``
            first and the others sorted. Names such as ``OK`` are taken as ``good``; see `map_names`.
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
    files, found = read_listing(listing) if listing.is_file() else read_class_folders(root)
    if not files:
        raise SettingError("data.root", f"{root} holds no images; expected labels.csv, or root/<class>/<image>")
    if classes is not None and (len(set(classes)) < len(classes) or GOOD in classes[1:]):
        raise SettingError("data.classes", f"found {', '.join(classes)}; name each class once, good first")
    known = classes or describe_folder(root).get("classes")
    names = map_names(found, known)
    known = known or sorted(set(names.values()), key=lambda name: (name != GOOD, name))
    renamed = [file if names[file.label] == file.label else replace(file, label=names[file.label]) for file in files]
    files = pair_masks(root, renamed)
    warn_without_good(known)
    unknown = _describe_unknown(files, known)
    usable = [file for file in files if file.label in known]
    good, unreadable = _read_each(usable, crop_data_bar) if decode else (usable, [])
    _report(root, unreadable, unknown, (len(files) - len(good), len(files)), on_bad_image)
    return good, known


def _describe_unknown(files: list[LabelledFile], classes: list[str]) -> list[str]:
    counts = Counter(file.label for file in files if file.label not in classes)
    return [
        f"{count} of the unknown class {label!r} (classes: {', '.join(classes)})"
        for label, count in sorted(counts.items())
    ]


def _read_each(files: list[LabelledFile], crop_data_bar: bool) -> tuple[list[LabelledFile], list[str]]:
    """The files that can be read with their masks, and why the others cannot."""
    good, bad = [], []
    for file in files:
        try:
            image, orientation = read_oriented(file.path, file.span)
            shape = (image.shape[0], image.shape[1])
            if file.mask_span is not None:
                read_mask(file.path, file.mask_span, orientation, shape)
            elif file.mask is not None:
                read_mask(file.mask, None, orientation, shape)
        except ImageError as error:
            bad.append(str(error))
        else:
            kept = 1 - find_data_bar(image) / len(image) if crop_data_bar else 1.0
            good.append(replace(file, aspect=kept * len(image) / image.shape[1]))
    return good, bad


def _report(root: Path, unreadable: list[str], unknown: list[str], counts: tuple[int, int], on_bad_image: str) -> None:
    """Raise for images that cannot be used, or warn if they are to be skipped and others are left."""
    count, total = counts
    if not count:
        return
    text = f"{count} of {total} images in {root} cannot be used: {name_some([*unreadable, *unknown])}"
    rename = "give the unknown class one of these names" if unknown else ""
    if count == total:
        raise UserError(f"{text}; none is left{f': {rename}' if unknown else ', so fix the files'}")
    if on_bad_image != "skip":
        raise UserError(f"{text}; {rename or 'fix them'}, or leave them out with data.on_bad_image=skip")
    log.warning("skipped: %s", printable(text))


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
