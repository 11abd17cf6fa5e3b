"""Makes a new decision rule for a trained classifier, or for the mean of the weights of several."""

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
from sem_lightning.model.safetensors_reader import SUFFIX
from sem_lightning.model.weight_interpolation import average_weights

# settings that classifiers must share for averaging
AVERAGED = ("classes", "network", "name", "pooling", "image_size", "pixel_size", "polarity")


def in_order(opened: Sequence[tuple[Path, TrainedModel]]) -> list[tuple[Path, TrainedModel]]:
    """Sort classifiers for averaging; the mean keeps the settings of the first.

    A classifier that was trained on a folder comes first, so that the mean keeps the record of this folder. Then comes
    one without a polarity: fine-tuning does not maintain the accuracy on inverted images.
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
        opened: Checkpoints. The result has the settings of the first, see `in_order`.
        source: The labelled images.
        settings: Settings of the rule.
        target: A checkpoint to write; a name that ends in ``.safetensors`` stores half precision.
        view_scales: View scales of the rule; ``None`` takes those of the classifier.
        num_workers: Worker processes that make or read images.
        device: The torch device.
        skip_unreadable: Whether files that cannot be used are skipped.

    Raises:
        SettingError: Settings that do not fit.
        UserError: An image that cannot be used.
    """
    (path, model), *others = opened
    for _, other in others:
        check_fit(source, other.settings)
        if other.settings.folder not in (None, model.settings.folder):
            raise SettingError("ckpt", "several were trained on folders that differ in images or division; name one")
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
        model.net.half().float()  # the file stores half precision, so the rule is made with these weights
    if view_scales is not None:
        model.settings = replace(model.settings, view_scales=tuple(view_scales))
    predictor = Predictor(model, polarity=judged_polarity(model.settings, source), device=device)
    rule = calibrate_rule(predictor, SEMDataModule(source, num_workers=num_workers), settings, skip_unreadable)
    target.parent.mkdir(parents=True, exist_ok=True)
    save_rule(path, rule, target, view_scales, weights)
    return rule
