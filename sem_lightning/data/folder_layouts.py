"""Finds the images of a folder without a list: in class folders, in split folders, or neither."""

import logging
from collections.abc import Sequence
from pathlib import Path

from sem_lightning.data.class_names import find_split
from sem_lightning.data.labelled_file import LabelledFile
from sem_lightning.data.mask_files import MASK_SUFFIXES, image_stem
from sem_lightning.errors import SettingError
from sem_lightning.io.atomic import printable
from sem_lightning.io.dataset_format import CLEAN, GROUND_TRUTH, MASKS
from sem_lightning.io.find import is_folder, may_be_lost_folder
from sem_lightning.io.sidecars import is_image_name, is_sidecar

_NO_CLASSES = (MASKS, GROUND_TRUTH, CLEAN)
_FOREIGN = (  # folders of other tools' sets, and what they are
    (("images", "labels"), "a YOLO detection set (images/ and labels/)"),
    (("jpegimages", "annotations"), "a Pascal VOC detection set (JPEGImages/ and Annotations/)"),
    (("images", "annotations"), "a detection set (images/ and annotations/)"),
)
_BESIDE = ((".xml", "Pascal VOC boxes in .xml files"), (".txt", "YOLO boxes in .txt files"), (".json", "a .json file"))
_INSTEAD = (
    "a class is needed for each whole image: put the images into a folder for each class (those without defects into "
    "good/), or list them in labels.csv with the columns filename,label"
)

log = logging.getLogger(__name__)


def read_class_folders(root: Path) -> tuple[list[LabelledFile], set[str]]:
    """Files of every class folder, and the names of all folders, including empty ones.

    The class folders lie in the root, or in folders for splits (``train``, ``valid``, ``test``, ``calibration``).

    Raises:
        SettingError: The images lie as in a set for detection, or in no class folder.
        OSError: The root cannot be read.
    """
    folders = _subfolders(root)
    divided = [folder for folder in folders if find_split(folder.name) and _subfolders(folder)]
    _refuse_foreign(root, [root, *divided])
    rest = [folder for folder in folders if folder not in divided]
    if not divided or any(_holds_images(folder) for folder in rest if not find_split(folder.name)):
        _refuse_images_without_class(root, folders)
        files, found = _read_classes(folders, None)
        lost = [path for path in sorted(root.iterdir()) if may_be_lost_folder(path)]
        return files + [LabelledFile(path, path.name) for path in lost], found | {path.name for path in lost}
    if rest:
        names = printable(", ".join(folder.name for folder in rest))
        log.warning("%s is divided into %s; left out: %s", root, ", ".join(folder.name for folder in divided), names)
    parts = [_read_classes(_subfolders(folder), find_split(folder.name)) for folder in divided]
    return [file for files, _ in parts for file in files], set().union(*(found for _, found in parts))


def _subfolders(folder: Path) -> list[Path]:
    """The folders in a folder that may be classes or splits."""
    entries = (entry for entry in sorted(folder.iterdir()) if is_folder(entry))
    return [entry for entry in entries if not entry.name.startswith(".") and entry.name not in _NO_CLASSES]


def _holds_images(folder: Path) -> bool:
    return any(is_image_name(path) and not is_folder(path) for path in folder.iterdir())


def _read_classes(folders: Sequence[Path], split: str | None) -> tuple[list[LabelledFile], set[str]]:
    files = []
    for folder in folders:
        try:
            entries = sorted(path for path in folder.iterdir() if path.name not in _NO_CLASSES)
        except OSError:
            files.append(LabelledFile(folder, folder.name, split))  # reading it says why it cannot be read
            continue
        images = [path for path in entries if not is_sidecar(path)]
        masks = _masks_beside(images)
        alone = sorted(set(images) - set(masks.values())) if masks else images
        files += [LabelledFile(path, folder.name, split, mask=masks.get(path)) for path in alone]
    if beside := sum(file.mask is not None for file in files):
        log.warning("%d files beside their images are masks by their names, such as NAME_mask.png", beside)
    return files, {folder.name for folder in folders}


def _masks_beside(images: Sequence[Path]) -> dict[Path, Path]:
    """The masks in a folder of images: ``a_mask.png`` of ``a.tif``."""
    by_stem: dict[str, list[Path]] = {}
    for path in images:
        by_stem.setdefault(path.stem, []).append(path)
    named = ((path, image_stem(path.stem)) for path in images if path.suffix.lower() in MASK_SUFFIXES)
    return {image: path for path, stem in named if stem != path.stem for image in by_stem.get(stem, ())}


def _refuse_foreign(root: Path, places: Sequence[Path]) -> None:
    for place in places:
        names = {folder.name.lower() for folder in _subfolders(place)}
        for needed, what in _FOREIGN:
            if names.issuperset(needed):
                raise SettingError("data.root", f"{root} is {what}; {_INSTEAD}")


def _refuse_images_without_class(root: Path, folders: Sequence[Path]) -> None:
    """Refuse images in the root alone, or in nothing but folders for splits."""
    places = [root] if not folders else folders if all(find_split(folder.name) for folder in folders) else []
    for place in places:
        found = [path for path in place.iterdir() if is_image_name(path)]
        if found:
            kinds = {path.suffix.lower() for path in place.iterdir()}
            boxes = next((f", with {what}" for suffix, what in _BESIDE if suffix in kinds), "")
            raise SettingError(
                "data.root", f"{place} holds {len(found)} images without folders for classes{boxes}; {_INSTEAD}"
            )
