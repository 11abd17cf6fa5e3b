"""``generate.py`` / ``sem-generate``: write a labelled set of simulated images to disk."""

import os
import shlex
import time
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from sem_lightning.checks import at_least
from sem_lightning.config.app import run_command
from sem_lightning.config.build import build, build_simulator, check_seed
from sem_lightning.config.job import task_overrides
from sem_lightning.data.export.index import ImageIndex
from sem_lightning.data.export.set_writer import SetWriter
from sem_lightning.data.splits import check_shares, split_counts
from sem_lightning.errors import SettingError

# Keys that say how and where a set is made, not what it is.
_RUN_KEYS = ("output", "overwrite", "num_workers", "shard")


def main() -> None:
    """Entry point of ``sem-generate``."""
    run_command("generate", generate)


def generate(config: DictConfig) -> None:
    """Write ``num_per_class`` images of each class to ``output``, or one shard of them; go on where a run stopped."""
    writer = _build_writer(config)
    console = Console(soft_wrap=True)
    if not writer.start(config.overwrite):
        console.print(f"{writer.root} is complete: nothing to do")
        return
    parts = writer.missing_parts()
    if config.shard is not None:
        parts = [part for part in parts if part == config.shard]
    workers = config.num_workers or os.cpu_count() or 1
    columns = (TextColumn("writing images"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    total = sum(len(writer.plan.numbers(part, writer.parts)) for part in parts)
    started = time.perf_counter()
    try:
        with Progress(*columns, console=console) as progress:
            task = progress.add_task("", total=total)
            writer.write_parts(parts, workers, lambda written: progress.advance(task, written))
    except KeyboardInterrupt:
        raise KeyboardInterrupt("the same command goes on where this one stopped") from None
    seconds = time.perf_counter() - started
    missing = [] if writer.is_complete() else writer.missing_parts()
    if missing:
        console.print(f"{total} images written ({seconds:.1f} s); {len(missing)} of {writer.parts} shards are missing")
        return
    writer.finish()
    console.print(f"{len(writer.plan)} images in {writer.root} ({seconds:.1f} s); look at {writer.root}/preview.png")
    console.print(f"train on them: python train.py data=folder data.root={writer.root}")


def _build_writer(config: DictConfig) -> SetWriter:
    seed = check_seed(config)
    simulator = build_simulator(config)
    for key in ("num_per_class", "shards"):
        at_least(key, config[key], 1)
    if config.num_workers is not None and config.num_workers < 1:
        raise SettingError("num_workers", f"found {config.num_workers}, expected at least 1, or null for every core")
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
        description=settings | simulator.pattern.sources(),
        command=_command(),
    )


def _command() -> str:
    """The command line that makes the same set, without what only says where and how."""
    kept = [each for each in task_overrides() if each.partition("=")[0].lstrip("+~") not in _RUN_KEYS]
    return shlex.join(["sem-generate", *kept])


if __name__ == "__main__":
    main()
