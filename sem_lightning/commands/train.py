"""``train.py`` / ``sem-train``: fit, restore the best checkpoint, test on unseen images, report."""

import difflib
import logging
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import lightning
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from omegaconf import MISSING, DictConfig, OmegaConf
from rich.console import Console

from sem_lightning.commands.app import describe, run_command
from sem_lightning.commands.calibrate import check_decision
from sem_lightning.commands.open_data import open_classifier
from sem_lightning.commands.provenance import describe_environment
from sem_lightning.commands.settings import SimulationSettings, build, build_simulator, check_seed
from sem_lightning.commands.sweep_job import is_alone, prune, train_job
from sem_lightning.commands.trainer import quiet_lightning
from sem_lightning.commands.training_run import Run, RunSettings, run_training
from sem_lightning.commands.training_settings import (
    CallbackSettings,
    DataSettings,
    FolderSettings,
    LoggerSettings,
    ModelSettings,
    SweepSettings,
    register_data_schemas,
)
from sem_lightning.data.datamodule import Source
from sem_lightning.decision.calibrate import DecisionSettings
from sem_lightning.errors import SettingError
from sem_lightning.evaluation.figures import save_figures
from sem_lightning.evaluation.metrics import CLASS_METRICS
from sem_lightning.evaluation.page import Section, write_page
from sem_lightning.evaluation.report import make_report
from sem_lightning.evaluation.tensorboard import write_test
from sem_lightning.evaluation.tested import join
from sem_lightning.files import write_atomically, write_json
from sem_lightning.model.checkpoint import read_checkpoint
from sem_lightning.model.classifier import SEMClassifier
from sem_lightning.model.pretrained import load_pretrained
from sem_lightning.sweeps.folder import ALIKE, DIGEST, ERROR, RESULT, SETTINGS, config_digest, only_job
from sem_lightning.sweeps.report import report_sweep
from sem_lightning.synthesis.patterns.pattern import EITHER, POLARITIES
from sem_lightning.synthesis.simulator import Simulator

log = logging.getLogger(__name__)
_OF_START = ("network", "pooling", "scales")  # of a classifier to start from, whatever the configuration says
_NEARLY = 0.75  # of the letters of two names (difflib), from which on one is taken for the other misspelt


@dataclass
class TrainSettings(SimulationSettings):
    """``conf/train.yaml``."""

    data: DataSettings = MISSING
    model: ModelSettings = MISSING
    decision: DecisionSettings = MISSING
    trainer: dict[str, Any] = MISSING
    logger: LoggerSettings = MISSING
    callbacks: CallbackSettings = MISSING
    sweep: SweepSettings = MISSING
    ckpt: str | None = None
    ckpt_path: str | None = None
    optimized_metric: str = MISSING


def main() -> None:
    """Entry point of ``sem-train``."""
    register_data_schemas()
    run_command("train", TrainSettings, train, conclude_sweep=_report_sweep)


def train(config: DictConfig) -> float:
    """One training run, or one for each fold; its files go to Hydra's output folder.

    Returns:
        The metric that ``optimized_metric`` names, for a sweep to optimise.
    """
    output = Path(HydraConfig.get().runtime.output_dir)
    in_sweep = HydraConfig.get().mode == RunMode.MULTIRUN
    with only_job(output) if in_sweep else nullcontext():
        try:
            return train_job(config, output, _train) if in_sweep else _train_alone(config, output)
        except Exception as error:  # whatever it is: here a sweep's reader finds out why a job has no result
            write_json(output / ERROR, {"error": describe(error)})
            raise


def _train_alone(config: DictConfig, output: Path) -> float:
    settings: SweepSettings = build(config.sweep, "sweep")
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    return _train(config, output)


def _report_sweep(folder: Path) -> None:
    print(f"report in {report_sweep(folder, Console())}")


