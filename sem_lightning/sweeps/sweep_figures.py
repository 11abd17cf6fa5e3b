"""Figures of accuracy and detection limit against each swept value."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sem_lightning.evaluation.stratified_metrics import DetectionLimit
from sem_lightning.evaluation.test_figures import plain_text
from sem_lightning.io.atomic import write_atomically
from sem_lightning.sweeps.summary import Group, Rate, as_number, sort_key

_MOST_PANELS = 6
_FEWEST_SEARCHED = 5  # groups from which a sweep can count as a search instead of a grid
_ASIDE = 0.04  # shift, as a share of the distance between two words on an axis
_WIDE_RANGE = 8  # ratio of largest to smallest number from which an axis is logarithmic


def draw_against(key: str, groups: Sequence[Group]) -> Figure:
    """Accuracy of each class and overall against the values of ``key``, one panel for each combination of other keys.

    Dots are single seeds; bars are 95 % intervals.
    """
    panels = _by_the_others(key, groups)
    searched = _is_search(groups)
    if searched:
        panels = {(): sorted(groups, key=lambda group: sort_key(group.values[key]))}
    shown = list(panels.items())[:_MOST_PANELS]
    columns = min(3, len(shown))
    rows = -(-len(shown) // columns)
    figure = Figure(figsize=(1.5 + 4.2 * columns, 3.8 * rows), layout="constrained")
    grid = np.atleast_1d(figure.subplots(rows, columns, sharey=True)).ravel()
    for axes, (others, members) in zip(grid, shown, strict=False):
        _draw_panel(axes, key, members, "o" if searched else "o-")
        axes.set_title(plain_text(", ".join(f"{name}={value}" for name, value in others)), fontsize=9)
    for axes in grid[len(shown) :]:
        axes.axis("off")
    grid[0].legend(fontsize=8)
    if len(panels) > len(shown):
        figure.suptitle(f"the first {len(shown)} of {len(panels)} combinations")
    return figure


def draw_limits(key: str, groups: Sequence[Group]) -> Figure | None:
    """Detection limit (95 % capture) against the values of ``key``: the median for each class, and a dot for each job.

    A triangle is a bound: even the smallest tested defects are found (down), or not even the largest (up).

    Returns:
        The figure; ``None`` if no job has a limit, or if other keys than ``key`` and the seed were swept.
    """
    limits = [
        (place, DetectionLimit.from_dict(limit))
        for place, group in enumerate(groups)
        for job in group.jobs
        for limit in job.result.get("detection_limits", [])
        if limit["what"] in group.by_class
    ]
    if len(_by_the_others(key, groups)) > 1 or not limits:
        return None
    figure = Figure(figsize=(5.7, 3.8), layout="constrained")
    axes = figure.subplots()
    places = _scale_axis(axes, [group.values[key] for group in groups])
    for number, label in enumerate(dict.fromkeys(limit.what for _, limit in limits)):
        mine = [(places[place], limit) for place, limit in limits if limit.what == label]
        known = [(x, limit.size) for x, limit in mine if limit.smallest < limit.size]
        sizes = [(x, np.nan_to_num(limit.size, nan=np.inf)) for x, limit in mine]
        middles = [(x, float(np.median([size for place, size in sizes if place == x]))) for x in sorted({*places})]
        finite = [(x, size) for x, size in middles if np.isfinite(size)]
        axes.plot(*zip(*finite, strict=True) if finite else ((), ()), "-", color=f"C{number}", label=plain_text(label))
        axes.plot(*zip(*known, strict=True) if known else ((), ()), "o", color=f"C{number}", markersize=4)
        below = [(x, limit.smallest) for x, limit in mine if limit.size <= limit.smallest]
        above = [(x, limit.largest) for x, limit in mine if np.isnan(limit.size)]
        for bounds, marker in ((below, "v"), (above, "^")):
            axes.plot(*zip(*bounds, strict=True) if bounds else ((), ()), marker, color=f"C{number}", fillstyle="none")
    axes.set(xlabel=key, ylabel="smallest defect of which 95 % are found [nm]", ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    return figure


def _is_search(groups: Sequence[Group]) -> bool:
    """Whether this is a search, not a grid: one key has a different value in each group, and others differ too."""
    counts = [len({group.values[key] for group in groups}) for key in groups[0].values]
    return len(groups) >= _FEWEST_SEARCHED and max(counts) == len(groups) and sorted(counts)[-2:][0] > 1 < len(counts)


def _by_the_others(key: str, groups: Sequence[Group]) -> dict[tuple[tuple[str, str], ...], list[Group]]:
    panels: dict[tuple[tuple[str, str], ...], list[Group]] = {}
    for group in groups:
        others = tuple((name, value) for name, value in group.values.items() if name != key)
        panels.setdefault(others, []).append(group)
    return panels


def _scale_axis(axes: Axes, values: Sequence[str]) -> list[float]:
    """Positions of the values on the axis: numbers at their value, words at equal distances."""
    numbers = [as_number(value) for value in values]
    places = [number for number in numbers if number is not None]
    if len(places) < len(values):
        words = list(dict.fromkeys(values))
        places = [float(words.index(value)) for value in values]
        axes.set_xticks(range(len(words)), [plain_text(word) for word in words])
    elif min(places) > 0 and max(places) / min(places) >= _WIDE_RANGE:
        axes.set_xscale("log")
    return places


def _draw_panel(axes: Axes, key: str, groups: Sequence[Group], style: str) -> None:
    places = np.asarray(_scale_axis(axes, [group.values[key] for group in groups]))
    labels = list(groups[0].by_class)
    words = any(as_number(group.values[key]) is None for group in groups)
    for number, label in enumerate(labels):
        aside = _ASIDE * (number - len(labels) / 2) if words else 0.0  # keeps bars apart
        rates = [group.by_class[label] for group in groups if label in group.by_class]
        _draw_curve(axes, places + aside, rates, style, label)
    aside = _ASIDE * len(labels) / 2 if words else 0.0
    _draw_curve(axes, places + aside, [group.overall for group in groups], style, "all classes", "black")
    axes.set(xlabel=key, ylabel="accuracy on unseen images", ylim=(0, 1.02))
    axes.grid(alpha=0.3)


def _draw_curve(
    axes: Axes,
    places: npt.NDArray[np.float64],
    rates: Sequence[Rate],
    style: str,
    label: str,
    colour: str | None = None,
) -> None:
    if len(rates) < len(places):
        return  # jobs with other classes
    means = np.array([rate.mean for rate in rates])
    bars = np.abs(np.array([rate.interval for rate in rates]).T - means)
    drawn = axes.errorbar(
        places, means, bars, fmt=style, markersize=4, capsize=2, linewidth=1.4, label=plain_text(label), color=colour
    )
    dots = [
        (place, each) for place, rate in zip(places, rates, strict=True) for each in rate.each if len(rate.each) > 1
    ]
    if dots:
        axes.plot(*zip(*dots, strict=True), ".", markersize=3, color=drawn.lines[0].get_color(), alpha=0.6)


def save_figure(figure: Figure, path: Path) -> None:
    """Write a PNG atomically. The same numbers give the same bytes."""
    write_atomically(
        path, lambda temporary: figure.savefig(temporary, format="png", dpi=110, metadata={"Software": None})
    )
