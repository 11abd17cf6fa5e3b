"""The report of a sweep: a page, a CSV table, and TensorBoard's hyperparameters."""

import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from torch.utils.tensorboard import SummaryWriter

from sem_lightning.evaluation.stratified_metrics import DetectionLimit
from sem_lightning.io.atomic import write_atomically
from sem_lightning.io.csv_rows import write_row
from sem_lightning.io.html_page import data_uri, write_html
from sem_lightning.sweeps.jobs import (
    FAILED,
    FINISHED,
    OUTDATED,
    SEED,
    UNFINISHED,
    Job,
    count_planned,
    read_jobs,
    swept_keys,
)
from sem_lightning.sweeps.summary import Group, Rate, best, summarise
from sem_lightning.sweeps.sweep_figures import draw_against, draw_limits, save_figure

PAGE, LISTING, EVENTS = "report.html", "jobs.csv", "hparams"


def report_sweep(folder: Path, console: Console) -> Path:
    """Read a sweep, also a running or partly failed one; write its report into its folder and print the table.

    Returns:
        The path of the page.

    Raises:
        UserError: The folder holds no jobs.
    """
    jobs = read_jobs(folder)
    keys, groups = swept_keys(jobs), summarise(jobs)
    counts = count_states(jobs, count_planned(folder))
    _write_listing(folder / LISTING, jobs, keys)
    figures = {}
    for key in (key for key in keys if key != SEED):
        if len({group.values[key] for group in groups}) < 2:
            continue
        for what, figure in (("accuracy", draw_against(key, groups)), ("detection limit", draw_limits(key, groups))):
            if figure is not None:
                path = folder / f"{what.replace(' ', '_')}_against_{key.replace('/', '_')}.png"
                save_figure(figure, path)
                figures[f"{what} against {key}"] = path
    _write_page(folder / PAGE, counts, jobs, groups, figures)
    _write_events(folder / EVENTS, jobs, keys)
    _print(console, counts, jobs, groups)
    return folder / PAGE


def count_states(jobs: Sequence[Job], planned: int | None = None) -> str:
    """Number of jobs in each state as text, with the planned number if some have not started."""
    states = Counter(job.state for job in jobs)
    found = [f"{states[state]} {state}" for state in (FINISHED, FAILED, UNFINISHED, OUTDATED) if states[state]]
    of_all = f"{len(jobs)} of {planned}" if planned is not None and planned > len(jobs) else f"{len(jobs)}"
    return f"{of_all} jobs: {', '.join(found)}"


def in_words(rate: Rate) -> str:
    """Mean and interval as text."""
    return f"{rate.mean:.3f} [{rate.interval[0]:.3f}, {rate.interval[1]:.3f}]" if rate.images else "no images"


def _write_listing(path: Path, jobs: Sequence[Job], keys: Sequence[str]) -> None:
    metrics = sorted({name for job in jobs for name in job.result.get("metrics", {})})

    def write(temporary: Path) -> None:
        with temporary.open("w", newline="", encoding="utf-8") as stream:
            write_row(stream, ["job", "state", *keys, *metrics, "test_images", "error"])
            for job in jobs:
                values = [job.overrides.get(key, "") for key in keys]
                measured = [job.result.get("metrics", {}).get(name, "") for name in metrics]
                images = job.result.get("test_images", "")
                write_row(stream, [job.folder.name, job.state, *values, *measured, images, job.error or ""])

    write_atomically(path, write)


def _write_page(
    path: Path, counts: str, jobs: Sequence[Job], groups: Sequence[Group], figures: dict[str, Path]
) -> None:
    classes = list(dict.fromkeys(label for group in groups for label in group.by_class))
    swept = swept_keys(jobs)
    variables = {
        "name": path.parent.name,
        "counts": counts,
        "classes": classes,
        "swept": swept,
        "keys": list(groups[0].values) if groups else [],
        "best": [
            {"title": _title(group), "overall": in_words(group.overall), "detail": _by_class(group)}
            for group in best(groups)
        ],
        "groups": [{"cells": _cells(group, classes)} for group in groups],
        "figures": [{"title": title, "uri": data_uri(picture.read_bytes())} for title, picture in figures.items()],
        "jobs": [
            {
                "name": job.folder.name,
                "cells": [job.overrides.get(key, "") for key in swept],
                "state": job.state,
                "accuracy": f"{job.accuracy:.4f}" if job.state == FINISHED else "",
                "why": job.error or "",
            }
            for job in jobs
        ],
    }
    write_html(path, "sweeps/sweep.html.j2", variables)


def _cells(group: Group, classes: Sequence[str]) -> list[str]:
    rates = [in_words(group.by_class[label]) if label in group.by_class else "" for label in classes]
    counts = [str(len(group.jobs)), str(group.overall.images)]
    return [*group.values.values(), *counts, in_words(group.overall), *rates, _detection_limit(group)]


def _detection_limit(group: Group) -> str:
    """Detection limit (95 % capture) of each seed."""
    limits = [limit for job in group.jobs for limit in job.result.get("detection_limits", [])]
    return ", ".join(DetectionLimit.from_dict(limit).describe() for limit in limits if limit["what"] == "all doses")


def _title(group: Group) -> str:
    return ", ".join(f"{key}={value}" for key, value in group.values.items()) or "the one configuration"


def _by_class(group: Group) -> str:
    return ", ".join(f"{label} {rate.mean:.3f}" for label, rate in group.by_class.items())


def _write_events(folder: Path, jobs: Sequence[Job], keys: Sequence[str]) -> None:
    """Write finished jobs as rows of TensorBoard's HPARAMS tab, replacing those of an earlier report."""
    shutil.rmtree(folder, ignore_errors=True)
    finished = [job for job in jobs if job.state == FINISHED]
    for job in finished:
        with SummaryWriter(str(folder / job.folder.name)) as writer:
            settings: dict[str, Any] = {key: job.overrides.get(key, "") for key in keys}
            writer.add_hparams(settings, job.result["metrics"], run_name=".")


def _print(console: Console, counts: str, jobs: Sequence[Job], groups: Sequence[Group]) -> None:
    classes = list(dict.fromkeys(label for group in groups for label in group.by_class))
    table = Table(title=counts, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for key in groups[0].values if groups else ():
        table.add_column(escape(key))
    for name in ("seeds", "images", "accuracy [95 %]", *classes):
        table.add_column(escape(name), justify="right")
    for group in groups:
        rates = [f"{group.by_class[label].mean:.3f}" if label in group.by_class else "" for label in classes]
        images = [str(len(group.jobs)), str(group.overall.images)]
        cells = [*group.values.values(), *images, in_words(group.overall), *rates]
        table.add_row(*(escape(cell) for cell in cells))
    console.print(table)
    for job in jobs:
        if job.state == FAILED:
            console.print(f"failed: {job.folder.name}: {job.error}", markup=False, highlight=False, soft_wrap=True)
