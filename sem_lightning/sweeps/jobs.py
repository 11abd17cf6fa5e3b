"""The jobs of a sweep, as their folders tell: finished, failed, or neither yet."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sem_lightning.errors import UserError
from sem_lightning.sweeps.folder import ERROR, OVERRIDES, RESULT, of_the_task

FINISHED, FAILED, UNFINISHED = "finished", "failed", "unfinished"


@dataclass(frozen=True)
class Job:
    """One job of a sweep.

    Attributes:
        folder: Its own.
        overrides: Key and value of each of its overrides, in their order.
        state: ``finished``, ``failed``, or ``unfinished``: running, killed, or partly deleted.
        result: What ``result.json`` holds; empty where there is none.
        error: Why it failed.
    """

    folder: Path
    overrides: dict[str, str]
    state: str
    result: dict[str, Any]
    error: str | None

    @property
    def accuracy(self) -> float:
        """Of the finished job."""
        return float(self.result["metrics"]["test/accuracy"])


def read_jobs(folder: Path) -> list[Job]:
    """Every job below a sweep's folder, in the order of their names.

    Raises:
        UserError: There is no such folder, or it holds no jobs.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder; expected that of a sweep, such as outputs/multirun/...")
    jobs = [_read_job(path.parent.parent) for path in sorted(folder.glob(f"*/{OVERRIDES}"))]
    if not jobs:
        raise UserError(f"{folder} holds no jobs of a sweep; expected */{OVERRIDES}, which python train.py -m writes")
    return jobs


def _read_job(folder: Path) -> Job:
    try:
        listed = of_the_task([str(each) for each in OmegaConf.load(folder / OVERRIDES)])
    except (OSError, OmegaConfBaseException, ValueError):
        return Job(folder, {}, UNFINISHED, {}, f"{OVERRIDES} cannot be read")
    overrides = {key: value or "left out" for key, _, value in (each.partition("=") for each in listed)}
    result, error = _read_json(folder / RESULT), _read_json(folder / ERROR)
    if result is not None and "test/accuracy" in result.get("metrics", {}):
        return Job(folder, overrides, FINISHED, result, None)
    if error is not None:
        return Job(folder, overrides, FAILED, {}, str(error.get("error")))
    return Job(folder, overrides, UNFINISHED, {}, None)


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):  # not there, or partly deleted
        return None
    return content if isinstance(content, dict) else None


def swept_keys(jobs: Sequence[Job]) -> list[str]:
    """Keys whose values differ between jobs, in the order of their overrides."""
    keys = dict.fromkeys(key for job in jobs for key in job.overrides)
    return [key for key in keys if len({job.overrides.get(key) for job in jobs}) > 1]
