"""The start of training: new weights, ImageNet weights, another classifier, or a stopped run."""

import difflib
import logging
from collections.abc import Collection
from pathlib import Path
from typing import Any

from sem_lightning.data.sources import Source
from sem_lightning.errors import SettingError, UserError
from sem_lightning.inspection.place_data import check_places
from sem_lightning.model.checkpoint import TrainedModel, load_model, read_checkpoint
from sem_lightning.model.classifier import SEMClassifier
from sem_lightning.model.model_settings import RECIPE_FIELDS, ModelSettings
from sem_lightning.model.pretrained import load_pretrained
from sem_lightning.polarity import POLARITIES, Polarity

_OF_START = ("network", "name", "pooling", "view_scales")  # taken from the classifier to start from
_NEARLY = 0.75  # similarity of two names (difflib) from which one counts as a misspelling of the other
_SAME_RUN = ("classes", "image_size", "pixel_size", "polarity", "network", "name", "pooling", "frozen")

log = logging.getLogger(__name__)


def open_start(init_from: str | None, options: Any, given: Collection[str] = ()) -> TrainedModel | None:
    """Open the classifier to start from.

    Args:
        init_from: A checkpoint, or ``robust``.
        options: `sem_lightning.training.run_settings.ModelOptions`.
        given: Keys that the user has set; they must not contradict the checkpoint.

    Raises:
        SettingError: ImageNet weights in addition, another network, or frozen layers without trained weights.
    """
    pretrained = options.pretrained or options.weights_path
    if init_from is None:
        if options.frozen != "nothing" and not pretrained:
            raise SettingError("model.frozen", "what starts from nothing has to learn; give init_from, or use nothing")
        if options.wise_ft_alpha < 1:
            raise SettingError(
                "model.wise_ft_alpha", "interpolates with a classifier to start from; give init_from, or use 1"
            )
        return None
    if pretrained:
        raise SettingError("model.pretrained", "init_from brings weights of its own; use one of both")
    try:
        model = load_model(init_from)
    except UserError as error:
        raise SettingError("init_from", str(error)) from None
    for name in _OF_START:
        found, known = getattr(options, name), model.settings.to_dict()[name]
        said = f"model.{name}" in given or (name == "network" and "model" in given)
        if said and found != known:
            raise SettingError(
                f"model.{name}", f"found {found}; what starts from init_from keeps its {known}, so leave it out"
            )
    return model


def build_classifier(options: Any, source: Source, seed: int = 0, start: TrainedModel | None = None) -> SEMClassifier:
    """A classifier for the classes and images of ``source``.

    Args:
        options: `sem_lightning.training.run_settings.ModelOptions`.
        source: The images.
        seed: Seed of training.
        start: A classifier whose network and weights are used. ``options`` may ask for ImageNet weights instead.

    Raises:
        SettingError: ``start`` does not fit.
    """
    polarity, pixel_size = source.polarity, source.pixel_size
    recipe = {field.name: getattr(options, field.name) for field in RECIPE_FIELDS}
    if start is not None:
        recipe |= {name: getattr(start.settings, name) for name in _OF_START}
        _check_spelling(source.classes, list(start.settings.classes))
        known = start.settings.polarity
        if {known, polarity} == set(POLARITIES):
            raise SettingError("init_from", f"it was trained on {known} features; the data has {polarity} ones")
        # training images are not inverted, so the accuracy on inverted images is not maintained
        polarity = polarity or (None if known == Polarity.EITHER else known)
        if pixel_size is None and start.settings.image_size == source.image_size:
            pixel_size = start.settings.pixel_size
    counts = source.counts("train")
    settings: dict[str, Any] = {
        "classes": tuple(source.classes),
        "image_size": source.image_size,
        "pixel_size": pixel_size,
        "polarity": None if polarity is None else str(polarity),
        "folder": source.folder,
        "seed": seed,
        "class_weights": tuple(_balance(list(counts.values()))) if options.balance else None,
    }
    try:
        classifier = SEMClassifier(ModelSettings(**settings, **recipe))
    except SettingError as error:  # for example an unknown network
        raise error.under("model") from None
    check_places(classifier.settings, source)
    if start is not None:
        same = list(start.settings.classes) == source.classes
        if not same and options.wise_ft_alpha < 1:
            known_classes = ", ".join(start.settings.classes)
            raise SettingError(
                "model.wise_ft_alpha", f"init_from knows {known_classes}, so the class head has new weights; use 1"
            )
        classifier.net.take_weights(start.net, heads=same)
        if not same:
            both = ", ".join(start.settings.classes), ", ".join(counts)
            log.warning("init_from knows %s: the class head for %s is new (only the same classes keep it)", *both)
    if options.pretrained or options.weights_path:
        path = Path(options.weights_path).expanduser() if options.weights_path else None
        load_pretrained(classifier.net.backbone, path)
    return classifier


def _check_spelling(classes: list[str], known: list[str]) -> None:
    """Refuse classes with nearly the name of a class in the checkpoint, because its class head would be lost."""
    for name in classes:
        near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=_NEARLY)
        if name not in known and near and near[0] not in classes:
            raise SettingError("data.root", f"found the class {name}, and init_from knows {near[0]}; rename it")


def _balance(counts: list[int]) -> list[float]:
    """Class weights that balance the numbers of images; their mean over images is 1."""
    return [sum(counts) / (len(counts) * max(count, 1)) for count in counts]


def check_resumable(resume_from: str | None, classifier: SEMClassifier) -> Path | None:
    """Check that a checkpoint fits the classifier and its data, and holds the optimiser's state. Returns its path.

    Raises:
        SettingError: It does not.
    """
    if resume_from is None:
        return None
    path = Path(resume_from).expanduser()
    state = read_checkpoint(path)
    theirs: dict[str, Any] = state["hyper_parameters"]["settings"]
    ours = classifier.settings.to_dict()
    for name in _SAME_RUN:
        found = theirs.get(name)
        if found != ours[name]:
            raise SettingError("resume_from", f"{path} was trained with {name} {found}; the data has {ours[name]}")
    their_folder, our_folder = theirs.get("folder") or {}, ours["folder"] or {}
    if any(their_folder.get(name) != our_folder.get(name) for name in ("images", "seed", "shares")) and their_folder:
        raise SettingError(
            "resume_from",
            f"the images that {path} was trained on have changed since, or their division has: training images would "
            "be judged as unseen ones; start a new run without resume_from",
        )
    if "optimizer_states" not in state:
        raise SettingError("resume_from", f"{path} holds weights only; resume from last.ckpt next to it")
    return path
