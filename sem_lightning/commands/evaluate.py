"""``sem-evaluate``: test trained classifiers on simulated or labelled real images."""

from pathlib import Path

from omegaconf import DictConfig, ListConfig

from sem_lightning.checks import at_least
from sem_lightning.config.app import run_command
from sem_lightning.config.build import build, build_simulator, check_seed, require
from sem_lightning.config.environment import shown
from sem_lightning.config.job import output_folder
from sem_lightning.data.data_settings import FolderSettings
from sem_lightning.data.splits import SPLITS
from sem_lightning.errors import SettingError
from sem_lightning.model.model_settings import check_view_scales

_COMPARED = ("image_size", "classes")  # settings that compared classifiers must share


def main() -> None:
    """Entry point of ``sem-evaluate``."""
    run_command("evaluate", evaluate)


def evaluate(config: DictConfig) -> float:
    """Test every ``ckpt`` on one split of ``data``; returns the first one's overall accuracy."""
    settings = build(config.data, "data")
    at_least("explain", config.explain, 0)
    check_view_scales(config.view_scales)
    splits = (*SPLITS, "all") if isinstance(settings, FolderSettings) else SPLITS
    if config.split not in splits:
        raise SettingError("split", f"found {config.split!r}, expected one of {', '.join(splits)}")
    names = list(require(config, "ckpt")) if isinstance(require(config, "ckpt"), ListConfig) else [config.ckpt]
    from rich.console import Console

    from sem_lightning.evaluation.compatibility import open_models, open_source, same_folder
    from sem_lightning.evaluation.evaluate import all_metrics, remarks, write_evaluation
    from sem_lightning.evaluation.evaluate import evaluate as test
    from sem_lightning.provenance import describe_environment
    from sem_lightning.runtime.open_model import open_model
    from sem_lightning.training.loggers import build_mlflow_logger

    mlflow = build_mlflow_logger() if config.mlflow else None
    opened = open_models(names, _COMPARED, open_model)
    seed = opened[0][1].settings.seed if config.seed is None else check_seed(config)
    source = open_source(build_simulator(config), settings, opened[0][1], seed)
    if not sum(source.counts(config.split).values()):
        raise SettingError("split", f"there is no image in the split {config.split}")
    trained = [path for path, model in opened if config.split == "all" and same_folder(source, model.settings)]
    if trained:
        raise SettingError("split", f"{trained[0]} was trained on some images of this folder; use split=test")
    found = test(
        [(str(path), model) for path, model in opened],
        source,
        output_folder(),
        config.split,
        config.view_scales,
        config.explain,
        settings.num_workers,
        config.device,
        getattr(settings, "on_bad_image", "error") == "skip",
    )
    scales = None if config.view_scales is None else list(config.view_scales)
    facts = {"seed": seed, "split": config.split, "view_scales": scales}
    write_evaluation(found, output_folder(), facts | describe_environment())
    for section in found.sections:
        title = f"{shown(Path(section.name).name)}: accuracy {section.report.metrics['test/accuracy']:.4f}"
        caption = f"{section.report.images} images (split {config.split}) in {section.report.seconds:.1f} s"
        section.report.print(Console(), title, caption)
    for line in (*remarks(found), f"report in {output_folder() / 'report.html'}"):
        print(shown(line))
    if mlflow is not None:
        mlflow.log_metrics(all_metrics(found))
        mlflow.finalize("success")
    return found.sections[0].report.metrics["test/accuracy"]


if __name__ == "__main__":
    main()
