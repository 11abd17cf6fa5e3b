"""Training from settings to report, once or for each fold."""

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.loggers import TensorBoardLogger

from sem_lightning.data.data_settings import DataSettings, FolderSettings
from sem_lightning.data.sources import Source
from sem_lightning.errors import SettingError
from sem_lightning.evaluation.html_report import Section, write_page
from sem_lightning.evaluation.rule_calibration import check_decision
from sem_lightning.evaluation.tensorboard import write_test
from sem_lightning.evaluation.test_figures import save_figures
from sem_lightning.evaluation.test_predictions import join
from sem_lightning.evaluation.test_report import Report, make_report
from sem_lightning.io.atomic import write_json
from sem_lightning.model.metrics import CLASS_METRICS
from sem_lightning.provenance import describe_environment
from sem_lightning.synthesis.simulator import Simulator
from sem_lightning.training.run import Run, RunSettings, run_training
from sem_lightning.training.start import build_classifier, check_resumable, open_start
from sem_lightning.training.trainer import has_one_process, quiet_lightning

RESULT = "result.json"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingSettings:
    """Settings of a training.

    Attributes:
        run: Settings of each run; with folds there is one run for each fold.
        simulator: Simulator of simulated images.
        init_from: A classifier to start from.
        resume_from: A ``last.ckpt`` to resume from.
        optimized_metric: The metric that a sweep optimises.
        given: Keys that the user has set.
        plain: The configuration as plain values, for TensorBoard.
        facts: Further content of ``result.json``.
    """

    run: RunSettings
    simulator: Simulator
    init_from: str | None = None
    resume_from: str | None = None
    optimized_metric: str = "test/accuracy"
    given: Collection[str] = ()
    plain: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainingOutcome:
    """The outcome of a training.

    Attributes:
        metrics: The metrics in ``result.json``.
        report: Report of the test, over all folds.
        runs: One run, or one for each fold.
        caption: A summary for the console.
    """

    metrics: dict[str, float]
    report: Report
    runs: list[Run]
    caption: str


def train(settings: TrainingSettings, output: Path) -> TrainingOutcome | None:
    """Train once, or once for each fold, and write files to ``output``.

    Returns:
        The outcome; ``None`` in all but the first of several processes.

    Raises:
        UserError: Settings that contradict each other or do not fit the data.
    """
    quiet_lightning()
    (output / RESULT).unlink(missing_ok=True)  # from an earlier run
    run, seed = settings.run, settings.run.seed
    start = open_start(settings.init_from, run.model, settings.given)
    sources = run.data.sources(settings.simulator, seed)
    if start is not None and set(sources[0].classes) == set(start.settings.classes):
        sources = _in_order(run.data, sources, list(start.settings.classes), settings.simulator, seed)
    _check(settings, sources)
    runs = []
    for number, source in enumerate(sources, start=1):
        lightning.seed_everything(seed, workers=True, verbose=False)
        classifier = build_classifier(run.model, source, seed, start)
        resume_from = check_resumable(settings.resume_from, classifier)
        folder = output if len(sources) == 1 else output / f"fold_{number}"
        runs.append(run_training(run, source, classifier, folder, resume_from))
        if len(sources) > 1:
            right = runs[-1].predictions.correct
            log.info("fold %d of %d: %d of %d right", number, len(sources), right.sum(), len(right))
    return _report(settings, output, runs) if runs[0].first else None


def _in_order(
    data: DataSettings, sources: list[Source], classes: list[str], simulator: Simulator, seed: int
) -> list[Source]:
    """Reorder the classes of a folder like those of the classifier to start from, unless their order is given."""
    if sources[0].classes == classes or not isinstance(data, FolderSettings) or data.classes is not None:
        return sources
    data.classes = classes
    return data.sources(simulator, seed)


