"""``sem-evaluate``: test trained classifiers on simulated or labelled real images."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import MISSING, DictConfig
from rich.console import Console
from torch.utils.tensorboard import SummaryWriter

from sem_lightning.commands.app import run_command
from sem_lightning.commands.open_data import (
    check_fit,
    looks_of,
    open_classifiers,
    open_source,
    same_folder,
    sees_negatives,
)
from sem_lightning.commands.provenance import describe_environment
from sem_lightning.commands.settings import SimulationSettings, at_least, build, build_simulator, check_seed
from sem_lightning.commands.trainer import build_tester, explain_interrupt, quiet_lightning
from sem_lightning.commands.training_run import build_mlflow_logger
from sem_lightning.commands.training_settings import DataSettings, FolderSettings, register_data_schemas
from sem_lightning.data.datamodule import SEMDataModule, Source
from sem_lightning.data.splits import SPLITS
from sem_lightning.errors import SettingError
from sem_lightning.evaluation.comparison import Comparison, compare
from sem_lightning.evaluation.figures import save_figures
from sem_lightning.evaluation.page import Section, write_page
from sem_lightning.evaluation.pointing import measure_pointing
from sem_lightning.evaluation.recorder import Recorder
from sem_lightning.evaluation.report import Report, make_report
from sem_lightning.evaluation.tensorboard import write_figures
from sem_lightning.files import write_json
from sem_lightning.model.classifier import SEMClassifier, check_scales

_COMPARED = ("image_size", "classes")  # what classifiers that are compared must share

log = logging.getLogger(__name__)


@dataclass
class EvaluateSettings(SimulationSettings):
    """``conf/evaluate.yaml``."""

    seed: int | None = MISSING  # type: ignore[assignment]

    ckpt: Any = MISSING
    split: str = MISSING
    explain: int = MISSING
    scales: list[float] | None = MISSING
    data: DataSettings = MISSING
    trainer: dict[str, Any] = MISSING
    mlflow: bool = MISSING


def main() -> None:
    """Entry point of ``sem-evaluate``."""
    register_data_schemas()
    run_command("evaluate", EvaluateSettings, evaluate)


def evaluate(config: DictConfig) -> float:
    """Test every ``ckpt`` on one split of ``data``; returns the first one's overall accuracy."""
    quiet_lightning()
    output = Path(HydraConfig.get().runtime.output_dir)
    settings: DataSettings = build(config.data, "data")
    at_least("explain", config.explain, 0)
    check_scales(config.scales)
    mlflow = build_mlflow_logger() if config.mlflow else None
    opened = open_classifiers(config, _COMPARED)
    seed = int(opened[0][1].hparams["seed"]) if config.seed is None else check_seed(config)
    source = _open_split(config, settings, opened[0][1], seed)
    for _, classifier in opened[1:]:
        check_fit(source, classifier)
    trained_here = [path for path, classifier in opened if same_folder(source, classifier)]
    if config.split == "all" and trained_here:
        raise SettingError("split", f"{trained_here[0]} was trained on some images of this folder; use split=test")
    pointing = [
        measure_pointing(
            classifier, source.dataset(config.split), config.explain, negative=sees_negatives(classifier, source)
        )
        if config.explain
        else {}
        for _, classifier in opened
    ]
    sections = []
    for number, (path, classifier) in enumerate(opened, start=1):
        folder = output if len(opened) == 1 else output / str(number)
        folder.mkdir(parents=True, exist_ok=True)
        report = _test(config, settings, source, classifier, seed)
        sections.append(Section(str(path), report, save_figures(report, folder)))
        title = f"{path.name}: accuracy {report.metrics['test/accuracy']:.4f}"
        report.print(Console(), title, f"{report.images} images (split {config.split}) in {report.seconds:.1f} s")
    comparisons = [compare(sections[0].report.tested, other.report.tested) for other in sections[1:]]
    _write(config, output, sections, comparisons, pointing, seed)
    if mlflow is not None:
        for number, section in enumerate(sections, start=1):
            start = f"{number}/" if len(sections) > 1 else ""
            mlflow.log_metrics({f"{start}{name}": value for name, value in section.report.metrics.items()})
        mlflow.finalize("success")
    return sections[0].report.metrics["test/accuracy"]


