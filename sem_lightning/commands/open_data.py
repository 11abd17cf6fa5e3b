"""A checkpoint and the data that it is to be tried on."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf

import sem_lightning
from sem_lightning.commands.training_settings import DataSettings, FolderSettings
from sem_lightning.data.datamodule import FolderSource, Source
from sem_lightning.data.layout import LABELS
from sem_lightning.data.looks import Looks
from sem_lightning.errors import SettingError
from sem_lightning.model.classifier import SEMClassifier, load_classifier
from sem_lightning.synthesis.patterns.pattern import EITHER, POLARITIES
from sem_lightning.synthesis.simulator import Simulator

SHIPPED = {"robust": Path(sem_lightning.__file__).parent / "weights" / "robust.safetensors"}


def open_classifier(config: DictConfig, key: str) -> tuple[Path, SEMClassifier]:
    """The checkpoint that ``key`` names: a file, or a classifier that comes with the package.

    Raises:
        SettingError: It names none.
        UserError: No such file, or not a checkpoint.
    """
    if OmegaConf.is_missing(config, key):
        raise SettingError(key, f"needs a value: add {key}=... to the command")
    name = str(config[key])
    path = SHIPPED.get(name) or Path(name).expanduser()
    return path, load_classifier(path)


def open_classifiers(config: DictConfig, alike: Sequence[str]) -> list[tuple[Path, SEMClassifier]]:
    """Those of ``ckpt``, one or a list, which have the attributes ``alike`` in common.

    Raises:
        SettingError: They have not, or there is none.
        UserError: No such file, or not a checkpoint.
    """
    if OmegaConf.is_missing(config, "ckpt") or not isinstance(config.ckpt, ListConfig):
        return [open_classifier(config, "ckpt")]
    if not len(config.ckpt):
        raise SettingError("ckpt", "found an empty list; name a checkpoint, or several")
    opened = [open_classifier(OmegaConf.create({"ckpt": path}), "ckpt") for path in config.ckpt]
    for path, classifier in opened[1:]:
        for name in alike:
            first, other = opened[0][1].hparams[name], classifier.hparams[name]
            both = (first, other) in ((None, EITHER), (EITHER, None))  # know both polarities
            if first != other and not both:
                raise SettingError(
                    "ckpt", f"{path} has {name} {other} and {opened[0][0]} {first}; name checkpoints that have the same"
                )
    return opened


def looks_of(classifier: SEMClassifier, source: Source, scales: Sequence[float] | None = None) -> Looks | None:
    """At what sizes a classifier looks at images, as sem-predict does: ``scales``, or else its own.

    Simulated images have the pixels that they were asked for: ``None``, as they are, for a classifier of one
    magnification. One that was trained on both polarities looks at negatives, too, where the data is known to be dark.
    """
    negative = sees_negatives(classifier, source)
    if scales is None:
        scales = classifier.hparams["scales"]
        if len(scales) == 1 and not isinstance(source, FolderSource):
            return Looks(source.image_size, negative=True) if negative else None
    return Looks(classifier.image_size, tuple(scales), negative)


def sees_negatives(classifier: SEMClassifier, source: Source) -> bool:
    """Whether images are judged as negatives: all are known to be dark, and the classifier knows both polarities."""
    return bool(classifier.hparams["polarity"] == EITHER and source.polarity == "dark")


def open_source(simulator: Simulator, settings: DataSettings, classifier: SEMClassifier, seed: int) -> Source:
    """The images, if they are of the classifier's kind; those of a folder come in its own image size.

    Raises:
        SettingError: They are not.
    """
    source: Source
    if isinstance(settings, FolderSettings):
        settings.classes = settings.classes or classifier.classes
        settings.image_size = classifier.image_size
        if settings.folds is not None:
            raise SettingError("data.folds", "belongs to training; leave it out")
        source = settings.source(simulator, seed, needed=())
    else:
        source = settings.source(simulator, seed)
    check_fit(source, classifier)
    return source


def check_fit(source: Source, classifier: SEMClassifier) -> None:
    """Refuse images that a classifier cannot be judged by.

    Raises:
        SettingError: Other classes, another polarity, or a folder of training images divided in another way.
    """
    if source.classes != classifier.classes:
        raise SettingError(
            "ckpt", f"it knows the classes {', '.join(classifier.classes)}; the data has {', '.join(source.classes)}"
        )
    if both := same_folder(source, classifier):
        _check_division(*both)
    trained_on = classifier.hparams["polarity"]
    if {trained_on, source.polarity} == set(POLARITIES):
        raise SettingError(
            "ckpt",
            f"it was trained on {trained_on} lines and the data has {source.polarity} ones, where a gap looks like a "
            "bridge; say what it was trained on (microscope=..., or imaging.polarity), or train one on such data",
        )


def same_folder(source: Source, classifier: SEMClassifier) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """How the folder is divided now, and was in the classifier's training, where that was on the same folder."""
    ours, theirs = source.folder, classifier.hparams["folder"]
    return (ours, theirs) if ours and theirs and ours["root"] == theirs["root"] else None


def _check_division(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    if "shares" not in ours and "shares" in theirs:
        return  # labels.csv has been told since which split each image is of
    if "shares" not in ours and ours["images"] != theirs["images"]:
        raise SettingError(
            "ckpt",
            f"it was trained on this folder, whose {LABELS} has other images in train and val now: training images may "
            "come back as unseen ones; give them back their splits, or take another folder",
        )
    if "shares" in ours and "shares" not in theirs:
        raise SettingError(
            "ckpt",
            f"it was trained on this folder, divided by the column split of {LABELS}, which has none now: training "
            "images would come back as unseen ones; put the column back, or take another folder",
        )
    if "fold" in theirs:
        raise SettingError(
            "ckpt",
            f"it was trained and validated on the folds of this folder but number {theirs['fold'][0] + 1}, on which it "
            "was tested then: see its result.json, or take another folder",
        )
    if ours["images"] != theirs.get("images", ours["images"]):
        raise SettingError(
            "ckpt",
            f"it was trained on {ours['root']}, whose images have changed since: divided anew, training images come "
            "back as unseen ones; take another folder, or say with labels.csv which split each image is of",
        )
    if any(ours.get(name) != theirs.get(name) for name in ("seed", "shares")):
        shares = ", ".join(f"{split}: {share:g}" for split, share in theirs["shares"].items())
        raise SettingError(
            "ckpt",
            f"it was trained on this folder, divided with seed={theirs['seed']} 'data.shares={{{shares}}}'; divided "
            "otherwise, training images come back as unseen ones: divide it so again, or take another folder",
        )
