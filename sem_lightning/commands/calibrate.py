"""``sem-calibrate``: give a trained classifier another decision rule."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import numpy as np
from hydra.core.hydra_config import HydraConfig
from omegaconf import MISSING, DictConfig

from sem_lightning.commands.app import run_command
from sem_lightning.commands.open_data import check_fit, looks_of, open_classifiers, open_source
from sem_lightning.commands.settings import SimulationSettings, build, build_simulator, check_seed
from sem_lightning.commands.trainer import build_tester, explain_interrupt, quiet_lightning
from sem_lightning.commands.training_settings import DataSettings, register_data_schemas
from sem_lightning.data.datamodule import SEMDataModule
from sem_lightning.data.ranks import gather
from sem_lightning.decision.answers import Answers
from sem_lightning.decision.calibrate import DecisionSettings, make_rule
from sem_lightning.decision.guarantee import upper_bound
from sem_lightning.decision.rule import Rule
from sem_lightning.errors import SettingError
from sem_lightning.evaluation.metrics import wilson_interval
from sem_lightning.files import check_writable
from sem_lightning.model.classifier import SEMClassifier, check_scales, save_rule
from sem_lightning.model.compact import SUFFIX

# what classifiers whose weights are averaged have in common
_AVERAGED = ("classes", "network", "pooling", "image_size", "pixel_size", "polarity")
_ANSWERS = ("logits", "features", "label")  # of `SEMClassifier.predict_step`


@dataclass
class CalibrateSettings(SimulationSettings):
    """``conf/calibrate.yaml``."""

    seed: int | None = MISSING  # type: ignore[assignment]
    ckpt: Any = MISSING
    output: str = MISSING
    scales: list[float] | None = MISSING
    data: DataSettings = MISSING
    decision: DecisionSettings = MISSING
    trainer: dict[str, Any] = MISSING


def main() -> None:
    """Entry point of ``sem-calibrate``."""
    register_data_schemas()
    run_command("calibrate", CalibrateSettings, calibrate)


def calibrate(config: DictConfig) -> None:
    """Write ``output``: the classifier of ``ckpt`` with a rule made from the splits ``val``, ``calibration``."""
    quiet_lightning()
    decision: DecisionSettings = build(config.decision, "decision")
    settings: DataSettings = build(config.data, "data")
    check_scales(config.scales)
    alike = _AVERAGED if config.scales is not None else (*_AVERAGED, "scales")
    # one that knows most about the images that it was trained on comes first, so that the mean knows, too; one trained
    # on a folder before others, for what these know of negatives was not kept up in it
    facts = ("folder", "polarity")
    opened = sorted(open_classifiers(config, alike), key=lambda each: [each[1].hparams[fact] is None for fact in facts])
    (path, classifier), *others = opened
    target = Path(str(build(config, "").output)).expanduser()
    seed = int(classifier.hparams["seed"]) if config.seed is None else check_seed(config)
    source = open_source(build_simulator(config), settings, classifier, seed)
    for _, other in others:
        check_fit(source, other)
        if other.hparams["folder"] not in (None, classifier.hparams["folder"]):
            raise SettingError("ckpt", "several were trained on folders, not all on the same, divided alike; name one")
    weights = None
    if others:
        classifier.average([other for _, other in others])
        # before a trainer turns them into numbers of fewer bits
        weights = {name: value.clone() for name, value in classifier.state_dict().items()}
    check_decision(decision, source.classes, source.counts("calibration"))
    if target.is_dir():
        raise SettingError("output", f"{target} is a folder; name a file")
    check_writable("output", target.parent)
    if target.suffix == SUFFIX:
        classifier.net.half().float()  # as it is stored there: the rule is made for what will answer
    trainer = build_tester(config.trainer, Path(HydraConfig.get().runtime.output_dir))
    looks = looks_of(classifier, source, config.scales)
    datamodule = SEMDataModule(source, settings.batch_size, settings.num_workers, seed, looks=looks)
    with explain_interrupt(trainer):
        rule = calibrate_rule(trainer, classifier, datamodule, decision)
    target.parent.mkdir(parents=True, exist_ok=True)
    save_rule(path, rule, target, config.scales, weights)
    described = f"mean of {len(others) + 1} classifiers" if others else f"classifier of {path}"
    print(f"{explain_rule(rule)}\n{target} holds it, with the {described}")


def calibrate_rule(
    trainer: lightning.Trainer, classifier: SEMClassifier, datamodule: SEMDataModule, settings: DecisionSettings
) -> Rule:
    """A rule for the classifier, from the splits ``val`` and ``calibration``."""
    fitting, calibration = (collect_answers(trainer, classifier, datamodule, split) for split in ("val", "calibration"))
    try:
        return make_rule(settings, classifier.classes, fitting, calibration, classifier.rule)
    except SettingError as error:
        raise error.under("decision") from None


def check_decision(settings: DecisionSettings, classes: list[str], counts: dict[str, int]) -> None:
    """Refuse, before anything long begins, a rule that so many calibration images cannot give.

    Raises:
        SettingError: For the group ``decision``.
    """
    try:
        settings.check(classes, sum(counts[name] for name in classes[1:]))
    except SettingError as error:
        raise error.under("decision") from None


def collect_answers(
    trainer: lightning.Trainer, classifier: SEMClassifier, datamodule: SEMDataModule, split: str
) -> Answers:
    """What the classifier answers to every image of a split."""
    if not sum(datamodule.source.counts(split).values()):
        return Answers(np.empty((0, len(classifier.classes))), np.empty((0, 1)), np.empty(0, np.int64))
    batches: Any = trainer.predict(classifier, dataloaders=datamodule.loader(split))
    mine = [np.concatenate([batch[name].float().cpu().numpy() for batch in batches]) for name in _ANSWERS]
    logits, features, labels = (np.concatenate(parts) for parts in zip(*gather(mine), strict=True))
    return Answers(logits.astype(np.float64), features.astype(np.float64), labels.astype(np.int64))


def explain_rule(rule: Rule) -> str:
    """The rule, and what it promises and costs, in a few lines."""
    lines = [f"rule: {rule.kind}, temperature {rule.temperature:.3f}"]
    if rule.promise is not None and rule.good_threshold is not None:
        promise = rule.promise
        low, high = wilson_interval(promise.overkill, promise.good)
        bound = upper_bound(promise.escapes, promise.defects, promise.confidence)
        lines += [
            f"passes as good with P(good) above {rule.good_threshold:.6g}",
            f"escape at most {promise.max_escape:g} with confidence {promise.confidence:g} (bound {bound:.5f}: "
            f"{promise.escapes} of {promise.defects} defective calibration images pass)",
            f"overkill {promise.overkill} of {promise.good} good ones: {promise.overkill / max(promise.good, 1):.4f} "
            f"[{low:.4f}, {high:.4f}]",
        ]
    unsure = []
    if np.isfinite(rule.distance):
        unsure.append(f"farther than {rule.distance:.1f} from the training images")
    if rule.margin:
        unsure.append(f"closer than {rule.margin:.2f} in log odds to another decision")
    lines.append(f"unsure: {' or '.join(unsure) or 'never'}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
