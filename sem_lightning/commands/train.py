"""``train.py`` / ``sem-train``: fit, restore the best checkpoint, test on unseen images, report."""

from contextlib import nullcontext
from pathlib import Path

from omegaconf import DictConfig

from sem_lightning.config.app import run_command
from sem_lightning.config.build import build, check_groups
from sem_lightning.config.environment import hide_variables, save_config
from sem_lightning.config.error_lines import describe
from sem_lightning.config.job import in_multirun, output_folder
from sem_lightning.io.atomic import write_json
from sem_lightning.sweeps.multirun import multirun
from sem_lightning.sweeps.sweep_folder import ALIKE, DIGEST, ERROR, RESULT, SETTINGS, config_digest, only_job


def main() -> None:
    """Entry point of ``sem-train``."""
    run_command("train", train, around=multirun, on_job_error=_write_error)


def train(config: DictConfig) -> float:
    """Train once, or once for each fold. Returns the metric ``optimized_metric`` for a sweep."""
    output = output_folder()
    with only_job(output) if in_multirun() else nullcontext():
        try:
            check_groups(config)  # mistakes are reported before torch is imported
            return _train_job(config, output) if in_multirun() else _train_alone(config, output)
        except Exception as error:  # the report of a sweep shows this error
            (output / RESULT).unlink(missing_ok=True)  # from an earlier run
            _write_error(output, describe(error))
            raise


def _train_alone(config: DictConfig, output: Path) -> float:
    import torch

    settings = build(config.sweep, "sweep")
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    return _train(config, output)


def _train_job(config: DictConfig, output: Path) -> float:
    from sem_lightning.sweeps.sweep_job import train_job

    return train_job(config, output, _train)


def _train(config: DictConfig, output: Path) -> float:
    from lightning.pytorch.utilities import rank_zero_only
    from rich.console import Console

    from sem_lightning.config.training import build_training
    from sem_lightning.sweeps.sweep_job import prune
    from sem_lightning.training.train import train as run_training

    for stale in (RESULT, ERROR):  # from an earlier run
        (output / stale).unlink(missing_ok=True)
    digests = {DIGEST: config_digest(config), ALIKE: config_digest(config, "seed")}
    settings = build_training(config, prune(config), digests)
    if getattr(rank_zero_only, "rank", 0) == 0:  # only the first process writes
        save_config(config, output / SETTINGS)
    outcome = run_training(settings, output)
    if outcome is None:
        return 0.0  # the first process reports
    title = f"accuracy {outcome.metrics['test/accuracy']:.4f}"
    outcome.report.print(Console(), title, hide_variables(outcome.caption))
    return outcome.metrics[config.optimized_metric]


def _write_error(folder: Path, line: str) -> None:
    write_json(folder / ERROR, {"error": line})


if __name__ == "__main__":
    main()
