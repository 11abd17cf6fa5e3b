"""Giving a trained classifier another decision rule, or several the mean of their weights and one rule."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sem_lightning.data.datamodule import SEMDataModule
from sem_lightning.data.sources import Source
from sem_lightning.decision.decision_settings import DecisionSettings
from sem_lightning.decision.rule import Rule
from sem_lightning.errors import SettingError
from sem_lightning.evaluation.compatibility import check_fit, judged_polarity
from sem_lightning.evaluation.rule_calibration import calibrate_rule, check_decision
from sem_lightning.inference.predictor import Predictor
from sem_lightning.io.atomic import check_writable
from sem_lightning.model.checkpoint import TrainedModel, save_rule
from sem_lightning.model.safetensors_io import SUFFIX
from sem_lightning.model.weight_interpolation import average_weights

# what classifiers whose weights are averaged have in common
AVERAGED = ("classes", "network", "name", "pooling", "image_size", "pixel_size", "polarity")


def in_order(opened: Sequence[tuple[Path, TrainedModel]]) -> list[tuple[Path, TrainedModel]]:
    """Classifiers to average: the one whose settings the mean keeps comes first.

    That is one that knows the folder it was trained on, so that the mean knows it, too. What the others know of
    inverted images was not kept up in that training.
    """
    return sorted(opened, key=lambda each: [each[1].settings.folder is None, each[1].settings.polarity is None])


def calibrate(
    opened: Sequence[tuple[Path, TrainedModel]],
    source: Source,
    settings: DecisionSettings,
    target: Path,
    view_scales: Sequence[float] | None = None,
    num_workers: int = 0,
    device: str = "cpu",
    skip_unreadable: bool = False,
) -> Rule:
    """Write ``target``: the classifier, or the mean of several, with a rule made from ``val`` and ``calibration``.

    Args:
        opened: Checkpoints, the first of which gives the settings, see `in_order`.
        source: The labelled images.
        settings: How the rule is made.
        target: A checkpoint to write; a name that ends in ``.safetensors`` stores half precision.
        view_scales: Those that the rule is made for; ``None`` are the classifier's own.
        num_workers: Processes that make or read images.
        device: Of torch.
        skip_unreadable: Whether files that cannot be used are left out.

    Raises:
        SettingError: Settings that do not fit.
        UserError: An image that cannot be used.
    """
    (path, model), *others = opened
    for _, other in others:
        check_fit(source, other.settings)
        if other.settings.folder not in (None, model.settings.folder):
            raise SettingError("ckpt", "several were trained on folders, not all on the same, divided alike; name one")
    check_decision(settings, source.classes, source.counts("calibration"))
    if target.is_dir():
        raise SettingError("output", f"{target} is a folder; name a file")
    check_writable("output", target.parent)
    weights = None
    if others:
        average_weights(model.net, [other.net for _, other in others])
        model.rule = Rule()
        weights = {name: value.clone() for name, value in model.net.state_dict().items()}
    if target.suffix == SUFFIX:
        model.net.half().float()  # as it is stored there: the rule is made for what will judge
    if view_scales is not None:
        model.settings = replace(model.settings, view_scales=tuple(view_scales))
    predictor = Predictor(model, polarity=judged_polarity(model.settings, source), device=device)
    rule = calibrate_rule(predictor, SEMDataModule(source, num_workers=num_workers), settings, skip_unreadable)
    target.parent.mkdir(parents=True, exist_ok=True)
    save_rule(path, rule, target, view_scales, weights)
    return rule
