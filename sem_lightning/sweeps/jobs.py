"""Reads the jobs of a sweep and their states from their folders."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from sem_lightning.config.overrides import parse_overrides
from sem_lightning.errors import UserError
from sem_lightning.sweeps.sweep_folder import ALIKE, ERROR, OVERRIDES, PLAN, RESULT, of_the_task

FINISHED, FAILED, UNFINISHED, OUTDATED = "finished", "failed", "unfinished", "outdated"
SEED = "seed"
_UNREADABLE = (OSError, OmegaConfBaseException, ValueError, YAMLError)


@dataclass(frozen=True)
class Job:
    """One job of a sweep.

    Attributes:
        folder: Its folder.
        overrides: Key and value of each of its overrides, in order.
        state: ``finished``, ``failed``, ``unfinished`` (running, killed, or partly deleted), or ``outdated``: finished
            with other settings than the newest job of its kind.
        result: Content of ``result.json``; empty if there is none.
        error: Why it failed or is outdated.
    """

    folder: Path
    overrides: dict[str, str]
    state: str
    result: dict[str, Any]
    error: str | None

    @property
    def accuracy(self) -> float:
        """Accuracy of a finished job."""
        return float(self.result["metrics"]["test/accuracy"])


def read_jobs(folder: Path) -> list[Job]:
    """All jobs below a sweep's folder, sorted by name.

    Raises:
        UserError: The folder does not exist or holds no jobs.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder; expected that of a sweep, such as outputs/multirun/...")
    found = {path.parent.parent for path in folder.glob(f"*/{OVERRIDES}")}  # missing in copies without hidden files
    found |= {path.parent for name in (RESULT, ERROR) for path in folder.glob(f"*/{name}")}
    jobs = _mark_outdated([_read_job(path) for path in sorted(found)])
    if not jobs:
        raise UserError(f"{folder} holds no jobs of a sweep; expected */{OVERRIDES}, which python train.py -m writes")
    return jobs


def count_planned(folder: Path) -> int | None:
    """The planned number of jobs of the last sweep into ``folder``; ``None`` if unknown, as for a study."""
    try:
        config = OmegaConf.load(folder / PLAN)
        given = [f"{key}={value}" for key, value in (OmegaConf.select(config, "hydra.sweeper.params") or {}).items()]
        given += OmegaConf.select(config, "hydra.overrides.task")
        parsed = {each.key_or_group: each for each in parse_overrides(given)}  # the last wins
        if OmegaConf.select(config, "hydra.sweeper.n_trials") is not None:
            return None
        swept = [each for each in parsed.values() if each.is_sweep_override()]
        return math.prod(len(list(each.sweep_string_iterator())) for each in swept)
    except (*_UNREADABLE, UserError, TypeError):  # missing, or partly deleted
        return None


def _read_job(folder: Path) -> Job:
    try:
        listed = of_the_task([str(each) for each in OmegaConf.load(folder / OVERRIDES)])
    except _UNREADABLE:
        return Job(folder, {}, UNFINISHED, {}, f"{OVERRIDES} cannot be read, so its settings are unknown")
    overrides = {key: value or "left out" for key, _, value in (each.partition("=") for each in listed)}
    result, error = _read_json(folder / RESULT), _read_json(folder / ERROR)
    if result is not None and "test/accuracy" in result.get("metrics", {}):
        return Job(folder, overrides, FINISHED, result, None)
    if error is not None:
        return Job(folder, overrides, FAILED, {}, str(error.get("error")))
    return Job(folder, overrides, UNFINISHED, {}, None)


def _mark_outdated(jobs: Sequence[Job]) -> list[Job]:
    """Mark jobs as outdated if a file in ``conf/`` changed before a newer job that differs only in its seed."""
    kinds: dict[tuple[str, ...], list[Job]] = {}
    for job in jobs:
        if job.state == FINISHED:
            kind = tuple(f"{key}={value}" for key, value in job.overrides.items() if key != SEED)
            kinds.setdefault(kind, []).append(job)
    outdated = set()
    for alike in kinds.values():
        newest = max(alike, key=lambda job: (job.folder / RESULT).stat().st_mtime)
        outdated |= {job.folder for job in alike if job.result.get(ALIKE) != newest.result.get(ALIKE)}
    why = "has other settings than the newest of its kind, and does not count; run it again, or remove its folder"
    return [replace(job, state=OUTDATED, error=why) if job.folder in outdated else job for job in jobs]


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError):  # missing, or partly deleted
        return None
    return content if isinstance(content, dict) else None


def swept_keys(jobs: Sequence[Job]) -> list[str]:
    """Keys whose values differ between jobs, in the order of their overrides."""
    known = [job for job in jobs if job.overrides]  # the settings of the others are unknown
    keys = dict.fromkeys(key for job in known for key in job.overrides)
    return [key for key in keys if len({job.overrides.get(key) for job in known}) > 1]
