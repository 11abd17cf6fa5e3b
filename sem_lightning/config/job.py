"""Properties of Hydra's current job."""

from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode


def output_folder() -> Path:
    """The job's output folder."""
    return Path(HydraConfig.get().runtime.output_dir)


def in_multirun() -> bool:
    """Whether the job is one of a multirun (``-m``)."""
    return bool(HydraConfig.get().mode == RunMode.MULTIRUN)


def task_overrides() -> list[str]:
    """The job's overrides, without those of Hydra's own keys; none outside a command."""
    if not HydraConfig.initialized():
        return []
    return [str(each) for each in HydraConfig.get().overrides.task]


def given_keys() -> set[str]:
    """Keys and groups in the job's overrides; none outside a command."""
    return {each.lstrip("+").partition("=")[0] for each in task_overrides()}


def launcher() -> Any:
    """Settings of the multirun's launcher."""
    return HydraConfig.get().launcher


def sweeper() -> Any:
    """Settings of the multirun's sweeper."""
    return HydraConfig.get().sweeper
