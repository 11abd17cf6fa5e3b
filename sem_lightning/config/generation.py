"""Builds the writer of a set from a composed ``conf/generate.yaml``."""

import hashlib
import json
import shlex
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from sem_lightning.checks import MAX_WORKERS, between
from sem_lightning.config.build import build, build_simulator, check_seed
from sem_lightning.config.environment import hide_variables
from sem_lightning.config.job import task_overrides
from sem_lightning.data.export.index import ImageIndex
from sem_lightning.data.export.set_writer import SetWriter
from sem_lightning.data.splits import MAX_PER_CLASS, check_shares, split_counts
from sem_lightning.errors import SettingError

_MAX_SHARDS = 10_000
# Keys that do not change the content of a set.
_RUN_KEYS = ("output", "overwrite", "num_workers", "shard")


def build_writer(config: DictConfig) -> SetWriter:
    """Check every key and build the writer.

    Raises:
        SettingError: An invalid value.
    """
    seed = check_seed(config)
    simulator = build_simulator(config)
    between("num_per_class", config.num_per_class, 1, MAX_PER_CLASS, "images")
    between("shards", config.shards, 1, _MAX_SHARDS)
    if config.num_workers is not None:
        between("num_workers", config.num_workers, 1, MAX_WORKERS, "processes, or null for every core")
    if config.shard is not None and not 0 <= config.shard < config.shards:
        raise SettingError("shard", f"found {config.shard}, expected 0 to {config.shards - 1} (shards={config.shards})")
    check_shares(config.shares)
    weights = None if config.class_weights is None else list(config.class_weights)
    classes = simulator.classes
    per_class = split_counts(config.num_per_class, config.shares)
    plan = ImageIndex(classes, {split: count * len(classes) for split, count in per_class.items()}, weights)
    everything: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    settings = {key: value for key, value in everything.items() if key not in _RUN_KEYS}
    return SetWriter(
        root=Path(config.output).expanduser().resolve(),
        simulator=simulator,
        seed=seed,
        plan=plan,
        parts=config.shards,
        settings=build(config.writer, "writer"),
        description=_describe(settings) | simulator.pattern.sources(),
        command=_command(),
    )


def _describe(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings without values of environment variables, but with a digest that tells sets of other values apart."""
    shown: dict[str, Any] = hide_variables(settings)
    if shown == settings:
        return shown
    return shown | {"digest": hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()}


def _command() -> str:
    """The command line that makes the same set, without keys that do not change its content."""
    kept = [each for each in task_overrides() if each.partition("=")[0].lstrip("+~") not in _RUN_KEYS]
    return shlex.join(["sem-generate", *kept])