def _train(config: DictConfig, output: Path) -> float:
    quiet_lightning()
    for stale in (RESULT, ERROR):  # of an earlier run
        (output / stale).unlink(missing_ok=True)
    digests = {DIGEST: config_digest(config), ALIKE: config_digest(config, "seed")}
    seed = check_seed(config)
    simulator = build_simulator(config)
    settings = RunSettings(
        model=build(config.model, "model"),
        data=build(config.data, "data"),
        decision=build(config.decision, "decision"),
        logger=build(config.logger, "logger"),
        callbacks=build(config.callbacks, "callbacks"),
        trainer=config.trainer,
        seed=seed,
        more_callbacks=prune(config) if config.sweep.prune else (),
    )
    start = _open_start(config, settings.model)
    sources = settings.data.sources(simulator, seed)
    if start is not None and set(sources[0].classes) == set(start.classes):
        sources = _in_its_order(settings.data, sources, start.classes, simulator, seed)
    classes = sources[0].classes
    check_decision(settings.decision, classes, sources[0].counts("calibration"))
    _check_metrics(config.optimized_metric, settings.callbacks.monitor, classes)
    if config.trainer.get("limit_test_batches") == 0:
        raise SettingError("trainer.limit_test_batches", "found 0, but every run ends with a test; use 1 or more")
    if len(sources) > 1 and not is_alone(config.trainer):
        raise SettingError("data.folds", "trains several times, each with one process; use trainer.devices=1")
    if len(sources) > 1 and settings.decision.rule != "argmax":
        raise SettingError("data.folds", "leaves no images to calibrate a decision on; use decision=argmax")
    if len(sources) > 1 and settings.logger.kind == "mlflow":
        raise SettingError("data.folds", "trains several times, and a run of MLflow is one training; use logger=csv")
    if len(sources) > 1 and config.ckpt_path is not None:
        raise SettingError("ckpt_path", "goes on with one training, not with one for each fold; leave out data.folds")
    if getattr(rank_zero_only, "rank", 0) == 0:  # of several processes the first one writes
        write_atomically(output / SETTINGS, lambda path: OmegaConf.save(config, path, resolve=True))
    runs = []
    for number, source in enumerate(sources, start=1):
        lightning.seed_everything(seed, workers=True, verbose=False)
        classifier = build_classifier(settings.model, source, seed, start)
        resume_from = _check_resumable(config.ckpt_path, classifier)
        folder = output if len(sources) == 1 else output / f"fold_{number}"
        runs.append(run_training(settings, source, classifier, folder, resume_from))
        if len(sources) > 1:
            right = runs[-1].tested.correct
            print(f"fold {number} of {len(sources)}: {right.sum()} of {len(right)} right")
    if not runs[0].first:
        return 0.0  # the first process reports
    return _report(config, output, digests, runs)[config.optimized_metric]


def _report(config: DictConfig, output: Path, digests: dict[str, str], runs: list[Run]) -> dict[str, float]:
    """Write and print what the tests found, of all folds together; returns the metrics of ``result.json``."""
    report = make_report(join([run.tested for run in runs]))
    figures = save_figures(report, output)
    first = runs[0]
    if isinstance(first.logger, TensorBoardLogger):
        settings: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
        write_test(first.logger.experiment, report, figures, settings, first.steps)
    metrics = dict(report.metrics)
    scores = [run.best_score for run in runs if run.best_score is not None]
    if scores:
        metrics[config.callbacks.monitor] = sum(scores) / len(scores)
    elif config.optimized_metric not in metrics:
        raise SettingError("optimized_metric", f"no validation ran, so there is no {config.optimized_metric}")
    images, seconds = sum(run.images for run in runs), sum(run.seconds for run in runs)
    facts = {
        "metrics": metrics,
        "seed": config.seed,
        "epochs": first.epochs,
        "train_images": images,
        "train_seconds": round(seconds, 3),
        "train_images_per_second": round(images / seconds, 1),
        "checkpoint": first.checkpoint if len(runs) == 1 else None,
        "optimized_metric": config.optimized_metric,
        "pruned": first.pruned,
    } | digests
    if len(runs) > 1:
        facts["folds"] = [
            {"accuracy": float(run.tested.correct.mean()), "test_images": len(run.tested.labels), "epochs": run.epochs}
            | {"checkpoint": run.checkpoint}
            for run in runs
        ]
    environment = describe_environment()
    write_json(output / RESULT, report.to_dict() | facts | environment)
    name = "best.ckpt" if len(runs) == 1 else f"{len(runs)} folds"
    write_page(output / "report.html", [Section(name, report, figures)], [], environment)
    times = "once" if len(runs) == 1 else f"{len(runs)} times, without a fold each"
    caption = (
        f"trained {times} on {images} images in {seconds:.1f} s ({images / seconds:.1f} images/s),\n"
        f"tested on {report.images} unseen ones in {report.seconds:.1f} s, seed {config.seed}\nreport in {output}"
    )
    report.print(Console(), f"accuracy {metrics['test/accuracy']:.4f}", caption)
    log.info("test/accuracy %.4f on %d unseen images", metrics["test/accuracy"], report.images)
    return metrics


def _check_metrics(optimized: str, monitor: str, classes: list[str]) -> None:
    names = ["accuracy", *(f"{kind}_{label}" for kind in CLASS_METRICS.values() for label in classes)]
    monitors = ["val/loss", *(f"val/{name}" for name in names)]
    for key, found, allowed in (
        ("callbacks.monitor", monitor, monitors),
        ("optimized_metric", optimized, [*(f"test/{name}" for name in names), monitor]),
    ):
        if found not in allowed:
            raise SettingError(key, f"found {found!r}, expected one of {', '.join(allowed)}")


def _in_its_order(
    settings: DataSettings, sources: list[Source], classes: list[str], simulator: Simulator, seed: int
) -> list[Source]:
    """The same images; where a folder's classes have no order of their own, in that of the classifier to start from."""
    if sources[0].classes == classes or not isinstance(settings, FolderSettings) or settings.classes is not None:
        return sources
    settings.classes = classes
    return settings.sources(simulator, seed)


