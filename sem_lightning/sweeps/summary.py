"""Summarises jobs that differ only in their seeds."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from sem_lightning.decision.intervals import wilson_interval
from sem_lightning.sweeps.jobs import FINISHED, SEED, Job, swept_keys


@dataclass(frozen=True)
class Rate:
    """A rate over seeds.

    Attributes:
        mean: Mean over the seeds.
        interval: 95 % interval: Wilson's over all images or Student's over the seeds, whichever is wider.
        each: The rate of each seed.
        right: Successes over all seeds.
        images: Trials over all seeds.
    """

    mean: float
    interval: tuple[float, float]
    each: tuple[float, ...]
    right: int
    images: int


@dataclass(frozen=True)
class Group:
    """Finished jobs that differ only in their seeds.

    Attributes:
        values: Value of each swept key except the seed.
        jobs: The jobs.
        overall: Accuracy over all classes.
        by_class: Accuracy (recall) of each class.
    """

    values: dict[str, str]
    jobs: list[Job]
    overall: Rate
    by_class: dict[str, Rate]


def summarise(jobs: Sequence[Job]) -> list[Group]:
    """Groups in the order of the swept values: increasing numbers; words in the order of the jobs' names."""
    keys = [key for key in swept_keys(jobs) if key != SEED]
    together: dict[tuple[str, ...], list[Job]] = {}
    for job in jobs:
        if job.state == FINISHED:
            together.setdefault(tuple(job.overrides.get(key, "") for key in keys), []).append(job)
    order = sorted(together, key=lambda values: [sort_key(value) for value in values])
    return [_make_group(dict(zip(keys, values, strict=True)), together[values]) for values in order]


def sort_key(value: str) -> tuple[int, float, str]:
    """Sort key: numbers by size, then words; noise levels by strength."""
    number = as_number(value)
    if number is not None:
        return 0, number, ""
    known = ("none", "low", "typical", "high", "extreme")
    return (1, float(known.index(value)), "") if value in known else (2, 0.0, value)


def as_number(value: str) -> float | None:
    """The value as a number, or the middle of a range; ``None`` for words."""
    ends = re.fullmatch(r"\[([^,\[\]]+),([^,\[\]]+)\]", value)
    try:
        numbers = [float(end) for end in (ends.groups() if ends else (value,))]
    except ValueError:
        return None
    middle = sum(numbers) / len(numbers)
    return middle if math.isfinite(middle) else None


def _make_group(values: dict[str, str], jobs: list[Job]) -> Group:
    classes = [str(name) for name in jobs[0].result["classes"]]
    known = [job for job in jobs if job.result["classes"] == classes]
    confusions = [np.asarray(job.result["confusion"]) for job in known]
    by_class = {
        name: _rate([(int(one[label, label]), int(one[label].sum())) for one in confusions])
        for label, name in enumerate(classes)
    }
    overall = _rate([(int(np.trace(one)), int(one.sum())) for one in confusions])
    return Group(values, known, overall, by_class)


def _rate(counts: Sequence[tuple[int, int]]) -> Rate:
    counts = [(right, images) for right, images in counts if images]
    each = tuple(right / images for right, images in counts)
    right, images = sum(one for one, _ in counts), sum(one for _, one in counts)
    if not each:
        return Rate(math.nan, (math.nan, math.nan), (), 0, 0)
    mean = float(np.mean(each))
    low, high = wilson_interval(right, images)
    if len(each) > 1:
        half = float(student.ppf(0.975, len(each) - 1) * np.std(each, ddof=1) / math.sqrt(len(each)))
        low, high = min(low, max(0.0, mean - half)), max(high, min(1.0, mean + half))
    return Rate(mean, (low, high), each, right, images)


def best(groups: Sequence[Group], count: int = 3) -> list[Group]:
    """The groups with the best optimised validation metric, if any, else with the highest mean accuracy."""

    def rank(group: Group) -> float:
        results = [job.result for job in group.jobs]
        metrics = {str(result.get("optimized_metric")) for result in results}
        metric = metrics.pop()
        if metrics or not metric.startswith("val/"):
            return -group.overall.mean
        sign = 1 if metric == "val/loss" else -1
        return sign * float(np.mean([result["metrics"][metric] for result in results]))

    return sorted(groups, key=rank)[:count]
