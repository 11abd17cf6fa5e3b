"""Divides the images of a labelled folder into splits."""

import logging
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from sem_lightning.data.labelled_file import LabelledFile
from sem_lightning.data.splits import SPLITS, split_counts
from sem_lightning.errors import SettingError, UserError
from sem_lightning.io.dataset_format import LABELS

log = logging.getLogger(__name__)


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
            raise SettingError(
                "data.folds",
                f"{LABELS} or the folders say which split each image is in; drop its column, or the folders",
            )
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


def fill_splits(
    files: list[LabelledFile], classes: list[str], shares: dict[str, float], seed: int
) -> tuple[list[LabelledFile], list[str]]:
    """Take the images of ``val`` and ``test`` from ``train`` if every file has a split and none has that one.

    Returns:
        The files, and the names of the splits that were filled.
    """
    missing = [split for split in ("val", "test") if shares[split] > 0 and all(file.split != split for file in files)]
    train = [file for file in files if file.split == "train"]
    if not missing or not train or not all(file.split for file in files):
        return files, []
    taken = {split: shares[split] if split in ("train", *missing) else 0.0 for split in SPLITS}
    divided = _stratify(train, classes, taken, seed)
    new = {(file.path, file.span): file.split for part in divided.values() for file in part}
    log.warning("no image is in %s: images of train are taken, see data.shares", " or ".join(missing))
    return [replace(file, split=new.get((file.path, file.span), file.split)) for file in files], missing


def check_complete(
    splits: dict[str, list[LabelledFile]], needed: Sequence[str], classes: list[str], given: Collection[str] = ()
) -> None:
    """Check that each needed split has images of every class.

    Args:
        splits: The files of each split.
        needed: Splits that must hold every class.
        classes: Class names in label order.
        given: Splits whose images the folder names.

    Raises:
        UserError: One of the ``needed`` splits has no image of a class.
    """
    totals = Counter(file.label for files in splits.values() for file in files)
    for split in needed:
        counts = Counter(file.label for file in splits[split])
        empty = [name for name in classes if not counts[name]]
        if empty:
            advice = f"bring more images ({len(needed)} of each class at least), change data.shares"
            if split in given:
                advice = f"{LABELS} or the folders say which split each image is in: move some into {split}"
            raise UserError(
                f"the {split} split has no image of class {', '.join(empty)} (images in all: "
                f"{', '.join(f'{name} {totals[name]}' for name in classes)}); {advice}, or name only the classes there "
                "are with data.classes"
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
