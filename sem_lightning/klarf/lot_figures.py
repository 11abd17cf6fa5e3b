"""Figures of a lot: where its defects lie on each wafer, and how many there are of each kind."""

import io
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from sem_lightning.decision.intervals import wilson_interval
from sem_lightning.decision.rule import UNSURE_NAME
from sem_lightning.klarf.document import Wafer
from sem_lightning.klarf.judging import UNREADABLE, WITHOUT_ANSWER
from sem_lightning.synthesis.defects.mix import GOOD

_GREY = "#b9c0c9"
_FIXED = {GOOD: "#4c9f70", UNSURE_NAME: "#e0a800", **dict.fromkeys(WITHOUT_ANSWER, _GREY), UNREADABLE: "#6c757d"}
_OTHERS = ("#c8413a", "#2f6db3", "#8a4fa8", "#d97b29", "#1f9aa5", "#a8577e", "#6b7d2a", "#4d4d99")
_MOST_LINES = 400  # of a grid of dies
_NOTCH = {"DOWN": (0.0, -1.0), "UP": (0.0, 1.0), "LEFT": (-1.0, 0.0), "RIGHT": (1.0, 0.0)}

Points = npt.NDArray[np.float64]


def choose_colours(names: Sequence[str]) -> dict[str, str]:
    """A colour for each class or decision."""
    others = [name for name in names if name not in _FIXED]
    colours = {name: _OTHERS[number % len(_OTHERS)] for number, name in enumerate(others)}
    return {name: _FIXED.get(name, colours.get(name, _GREY)) for name in names}


def draw_wafer(wafer: Wafer, points: Points, names: Sequence[str], each: Sequence[str], title: str) -> Figure:
    """Map of a wafer.

    Args:
        wafer: Gives the circle and the dies.
        points: Positions of the defects, float64 [N, 2], mm.
        names: In the order of the legend.
        each: The name of each defect.
        title: Of the map.
    """
    figure = Figure(figsize=(5.2, 5.7), layout="constrained")
    axes = figure.add_subplot()
    _draw_outline(axes, wafer, points)
    _draw_points(axes, points, names, np.asarray(each, dtype=object))
    axes.set_title(title, fontsize=10)
    return figure


def _draw_points(axes: Axes, points: Points, names: Sequence[str], each: npt.NDArray[np.object_]) -> None:
    colours = choose_colours(names)
    size = float(np.clip(3000 / max(len(points), 1), 4, 36))
    for name in sorted(names, key=lambda one: -int((each == one).sum())):  # rare ones on top
        chosen = points[each == name]
        if len(chosen):
            label = f"{name} {len(chosen)}".replace("$", r"\$")
            x, y = chosen.T
            axes.scatter(x, y, size, colours[name], label=label, edgecolors="white", linewidths=0.4, zorder=3)
    if len(points):
        axes.legend(
            loc="upper center",
            bbox_to_anchor=(0.5, -0.1),
            ncols=4,
            fontsize=8,
            frameon=False,
            markerscale=np.sqrt(36 / size),
        )  # as large as for few defects


def _draw_outline(axes: Axes, wafer: Wafer, points: Points) -> None:
    radius = None if wafer.diameter is None else wafer.diameter / 2
    reach = radius or (float(np.abs(points).max()) * 1.05 if len(points) else 1.0)
    reach = reach if 0 < reach < 1e6 else 1.0
    _draw_dies(axes, wafer, reach, radius)
    if radius is not None:
        axes.add_patch(Circle((0, 0), radius, fill=False, edgecolor="#5b6775", linewidth=1.2, zorder=2))
        if wafer.mark in _NOTCH:
            x, y = _NOTCH[wafer.mark]
            axes.plot(
                [x * radius], [y * radius], marker="o", markersize=9, color="white", markeredgecolor="#5b6775", zorder=2
            )
    axes.set_xlim(-1.06 * reach, 1.06 * reach)
    axes.set_ylim(-1.06 * reach, 1.06 * reach)
    axes.set_aspect("equal")
    axes.set_xlabel("x, mm")
    axes.set_ylabel("y, mm")
    axes.tick_params(labelsize=8)


def _draw_dies(axes: Axes, wafer: Wafer, reach: float, radius: float | None) -> None:
    """The grid of dies, if it is not too fine to be seen."""
    if wafer.die_pitch is None or wafer.center is None:
        return
    origin = wafer.die_origin or (0.0, 0.0)
    for axis, draw in ((0, axes.vlines), (1, axes.hlines)):
        pitch = wafer.die_pitch[axis]
        if not 2 * reach / _MOST_LINES < pitch < 4 * reach:
            continue
        first = (origin[axis] - wafer.center[axis] + reach) % pitch - reach
        places = np.arange(first, reach, pitch)
        ends = np.full(len(places), reach) if radius is None else np.sqrt(np.maximum(radius**2 - places**2, 0))
        draw(places, -ends, ends, colors="#e3e7ec", linewidth=0.7, zorder=1)


def draw_pareto(counts: Mapping[str, int], colours: Mapping[str, str], title: str) -> Figure:
    """Counts from the largest to the smallest, with 95 % Wilson intervals of the shares, as counts.

    Args:
        counts: By name.
        colours: By name.
        title: Of the figure.
    """
    total = sum(counts.values())
    shown = sorted((name for name in counts if counts[name]), key=lambda name: (-counts[name], name))
    figure = Figure(figsize=(5.2, 0.9 + 0.42 * max(len(shown), 1)), layout="constrained")
    axes = figure.add_subplot()
    values = np.array([counts[name] for name in shown], np.float64)
    limits = np.array([wilson_interval(counts[name], total) for name in shown]).reshape(-1, 2) * total
    places = np.arange(len(shown))
    axes.barh(places, values, color=[colours.get(name, _GREY) for name in shown])
    errors = np.abs(limits.T - values)
    axes.errorbar(values, places, xerr=errors, fmt="none", ecolor="#1c2430", elinewidth=1, capsize=3)
    for place, name in enumerate(shown):
        axes.text(
            limits[place, 1] + 0.01 * total,
            place,
            f" {counts[name]} ({counts[name] / total:.1%})",
            va="center",
            fontsize=8,
        )
    axes.set_yticks(places, [name.replace("$", r"\$") for name in shown], fontsize=9)
    axes.invert_yaxis()
    axes.set_xlim(0, max(1.0, float(limits.max()) * 1.25 if len(shown) else 1.0))
    axes.set_xlabel("defects", fontsize=8)
    axes.tick_params(axis="x", labelsize=8)
    axes.set_title(title, fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def encode_png(figure: Figure) -> bytes:
    """The figure as the content of a PNG file."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110, metadata={"Software": None})
    return stream.getvalue()
