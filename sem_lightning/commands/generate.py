"""``generate.py`` / ``sem-generate``: write a labelled set of simulated images to disk."""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import MISSING, DictConfig, OmegaConf
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from sem_lightning.commands.app import run_command
from sem_lightning.commands.settings import SimulationSettings, build_simulator, check_seed, check_shares
from sem_lightning.data.splits import share_out
from sem_lightning.data.writer import plan_entries, write_dataset
from sem_lightning.errors import SettingError


@dataclass
class GenerateSettings(SimulationSettings):
    """``conf/generate.yaml``."""

    num_per_class: int = MISSING
    shares: dict[str, float] = MISSING
    output: str = MISSING
    overwrite: bool = MISSING
    num_workers: int | None = MISSING


def main() -> None:
    """Entry point of ``sem-generate``."""
    run_command("generate", GenerateSettings, generate)


def generate(config: DictConfig) -> None:
    """Write ``num_per_class`` images of each class to ``output``, every split's from its own stream of scenes."""
    seed = check_seed(config)
    simulator = build_simulator(config)
    if config.num_per_class < 1:
        raise SettingError("num_per_class", f"found {config.num_per_class}, expected at least 1")
    if config.num_workers is not None and config.num_workers < 1:
        raise SettingError("num_workers", f"found {config.num_workers}, expected at least 1, or null for every core")
    check_shares(config.shares)
    entries = plan_entries(simulator.classes, share_out(config.num_per_class, config.shares))
    output = Path(config.output).expanduser()
    settings: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    workers = config.num_workers or os.cpu_count() or 1

    console = Console()
    columns = (TextColumn("writing images"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    started = time.perf_counter()
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=len(entries))
        write_dataset(
            output,
            simulator,
            seed,
            entries,
            settings,
            workers,
            config.overwrite,
            lambda written: progress.advance(task, written),
        )
    seconds = time.perf_counter() - started
    console.print(f"{len(entries)} images in {output} ({seconds:.1f} s); look at {output}/preview.png")
    console.print(f"train on them: python train.py data=folder data.root={output}")
