"""Checks whether a classifier can be tested or calibrated on given images."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from sem_lightning.data.data_settings import DataSettings, FolderSettings
from sem_lightning.data.sources import Source
from sem_lightning.errors import SettingError
from sem_lightning.inspection.place_data import check_places
from sem_lightning.io.dataset_format import LABELS
from sem_lightning.model.model_settings import ModelSettings
from sem_lightning.model.packaged import find_checkpoint
from sem_lightning.polarity import POLARITIES, Polarity
from sem_lightning.runtime.open_model import Model
from sem_lightning.synthesis.simulator import Simulator

AnyModel = TypeVar("AnyModel", bound=Model)


def open_models(
    names: Sequence[str], alike: Sequence[str], open_one: Callable[[str], AnyModel]
) -> list[tuple[Path, AnyModel]]:
    """Open several classifiers with ``open_one`` and check that their settings ``alike`` are equal.

    Raises:
        SettingError: They differ, or there is no classifier.
        UserError: No such file, or not a checkpoint.
    """
    if not names:
        raise SettingError("ckpt", "found an empty list; name a checkpoint, or several")
    opened = [(find_checkpoint(name), open_one(name)) for name in names]
    for path, model in opened[1:]:
        for name in alike:
            first, other = opened[0][1].settings.to_dict()[name], model.settings.to_dict()[name]
            both = (first, other) in ((None, Polarity.EITHER), (Polarity.EITHER, None))  # trained on both polarities
            if first != other and not both:
                raise SettingError(
                    "ckpt", f"{path} has {name} {other} and {opened[0][0]} {first}; name checkpoints that have the same"
                )
    return opened


def judged_polarity(settings: ModelSettings, source: Source) -> str | None:
    """The polarity for the Predictor: ``dark`` for dark data and a classifier of both polarities, else ``None``."""
    dark = settings.polarity == Polarity.EITHER and source.polarity == Polarity.DARK
    return str(Polarity.DARK) if dark else None


def open_source(simulator: Simulator, settings: DataSettings, model: Model, seed: int) -> Source:
    """Open the images and check that they fit the classifier. Images of a folder are decoded when they are judged.

    Raises:
        SettingError: They do not fit.
    """
    source: Source
    if isinstance(settings, FolderSettings):
        settings.classes = settings.classes or list(model.settings.classes)
        settings.image_size = model.settings.image_size
        if settings.folds is not None:
            raise SettingError("data.folds", "belongs to training; leave it out")
        source = settings.source(simulator, seed, needed=(), decode=False)
    else:
        source = settings.source(simulator, seed)
    check_fit(source, model.settings)
    return source


def check_fit(source: Source, settings: ModelSettings) -> None:
    """Check that images fit a classifier.

    Raises:
        SettingError: Places for a classifier of images, other classes, another polarity, or a folder of training
            images divided in another way.
    """
    check_places(settings, source)
    if source.classes != list(settings.classes):
        raise SettingError(
            "ckpt", f"it knows the classes {', '.join(settings.classes)}; the data has {', '.join(source.classes)}"
        )
    if both := same_folder(source, settings):
        _check_division(*both)
    if {settings.polarity, source.polarity} == set(POLARITIES):
        raise SettingError(
            "ckpt",
            f"it was trained on {settings.polarity} lines and the data has {source.polarity} ones, where a gap "
            "looks like a bridge; set the polarity of training (microscope=... or imaging.polarity), or train a "
            "classifier on such data",
        )


def same_folder(source: Source, settings: ModelSettings) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Division of the folder now and in the classifier's training; ``None`` if that used another folder."""
    ours, theirs = source.folder, settings.folder
    return (ours, theirs) if ours and theirs and ours["root"] == theirs["root"] else None


def _check_division(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    if "shares" not in ours and "shares" in theirs:
        return  # labels.csv lists the splits now
    if "shares" not in ours and ours["images"] != theirs["images"]:
        raise SettingError(
            "ckpt",
            f"it was trained on this folder, whose {LABELS} has other images in train and val now: training images may "
            "be judged as unseen ones; restore their splits, or take another folder",
        )
    if "shares" in ours and "shares" not in theirs:
        raise SettingError(
            "ckpt",
            f"it was trained on this folder, divided by the column split of {LABELS}, which is missing now: training "
            "images would be judged as unseen ones; restore the column, or take another folder",
        )
    if "fold" in theirs:
        raise SettingError(
            "ckpt",
            f"it was trained and validated on all folds of this folder except number {theirs['fold'][0] + 1}, its test "
            "fold: see its result.json, or take another folder",
        )
    if ours["images"] != theirs.get("images", ours["images"]):
        raise SettingError(
            "ckpt",
            f"it was trained on {ours['root']}, whose images have changed since: with a new division, training images "
            "would be judged as unseen ones; take another folder, or list the split of each image in labels.csv",
        )
    if any(ours.get(name) != theirs.get(name) for name in ("seed", "shares")):
        shares = ", ".join(f"{split}: {share:g}" for split, share in theirs["shares"].items())
        raise SettingError(
            "ckpt",
            f"it was trained on this folder, divided with seed={theirs['seed']} 'data.shares={{{shares}}}'; otherwise "
            "training images would be judged as unseen ones: use the same values, or take another folder",
        )
