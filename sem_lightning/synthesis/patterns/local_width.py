"""Local widths of polygons: how wide the wires are of which they consist."""

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]

_SAMPLES = 101  # points on the outline of a polygon
_MEASURED_AT_MOST = 500  # polygons that are no rectangles
_EDGES_AT_ONCE = 1 << 14  # limits memory


def local_widths(polygons: list[Points]) -> Points:
    """Width of each polygon: float64 [polygons], in the unit of the corners.

    That of a rectangle along the axes is its shorter side. That of another polygon is the median distance through the
    polygon from points spread evenly over its outline, at right angles to it; so bends, branches and holes leave it
    that of the wires. Of many such polygons, evenly chosen ones are measured, and each stands for its neighbours.
    """
    widths = np.zeros(len(polygons))
    four = np.flatnonzero([len(points) == 4 for points in polygons])
    corners = np.array([polygons[number] for number in four]).reshape(-1, 4, 2)
    straight = (np.count_nonzero(corners != np.roll(corners, 1, 1), axis=2) == 1).all(axis=1)
    widths[four[straight]] = np.ptp(corners[straight], axis=1).min(axis=1)
    others = np.setdiff1d(np.arange(len(polygons)), four[straight])
    if len(others):
        chosen = others[np.linspace(0, len(others) - 1, min(len(others), _MEASURED_AT_MOST)).round().astype(int)]
        measured = np.array([_width(polygons[number]) for number in chosen])
        widths[others] = measured[np.arange(len(others)) * len(chosen) // len(others)]
    return widths


def _width(points: Points) -> float:
    """The median local width of one polygon; the shorter side of its box if it has no area."""
    otherwise = float(np.ptp(points, axis=0).min())
    points = points - points[0]  # differences of large coordinates would lose digits
    ends = np.roll(points, -1, 0)
    area = float(np.sum(points[:, 0] * ends[:, 1] - points[:, 1] * ends[:, 0]))
    steps = ends - points
    lengths = np.hypot(steps[:, 0], steps[:, 1])
    along = np.cumsum(lengths)
    if not area or not along[-1]:
        return otherwise
    places = (np.arange(_SAMPLES) + 0.5) / _SAMPLES * along[-1]
    edge = np.minimum(np.searchsorted(along, places, "right"), len(points) - 1)
    direction = steps[edge] / lengths[edge, None]
    start = points[edge] + direction * (places - (along[edge] - lengths[edge]))[:, None]
    inward = np.stack([-direction[:, 1], direction[:, 0]], axis=1) * np.sign(area)
    found = _distances(start, inward, points, steps, 1e-9 * float(along[-1]))
    found = np.sort(found[np.isfinite(found)])
    return float(found[(len(found) - 1) // 2]) if len(found) else otherwise


def _distances(start: Points, direction: Points, points: Points, steps: Points, least: float) -> Points:
    """Distance from each start [n, 2] along its direction to the nearest edge beyond ``least``; infinite if none."""
    nearest = np.full(len(start), np.inf)
    for first in range(0, len(points), _EDGES_AT_ONCE):
        corner, step = points[first : first + _EDGES_AT_ONCE], steps[first : first + _EDGES_AT_ONCE]
        away = corner[None] - start[:, None]
        turn = direction[:, :1] * step[:, 1] - direction[:, 1:] * step[:, 0]
        with np.errstate(divide="ignore", invalid="ignore"):  # edges parallel to the direction
            distance = (away[..., 0] * step[:, 1] - away[..., 1] * step[:, 0]) / turn
            share = (away[..., 0] * direction[:, 1:] - away[..., 1] * direction[:, :1]) / turn
        hit = (turn != 0) & (share >= 0) & (share <= 1) & (distance > least)
        np.minimum(nearest, np.where(hit, distance, np.inf).min(axis=1), out=nearest)
    return nearest
