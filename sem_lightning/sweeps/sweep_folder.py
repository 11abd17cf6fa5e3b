"""The folder of a sweep: its name, its lock, and jobs that are identified by their settings."""

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
OVERRIDES = ".hydra/overrides.yaml"  # written by Hydra for each job ...
PLAN = "multirun.yaml"  # ... and for the sweep
DIGEST = "config_digest"  # key in a job's result
ALIKE = "digest_without_seed"  # key in a job's result
_LOCK = ".running"
_LONGEST = 80  # characters of a name without its digest
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
)  # keys that do not change a job's result


def sweep_name(overrides: Sequence[str]) -> str:
    """A folder name for a sweep over these overrides, independent of their order."""
    overrides = sorted(of_the_task(overrides))
    several = [each for each in overrides if re.search(r"=.*,|range\(|interval\(|glob\(", each)]
    shown = [each for each in overrides if each in several or each.startswith(("experiment=", "hparams_search="))]
    return short_name(shown, overrides)


def job_name(overrides: str) -> str:
    """A folder name for the job with these overrides (Hydra's ``override_dirname``)."""
    parts = of_the_task(re.split(r",(?=~|[^,=\[\]{}]+=)", overrides))
    return short_name(sorted(parts, key=lambda part: "." in part.partition("=")[0]), parts)


def of_the_task(overrides: Sequence[str]) -> list[str]:
    """The overrides that can change results."""
    return [each for each in overrides if not each.startswith(_HOW)]


def short_name(shown: Sequence[str], all_of_it: Sequence[str]) -> str:
    """A readable name of characters that are safe for shells and Hydra, with a digest that makes it unique."""
    plain = re.sub(r"[^A-Za-z0-9.-]+", "_", re.sub(r"[=:]", "-", ",".join(shown))).strip("._-")[:_LONGEST]
    digest = hashlib.sha256(",".join(all_of_it).encode()).hexdigest()[:8]
    return f"{plain}-{digest}" if plain else digest


def config_digest(config: DictConfig, *left_out: str) -> str:
    """A digest of all settings that can change a job's result, except the keys ``left_out``."""
    settings: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    for key in (*_NOT_THE_TASK, *left_out):
        group, _, name = key.partition(".")
        (settings.get(group, {}) if name else settings).pop(name or group, None)
    text = json.dumps(settings, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def finished_before(folder: Path, digest: str) -> dict[str, Any] | None:
    """The result of an earlier job in ``folder`` with the same settings, if any."""
    try:
        result = json.loads((folder / RESULT).read_text())
    except (OSError, ValueError):
        return None
    return result if isinstance(result, dict) and result.get(DIGEST) == digest else None


@contextmanager
def only_sweep(folder: Path) -> Iterator[None]:
    """Lock a folder for one sweep. The lock ends with the process.

    Raises:
        UserError: Another sweep is running there.
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
    """Lock a job's folder, after waiting for a process that holds the lock.

    The processes of a launcher can outlive a killed sweep, and the same command can then meet them.
    """

    def say() -> None:
        print(f"{folder.name}: a process of an earlier sweep still works on it; waiting", file=sys.stderr)

    with exclusive(folder / _LOCK, on_wait=say):
        yield
