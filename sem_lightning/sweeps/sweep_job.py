"""A training as a job of a sweep: run once, with its share of the cores, and pruned by a study."""

import os
from collections.abc import Callable
from pathlib import Path

import torch
from lightning.pytorch.callbacks import Callback
from omegaconf import DictConfig, OmegaConf

from sem_lightning.config.build import build
from sem_lightning.config.job import in_multirun, launcher, sweeper, task_overrides
from sem_lightning.config.schemas import SweepSettings
from sem_lightning.errors import SettingError
from sem_lightning.processes import end_with_parent
from sem_lightning.sweeps.sweep_folder import config_digest, finished_before
from sem_lightning.training.callbacks import better
from sem_lightning.training.trainer import has_one_process


def train_job(config: DictConfig, output: Path, train: Callable[[DictConfig, Path], float]) -> float:
    """Train with the job's share of the cores, unless the same job has finished before.

    Args:
        config: The composed ``conf/train.yaml``.
        output: The job's folder.
        train: Trains, writes files there, and returns the metric that a sweep optimises.

    Raises:
        SettingError: The training uses several processes.
    """
    end_with_parent()  # in a process of joblib; those of Slurm and Ray belong to these
    settings: SweepSettings = build(config.sweep, "sweep")
    before = None if settings.force else finished_before(output, config_digest(config))
    if before is not None and config.optimized_metric in before["metrics"]:
        print(f"{output.name}: finished before, accuracy {before['metrics']['test/accuracy']:.4f}")
        return float(before["metrics"][config.optimized_metric])
    if not has_one_process(config.trainer):
        raise SettingError(
            "trainer.devices",
            f"found {config.trainer.devices}, but the jobs of a sweep (-m) have one process each; run this one by "
            "itself, or several jobs at a time with launcher=joblib",
        )
    threads = settings.threads or fair_share(launcher(), sweeper().get("n_jobs"))
    if threads is not None:
        torch.set_num_threads(threads)
    if "n_jobs" in launcher():
        config.data.num_workers = 0  # joblib's processes cannot start DataLoader workers, and no core is free
    return train(config, output)


def fair_share(chosen: DictConfig, at_a_time: int | None) -> int | None:
    """Number of threads of a job, if the launcher runs several jobs on a machine.

    Args:
        chosen: The launcher's settings.
        at_a_time: Jobs that the sweeper launches together; ``None`` for all.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if "n_jobs" in chosen:  # joblib's
        jobs = chosen.n_jobs if chosen.n_jobs > 0 else cores
        return max(1, cores // min(int(jobs), at_a_time or cores))
    ray = OmegaConf.select(chosen, "ray.remote.num_cpus")
    cpus = ray or chosen.get("cpus_per_task")  # submitit's; Hydra's own launcher has none
    return max(1, int(cpus)) if cpus else None


def prune(config: DictConfig) -> tuple[Callback, ...]:
    """The pruning callback of a study, if ``sweep.prune`` is set.

    Raises:
        SettingError: There is no study, or its metric or direction differs from the monitored one.
    """
    if not config.sweep.prune:
        return ()
    study = sweeper()
    if not in_multirun() or not study.get("storage"):
        raise SettingError("sweep.prune", "is for trials of a study; use -m hparams_search=optuna")
    from sem_lightning.sweeps.pruning import PruneTrial

    monitor, wanted = config.callbacks.monitor, better(config.callbacks.monitor)
    if config.optimized_metric != monitor:
        raise SettingError("optimized_metric", f"found {config.optimized_metric}, but trials are ended by {monitor}")
    direction = getattr(study.direction, "name", study.direction)
    if not str(direction).startswith(wanted):
        raise SettingError("hydra.sweeper.direction", f"found {direction}, but {monitor} is to be {wanted}imized")
    return (PruneTrial(study.storage, study.study_name, task_overrides(), monitor),)