def _test(config: DictConfig, settings: DataSettings, source: Source, classifier: SEMClassifier, seed: int) -> Report:
    recorder = Recorder()
    trainer = build_tester(config.trainer, Path(HydraConfig.get().runtime.output_dir), [recorder])
    looks = looks_of(classifier, source, config.scales)
    datamodule = SEMDataModule(source, settings.batch_size, settings.num_workers, seed, config.split, looks)
    with explain_interrupt(trainer):
        trainer.test(classifier, datamodule=datamodule, verbose=False)
    if recorder.tested is None:
        raise SettingError("trainer.limit_test_batches", "found 0, which tests nothing; use 1 or more")
    return make_report(recorder.tested)


def _write(
    config: DictConfig,
    output: Path,
    sections: list[Section],
    comparisons: list[list[Comparison]],
    pointing: list[dict[str, Any]],
    seed: int,
) -> None:
    """``report.json``, ``report.html`` and TensorBoard's events."""
    models = [
        {"checkpoint": section.name, **section.report.to_dict(), **({"pointing": one} if one else {})}
        for section, one in zip(sections, pointing, strict=True)
    ]
    scales = None if config.scales is None else list(config.scales)
    facts: dict[str, Any] = {"seed": seed, "split": config.split, "scales": scales} | describe_environment()
    content = models[0] | facts if len(models) == 1 else {"models": models, **facts}
    if comparisons:
        content["comparisons"] = [
            {"first": sections[0].name, "second": other.name, "tests": [one.to_dict() for one in pair]}
            for other, pair in zip(sections[1:], comparisons, strict=True)
        ]
    write_json(output / "report.json", content)
    pointed = {
        f"{method} of {number} points at the defect": f"{rate['events']} of {rate['trials']}"
        for number, one in enumerate(pointing, start=1)
        for method, rate in one.items()
    }
    write_page(output / "report.html", sections, comparisons, facts | pointed)
    for number, section in enumerate(sections, start=1):
        _write_events(output / "tensorboard" / (f"{number}" if len(sections) > 1 else ""), section)
    for pair, other in zip(comparisons, sections[1:], strict=True):
        for one in pair:
            print(
                f"{one.what}: {sections[0].name} alone {one.first_only}, {other.name} alone {one.second_only} "
                f"of {one.images} images, p = {one.p:.3g}"
            )
    for what, share in pointed.items():
        print(f"{what}: {share}")
    print(f"report in {output / 'report.html'}")


def _write_events(folder: Path, section: Section) -> None:
    """A classifier's figures, metrics and rates for TensorBoard."""
    with SummaryWriter(str(folder)) as writer:
        write_figures(writer, section.figures, 0)
        for name, value in section.report.metrics.items():
            writer.add_scalar(name, value, 0)
        for rate in section.report.rates:
            if rate.value is not None:
                writer.add_scalar(f"test/{rate.name}", rate.value, 0)


def _open_split(config: DictConfig, settings: DataSettings, classifier: SEMClassifier, seed: int) -> Source:
    """The images of ``split``; there is at least one."""
    splits = (*SPLITS, "all") if isinstance(settings, FolderSettings) else SPLITS
    if config.split not in splits:
        raise SettingError("split", f"found {config.split!r}, expected one of {', '.join(splits)}")
    source = open_source(build_simulator(config), settings, classifier, seed)
    if not sum(source.counts(config.split).values()):
        raise SettingError("split", f"there is no image in the split {config.split}")
    return source


if __name__ == "__main__":
    main()
