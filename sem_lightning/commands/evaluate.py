"""``sem-evaluate``: test a trained classifier on simulated or labelled real images."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import MISSING, DictConfig, OmegaConf
from rich.console import Console

from sem_lightning.commands.app import run_command
from sem_lightning.commands.provenance import describe_environment
from sem_lightning.commands.settings import SimulationSettings, build, build_simulator, check_seed
from sem_lightning.commands.trainer import build_trainer, explain_interrupt, quiet_lightning
from sem_lightning.commands.training_settings import DataSettings, FolderSettings, register_data_schemas
from sem_lightning.data.datamodule import SEMDataModule, Source
from sem_lightning.data.splits import SPLITS
from sem_lightning.errors import SettingError
from sem_lightning.evaluation.figures import save_figures
from sem_lightning.evaluation.recorder import Recorder
from sem_lightning.files import write_json
from sem_lightning.model.classifier import SEMClassifier, load_classifier


@dataclass
class EvaluateSettings(SimulationSettings):
    """``conf/evaluate.yaml``."""

    seed: int | None = MISSING  # type: ignore[assignment]

    ckpt: str = MISSING
    split: str = MISSING
    data: DataSettings = MISSING
    trainer: dict[str, Any] = MISSING


def main() -> None:
    """Entry point of ``sem-evaluate``."""
    register_data_schemas()
    run_command("evaluate", EvaluateSettings, evaluate)


def evaluate(config: DictConfig) -> float:
    """Test ``ckpt`` on one split of ``data``; returns the overall accuracy."""
    quiet_lightning()
    output = Path(HydraConfig.get().runtime.output_dir)
    settings: DataSettings = build(config.data, "data")
    if OmegaConf.is_missing(config, "ckpt"):
        raise SettingError("ckpt", "needs a value: add ckpt=... to the command")
    classifier = load_classifier(Path(config.ckpt).expanduser())
    seed = int(classifier.hparams["seed"]) if config.seed is None else check_seed(config)
    source = _open_source(config, settings, classifier, seed)
    recorder = Recorder()
    trainer = build_trainer(config.trainer, output, [recorder])
    datamodule = SEMDataModule(source, settings.batch_size, settings.num_workers, seed, test_split=config.split)
    with explain_interrupt(trainer):
        trainer.test(classifier, datamodule=datamodule, verbose=False)
    report = recorder.report
    assert report is not None
    save_figures(report, recorder.examples, output)
    facts: dict[str, Any] = {"seed": seed, "checkpoint": config.ckpt, "split": config.split}
    write_json(output / "result.json", report.to_dict() | facts | describe_environment())
    caption = (
        f"{config.ckpt} on {report.images} images (split {config.split}) in {report.seconds:.1f} s\nreport in {output}"
    )
    report.print(Console(), f"accuracy {report.metrics['test/accuracy']:.4f}", caption)
    return report.metrics["test/accuracy"]


def _open_source(config: DictConfig, settings: DataSettings, classifier: SEMClassifier, seed: int) -> Source:
    """The images, if they are of the classifier's kind; those of a folder come in its own image size."""
    simulator = build_simulator(config)
    splits = (*SPLITS, "all") if isinstance(settings, FolderSettings) else SPLITS
    if config.split not in splits:
        raise SettingError("split", f"found {config.split!r}, expected one of {', '.join(splits)}")
    source: Source
    if isinstance(settings, FolderSettings):
        settings.classes = settings.classes or classifier.classes
        settings.image_size = classifier.image_size
        source = settings.source(simulator, seed, needed=())
    else:
        source = settings.source(simulator, seed)
    if len(source.dataset(config.split)) == 0:  # type: ignore[arg-type]
        raise SettingError("split", f"there is no image in the split {config.split}")
    if source.classes != classifier.classes:
        raise SettingError(
            "ckpt", f"it knows the classes {', '.join(classifier.classes)}; the data has {', '.join(source.classes)}"
        )
    trained_on = classifier.hparams["polarity"]
    if trained_on and source.polarity and trained_on != source.polarity:
        raise SettingError(
            "ckpt",
            f"it was trained on {trained_on} lines and the data has {source.polarity} ones, where a gap looks "
            "like a bridge; train one with imaging.polarity set so",
        )
    return source