def _check(settings: TrainingSettings, sources: list[Source]) -> None:
    """Check early for settings that would fail later."""
    run, classes, folds = settings.run, sources[0].classes, len(sources) > 1
    check_decision(run.decision, classes, sources[0].counts("calibration"))
    names = ["accuracy", *(f"{kind}_{label}" for kind in CLASS_METRICS.values() for label in classes)]
    monitor = run.callbacks.monitor
    for key, found, allowed in (
        ("callbacks.monitor", monitor, ["val/loss", *(f"val/{name}" for name in names)]),
        ("optimized_metric", settings.optimized_metric, [*(f"test/{name}" for name in names), monitor]),
    ):
        if found not in allowed:
            raise SettingError(key, f"found {found!r}, expected one of {', '.join(allowed)}")
    if "limit_test_batches" in run.trainer:
        raise SettingError(
            "trainer.limit_test_batches", "every image of the test split is judged; see data=... for fewer"
        )
    if folds and not has_one_process(run.trainer):
        raise SettingError("data.folds", "trains several times, each with one process; use trainer.devices=1")
    if folds and run.decision.rule != "argmax":
        raise SettingError("data.folds", "leaves no images to calibrate a decision on; use decision=argmax")
    if folds and run.logger.kind == "mlflow":
        raise SettingError("data.folds", "trains several times, and a run of MLflow is one training; use logger=csv")
    if folds and settings.resume_from is not None:
        raise SettingError("resume_from", "goes on with one training, not with one for each fold; leave out data.folds")


def _report(settings: TrainingSettings, output: Path, runs: list[Run]) -> TrainingOutcome:
    """Write the test results over all folds."""
    report = make_report(join([run.predictions for run in runs]))
    figures = save_figures(report, output)
    first = runs[0]
    if isinstance(first.logger, TensorBoardLogger):
        write_test(first.logger.experiment, report, figures, dict(settings.plain), first.steps)
    elif first.logger is not None:
        first.logger.log_metrics(report.metrics, first.steps)
        first.logger.finalize("success")
    metrics = dict(report.metrics)
    scores = [run.best_score for run in runs if run.best_score is not None]
    if scores:
        metrics[settings.run.callbacks.monitor] = sum(scores) / len(scores)
    elif settings.optimized_metric not in metrics:
        raise SettingError("optimized_metric", f"no validation ran, so there is no {settings.optimized_metric}")
    images, seconds = sum(run.images for run in runs), sum(run.seconds for run in runs)
    facts: dict[str, Any] = {
        "metrics": metrics,
        "seed": settings.run.seed,
        "epochs": first.epochs,
        "train_images": images,
        "train_seconds": round(seconds, 3),
        "train_images_per_second": round(images / seconds, 1),
        "checkpoint": first.checkpoint if len(runs) == 1 else None,
        "optimized_metric": settings.optimized_metric,
        "pruned": first.pruned,
        **settings.facts,
    }
    if len(runs) > 1:
        facts["folds"] = [
            {
                "accuracy": float(run.predictions.correct.mean()),
                "test_images": len(run.predictions.labels),
                "epochs": run.epochs,
                "checkpoint": run.checkpoint,
            }
            for run in runs
        ]
    environment = describe_environment()
    write_json(output / RESULT, report.to_dict() | facts | environment)
    name = "best.ckpt" if len(runs) == 1 else f"{len(runs)} folds"
    write_page(output / "report.html", [Section(name, report, figures)], [], environment)
    times = "once" if len(runs) == 1 else f"{len(runs)} times, without a fold each"
    caption = (
        f"trained {times} on {images} images in {seconds:.1f} s ({images / seconds:.1f} images/s),\n"
        f"tested on {report.images} unseen ones in {report.seconds:.1f} s, seed {settings.run.seed}\nreport in {output}"
    )
    log.info("test/accuracy %.4f on %d unseen images", metrics["test/accuracy"], report.images)
    return TrainingOutcome(metrics, report, runs, caption)
