"""``generate.py`` / ``sem-generate``: write a labelled set of simulated images to disk."""

import os
import shlex
import time

from omegaconf import DictConfig
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from sem_lightning.config.app import run_command
from sem_lightning.config.environment import shown
from sem_lightning.config.generation import build_writer

_WORTH_A_PROCESS = 100  # images, which take as long as a further process takes to start


def main() -> None:
    """Entry point of ``sem-generate``."""
    run_command("generate", generate)


def generate(config: DictConfig) -> None:
    """Write ``num_per_class`` images of each class to ``output``, or one shard of them; continues a stopped run."""
    writer = build_writer(config)
    root = shown(writer.root)
    if not writer.start(config.overwrite):
        print(f"{root} is complete: nothing to do")
        return
    parts = writer.missing_parts()
    if config.shard is not None:
        parts = [part for part in parts if part == config.shard]
    columns = (TextColumn("writing images"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    total = sum(len(writer.plan.numbers(part, writer.parts)) for part in parts)
    workers = config.num_workers or max(1, min(os.cpu_count() or 1, total // _WORTH_A_PROCESS))
    started = time.perf_counter()
    try:
        with Progress(*columns, console=Console()) as progress:
            task = progress.add_task("", total=total)
            writer.write_parts(parts, workers, lambda written: progress.advance(task, written))
    except KeyboardInterrupt as stop:
        raise type(stop)("the same command goes on where this one stopped") from None
    seconds = time.perf_counter() - started
    missing = [] if writer.is_complete() else writer.missing_parts()
    if missing:
        print(f"{total} images written ({seconds:.1f} s); {len(missing)} of {writer.parts} shards are missing")
        return
    writer.finish()
    print(f"{len(writer.plan)} images in {root} ({seconds:.1f} s); look at {root}/preview.png")
    print(f"train on them: {shlex.join(['sem-train', 'data=folder', f'data.root={root}'])}")


if __name__ == "__main__":
    main()