def _open_start(config: DictConfig, settings: ModelSettings) -> SEMClassifier | None:
    """The classifier to start from.

    Raises:
        SettingError: ImageNet's weights as well, another network on the command line, or something frozen that nobody
            has trained.
    """
    given = settings.pretrained or settings.weights_path
    if config.ckpt is None:
        if settings.frozen != "nothing" and not given:
            raise SettingError("model.frozen", "what starts from nothing has to learn; give ckpt, or use nothing")
        if settings.start_share > 0:
            raise SettingError("model.start_share", "is a share of a classifier to start from; give ckpt, or use 0")
        return None
    if given:
        raise SettingError("model.pretrained", "ckpt brings weights of its own; use one of both")
    classifier = open_classifier(config, "ckpt")[1]
    asked = {override.lstrip("+").partition("=")[0] for override in HydraConfig.get().overrides.task}
    for name in _OF_START:
        found, known = getattr(settings, name), classifier.hparams[name]
        said = f"model.{name}" in asked or (name == "network" and "model" in asked)
        if said and found != known:
            raise SettingError(
                f"model.{name}", f"found {found}; what goes on from ckpt keeps its {known}, so leave it out"
            )
    return classifier


def build_classifier(
    settings: ModelSettings, source: Source, seed: int, start: SEMClassifier | None = None
) -> SEMClassifier:
    """A new classifier for the classes and images of ``source``.

    With the weights of ``start``, of whose kind it then is, or ImageNet's where asked for.
    """
    polarity, pixel_size = source.polarity, source.pixel_size
    if start is not None:
        settings = replace(settings, **{name: start.hparams[name] for name in _OF_START})
        _check_spelling(source.classes, start.classes)
        known = start.hparams["polarity"]
        if {known, polarity} == set(POLARITIES):
            raise SettingError("ckpt", f"it was trained on {known} features; the data has {polarity} ones")
        # images are trained on as they are: what is known of negatives is not kept up
        polarity = polarity or (None if known == EITHER else known)
        if pixel_size is None and start.image_size == source.image_size:
            pixel_size = start.hparams["pixel_size"]
    counts = source.counts("train")
    classifier = SEMClassifier(
        classes=source.classes,
        image_size=source.image_size,
        pixel_size=pixel_size,
        polarity=polarity,
        folder=source.folder,
        seed=seed,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        schedule=settings.schedule,
        warmup=settings.warmup,
        mask_weight=settings.mask_weight,
        consistency=settings.consistency,
        network=settings.network,
        pooling=settings.pooling,
        scales=settings.scales,
        frozen=settings.frozen,
        class_weights=_balance(list(counts.values())) if settings.balance else None,
    )
    if start is not None:
        same = start.classes == source.classes
        if not same and settings.start_share > 0:
            known = ", ".join(start.classes)
            raise SettingError("model.start_share", f"ckpt knows {known}, so other answers start from nothing; use 0")
        classifier.net.take_weights(start.net, heads=same)
        if not same:
            both = ", ".join(start.classes), ", ".join(counts)
            log.warning("ckpt knows %s: the answers for %s start anew (only the same classes keep them)", *both)
    if settings.pretrained or settings.weights_path:
        path = Path(settings.weights_path).expanduser() if settings.weights_path else None
        load_pretrained(classifier.net.backbone, path)
    return classifier


def _check_spelling(classes: list[str], known: list[str]) -> None:
    """Refuse classes that a checkpoint knows under nearly the same name: all that it knows of them would be lost."""
    for name in classes:
        near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=_NEARLY)
        if name not in known and near and near[0] not in classes:
            raise SettingError("data.root", f"found the class {name}, and ckpt knows {near[0]}; rename it")


def _balance(counts: list[int]) -> list[float]:
    """Weights that make every class count alike, whatever its number of images; their mean over images is 1."""
    return [sum(counts) / (len(counts) * max(count, 1)) for count in counts]


def _check_resumable(ckpt_path: str | None, classifier: SEMClassifier) -> Path | None:
    """The checkpoint to go on from, if it was trained on what ours is and holds the optimiser's state."""
    if ckpt_path is None:
        return None
    path = Path(ckpt_path).expanduser()
    state = read_checkpoint(path)
    for name in ("classes", "image_size", "pixel_size", "polarity", "network", "pooling", "frozen"):
        if name not in state["hyper_parameters"]:
            continue
        theirs, ours = state["hyper_parameters"].get(name), classifier.hparams[name]
        if theirs != ours:
            raise SettingError("ckpt_path", f"{path} was trained with {name} {theirs}; the data has {ours}")
    theirs, ours = (dict(each.get("folder") or {}) for each in (state["hyper_parameters"], classifier.hparams))
    if "images" in theirs and any(theirs.get(name) != ours.get(name) for name in ("images", "seed", "shares")):
        raise SettingError(
            "ckpt_path",
            f"the images that {path} was trained on have changed since, or how they are divided: training images would "
            "come back as unseen ones; begin a new run without ckpt_path",
        )
    if "optimizer_states" not in state:
        raise SettingError("ckpt_path", f"{path} holds weights only; resume from last.ckpt beside it")
    return path


if __name__ == "__main__":
    main()
