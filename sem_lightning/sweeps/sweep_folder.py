"""The folder of a sweep: named so that the same command finds it, one sweep at a time, jobs known by their settings."""

import hashlib
import json
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from sem_lightning.errors import UserError
from sem_lightning.io.atomic import exclusive

RESULT, ERROR, SETTINGS = "result.json", "error.json", "config.yaml"
OVERRIDES = ".hydra/overrides.yaml"  # what Hydra writes for each job ...
PLAN = "multirun.yaml"  # ... and for the sweep
DIGEST = "config_digest"  # in a job's result
ALIKE = "digest_without_seed"  # there, too
_LOCK = ".running"
_LONGEST = 80  # characters of a name, its digest aside
_HOW = (
    "hydra.",
    "hydra/",
    "launcher=",
    "sweep.force=",
    "sweep.threads=",
    "callbacks.progress_bar=",
    "data.num_workers=",
)
_NOT_THE_TASK = (
    "sweep.force",
    "sweep.threads",
    "callbacks.progress_bar",
    "data.num_workers",
)  # keys that leave a job's result as it is


def sweep_name(overrides: Sequence[str]) -> str:
    """A folder's name for a sweep over these overrides, whatever their order."""
    overrides = sorted(of_the_task(overrides))
    several = [each for each in overrides if re.search(r"=.*,|range\(|interval\(|glob\(", each)]
    shown = [each for each in overrides if each in several or each.startswith(("experiment=", "hparams_search="))]
    return short_name(shown, overrides)


def job_name(overrides: str) -> str:
    """A folder's name for the job with these overrides (Hydra's ``override_dirname``)."""
    parts = of_the_task(re.split(r",(?=~|[^,=\[\]{}]+=)", overrides))
    return short_name(sorted(parts, key=lambda part: "." in part.partition("=")[0]), parts)


def of_the_task(overrides: Sequence[str]) -> list[str]:
    """Those that say what is found, not how the work is done."""
    return [each for each in overrides if not each.startswith(_HOW)]


def short_name(shown: Sequence[str], all_of_it: Sequence[str]) -> str:
    """Something to read, in letters that every shell and Hydra itself take, and a digest that tells it from others."""
    plain = re.sub(r"[^A-Za-z0-9.-]+", "_", re.sub(r"[=:]", "-", ",".join(shown))).strip("._-")[:_LONGEST]
    digest = hashlib.sha256(",".join(all_of_it).encode()).hexdigest()[:8]
    return f"{plain}-{digest}" if plain else digest


def config_digest(config: DictConfig, *left_out: str) -> str:
    """A digest of all that decides what a job finds, but for some keys: the same settings, the same digest."""
    settings: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    for key in (*_NOT_THE_TASK, *left_out):
        group, _, name = key.partition(".")
        (settings.get(group, {}) if name else settings).pop(name or group, None)
    text = json.dumps(settings, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def finished_before(folder: Path, digest: str) -> dict[str, Any] | None:
    """The result of a job that ran in ``folder`` with the same settings, if there is one."""
    try:
        result = json.loads((folder / RESULT).read_text())
    except (OSError, ValueError):
        return None
    return result if isinstance(result, dict) and result.get(DIGEST) == digest else None


@contextmanager
def only_sweep(folder: Path) -> Iterator[None]:
    """Keeps other sweeps out of a folder while this one runs; where it is killed, the lock goes with it.

    Raises:
        UserError: Another one is running there.
    """
    folder.mkdir(parents=True, exist_ok=True)

    def refuse() -> None:
        raise UserError(
            f"{folder}: another sweep is running here; wait for its end, or give this one a folder of its own with "
            "hydra.sweep.dir=..."
        )

    with exclusive(folder / _LOCK, on_wait=refuse):
        yield


@contextmanager
def only_job(folder: Path) -> Iterator[None]:
    """Keeps others out of a job's folder, and waits for who is there already.

    A launcher's processes outlive a sweep that is killed; the same command then finds them at work.
    """

    def say() -> None:
        print(f"{folder.name}: a process of an earlier sweep still works on it; waiting", file=sys.stderr)

    with exclusive(folder / _LOCK, on_wait=say):
        yield
