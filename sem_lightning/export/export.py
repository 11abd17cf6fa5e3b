"""Exports a classifier: its graph, a check against the checkpoint, and if numbers change a rule of its own."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import save
from scipy.stats import binom

from sem_lightning.data.datamodule import SEMDataModule
from sem_lightning.data.labelled_image import LabelledImage
from sem_lightning.data.sources import Source
from sem_lightning.decision.decision_settings import DecisionSettings
from sem_lightning.decision.rule import Rule
from sem_lightning.decision.scores import Scores
from sem_lightning.errors import SettingError, UserError
from sem_lightning.evaluation.compatibility import judged_polarity
from sem_lightning.evaluation.prediction_collector import collect_scores
from sem_lightning.evaluation.rule_calibration import calibrate_rule, check_decision
from sem_lightning.export.graph import onnx_graph, openvino_graph
from sem_lightning.export.parity import check_parity
from sem_lightning.export.quantise import CALIBRATED_ON, quantise
from sem_lightning.inference.predictor import Predictor
from sem_lightning.inference.preprocessing import Preprocessing
from sem_lightning.io.images import ImageError
from sem_lightning.model.checkpoint import TrainedModel
from sem_lightning.runtime.exported_folder import FILES, ExportedModel, check_format, write_exported
from sem_lightning.runtime.open_model import open_network
from sem_lightning.runtime.torch_network import as_trained
from sem_lightning.synthesis.field import Float32

LARGEST_LOSS = 0.005  # of accuracy, in int8 and bf16
_SIGNIFICANT = 0.05
_SPLITS = ("test", "val")


@dataclass
class Export:
    """The settings of an export.

    Attributes:
        folder: To be written; nothing or an empty folder is there.
        format: ``onnx``, ``openvino`` or ``torch``.
        precision: ``fp32``, ``int8`` or ``bf16``.
        images: Number of images on which parity is checked.
        described: What these images are, for the model card.
        num_workers: Worker processes that make or read images.
    """

    folder: Path
    format: str
    precision: str
    images: int
    described: str
    num_workers: int = 0


def export(model: TrainedModel, source: Source, settings: Export) -> ExportedModel:
    """Export a classifier and check it.

    In float32 the rule stays and every decision has to stay. In ``int8`` and ``bf16`` scores change: the rule is made
    again from the splits ``val`` and ``calibration``, and accuracy and risk bound are checked on the images of parity.

    Raises:
        SettingError: Too few images.
        UserError: Parity fails, or a risk bound cannot be kept; nothing is written.
    """
    check_format(settings.format, settings.precision)
    items = _first(source, settings)
    how = Preprocessing.for_model(model.settings, tiling="off", view_scales=(1.0,))
    seen = _largest_group([how.prepare(item.image).image for item in items])
    rule = model.rule
    facts: dict[str, Any] = {"images": f"{len(seen)} {settings.described}"}
    files = _network_files(model, settings, seen)
    exported = ExportedModel(model.settings, rule, settings.format, settings.precision, files, facts, settings.folder)
    if settings.precision == "fp32":
        network = open_network(as_trained(exported) if settings.format == "torch" else exported, "cpu")
        facts["largest_difference_of_logits"] = check_parity(network, open_network(model, "cpu"), seen, rule)
    else:
        polarity = judged_polarity(model.settings, source)
        exported.rule = _new_rule(exported, source, polarity, settings.num_workers)
        facts |= check_scores(
            collect_scores(Predictor(model, polarity=polarity), items),
            collect_scores(Predictor(exported, polarity=polarity), items),
            exported.rule,
            settings.precision,
        )
    write_exported(exported)
    return exported


def _first(source: Source, settings: Export) -> list[LabelledImage]:
    """The first labelled images of the splits that training did not use, each class in turn as they come."""
    data = SEMDataModule(source, num_workers=settings.num_workers)
    there = [split for split in _SPLITS if sum(source.counts(split).values())]
    items: Iterator[LabelledImage | ImageError] = itertools.chain.from_iterable(map(data.labelled, there))
    found = list(itertools.islice((each for each in items if isinstance(each, LabelledImage)), settings.images))
    if len(found) < settings.images:
        raise SettingError(
            "images", f"found {len(found)} in the splits {' and '.join(_SPLITS)}, {settings.images} asked for"
        )
    return found


def _largest_group(images: list[Float32]) -> list[Float32]:
    """Those of the most common shape, as a batch has one shape."""
    shapes = [image.shape for image in images]
    common = max(set(shapes), key=shapes.count)
    return [image for image in images if image.shape == common]


def _network_files(model: TrainedModel, settings: Export, images: Sequence[Float32]) -> dict[str, bytes]:
    names = FILES[settings.format]
    if settings.format == "torch":
        weights = {
            name: value.float().contiguous() if value.is_floating_point() else value
            for name, value in model.net.state_dict().items()
        }
        return {names[0]: save(weights)}
    graph = onnx_graph(model.net, model.settings.image_size)
    if settings.precision == "int8":
        graph = quantise(graph, images[:CALIBRATED_ON], settings.format)
    if settings.format == "onnx":
        return {names[0]: graph}
    return dict(zip(names, openvino_graph(graph, "format=openvino"), strict=True))


def _new_rule(exported: ExportedModel, source: Source, polarity: str | None, num_workers: int) -> Rule:
    """A rule of the same kind and promise for the exported network; the margin stays, because its share is unknown."""
    old = exported.rule
    usual = DecisionSettings()
    decision = DecisionSettings(
        rule=old.kind,
        max_escape=old.risk_bound.max_escape if old.risk_bound else usual.max_escape,
        confidence=old.risk_bound.confidence if old.risk_bound else usual.confidence,
        ood_rate=usual.ood_rate if np.isfinite(old.ood_limit) else 0.0,
    )
    check_decision(decision, list(exported.settings.classes), source.counts("calibration"))
    rule = calibrate_rule(
        Predictor(exported, polarity=polarity), SEMDataModule(source, num_workers=num_workers), decision
    )
    return replace(rule, margin=old.margin)


def check_scores(trained: Scores, exported: Scores, rule: Rule, precision: str) -> dict[str, Any]:
    """Check accuracy and escapes of a network whose scores changed; for the model card.

    Args:
        trained: Scores of the checkpoint.
        exported: Of the same images, by the exported network.
        rule: The exported network's.
        precision: For the message.

    Raises:
        UserError: Too much accuracy is lost, or more defects escape than the risk bound explains.
    """
    before, after = (float((each.logits.argmax(axis=1) == each.labels).mean()) for each in (trained, exported))
    if after < before - LARGEST_LOSS:
        raise UserError(
            f"precision={precision} costs {before - after:.4f} of accuracy ({before:.4f} to {after:.4f}), more than "
            f"{LARGEST_LOSS}; use precision=fp32"
        )
    facts: dict[str, Any] = {"accuracy": after, "accuracy_of_checkpoint": before}
    if rule.risk_bound is not None:
        defective = (exported.labels > 0) & exported.usable
        decided = rule.decide(exported.logits[defective], exported.features[defective]).decisions
        escapes, defects = int((decided == 0).sum()), int((exported.labels > 0).sum())
        if binom.sf(escapes - 1, defects, rule.risk_bound.max_escape) < _SIGNIFICANT:
            raise UserError(
                f"precision={precision} does not keep the promise: {escapes} of {defects} defective images pass as "
                f"good, which an escape of {rule.risk_bound.max_escape:g} does not explain; use precision=fp32"
            )
        facts |= {"escapes": escapes, "defects": defects}
    return facts
