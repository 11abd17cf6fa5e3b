"""A training as a job of a sweep: once, with its share of the cores, and ended early where a study says so."""

import os
from collections.abc import Callable
from pathlib import Path

import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from lightning.pytorch.callbacks import Callback
from omegaconf import DictConfig, ListConfig, OmegaConf

from sem_lightning.commands.settings import build
from sem_lightning.commands.training_run import better
from sem_lightning.commands.training_settings import SweepSettings
from sem_lightning.errors import SettingError
from sem_lightning.sweeps.folder import config_digest, finished_before


def train_job(config: DictConfig, output: Path, train: Callable[[DictConfig, Path], float]) -> float:
    """Train with a job's share of the cores, unless the same finished before.

    Args:
        config: Of ``conf/train.yaml``.
        output: The job's folder.
        train: What trains and writes there; returns the metric that a sweep optimises.

    Raises:
        SettingError: A training of several processes.
    """
    settings: SweepSettings = build(config.sweep, "sweep")
    before = None if settings.force else finished_before(output, config_digest(config))
    if before is not None and config.optimized_metric in before["metrics"]:
        print(f"{output.name}: finished before, accuracy {before['metrics']['test/accuracy']:.4f}")
        return float(before["metrics"][config.optimized_metric])
    if not is_alone(config.trainer):
        raise SettingError(
            "trainer.devices",
            f"found {config.trainer.devices}, but the jobs of a sweep (-m) have one process each; run this one by "
            "itself, or several jobs at a time with launcher=joblib",
        )
    hydra_config = HydraConfig.get()
    threads = settings.threads or fair_share(hydra_config.launcher, hydra_config.sweeper.get("n_jobs"))
    if threads is not None:
        torch.set_num_threads(threads)
    if "n_jobs" in hydra_config.launcher:
        config.data.num_workers = 0  # joblib's processes cannot start those of a DataLoader, nor is a core left
    return train(config, output)


def is_alone(trainer: DictConfig) -> bool:
    """Whether a training has one process: one device of one node."""
    devices = trainer.get("devices", 1)
    count = len(devices) if isinstance(devices, ListConfig) else str(devices)
    return count in (1, "1") and trainer.get("num_nodes", 1) == 1


def fair_share(launcher: DictConfig, at_a_time: int | None) -> int | None:
    """Threads of a job whose launcher runs several on a machine, so that they do not fight over its cores.

    Args:
        launcher: Its settings.
        at_a_time: Jobs that the sweeper hands to it together; ``None`` for all.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if "n_jobs" in launcher:  # joblib's
        jobs = launcher.n_jobs if launcher.n_jobs > 0 else cores
        return max(1, cores // min(int(jobs), at_a_time or cores))
    ray = OmegaConf.select(launcher, "ray.remote.num_cpus")
    cpus = ray or launcher.get("cpus_per_task")  # submitit's; Hydra's own launcher has none
    return max(1, int(cpus)) if cpus else None


def prune(config: DictConfig) -> tuple[Callback, ...]:
    """What ends a trial of a study early.

    Raises:
        SettingError: There is no study.
    """
    sweeper = HydraConfig.get().sweeper
    if HydraConfig.get().mode != RunMode.MULTIRUN or not sweeper.get("storage"):
        raise SettingError("sweep.prune", "is for trials of a study; use -m hparams_search=optuna")
    from sem_lightning.sweeps.pruning import PruneTrial

    monitor, wanted = config.callbacks.monitor, better(config.callbacks.monitor)
    if config.optimized_metric != monitor:
        raise SettingError("optimized_metric", f"found {config.optimized_metric}, but trials are ended by {monitor}")
    direction = getattr(sweeper.direction, "name", sweeper.direction)
    if not str(direction).startswith(wanted):
        raise SettingError("hydra.sweeper.direction", f"found {direction}, but {monitor} is to be {wanted}imized")
    return (PruneTrial(sweeper.storage, sweeper.study_name, list(HydraConfig.get().overrides.task), monitor),)
