"""Measures how much wider features and spaces are than drawn: the CD error, from the edges that face each other."""

import cv2
import numpy as np
import numpy.typing as npt
import scipy.spatial

from sem_lightning.inspection.design.edge_placement import Edges
from sem_lightning.synthesis.field import Float32

Float64 = npt.NDArray[np.float64]

_SMOOTHING = 1.0  # pixels
_TIGHTEST = 4.0  # pixels, the radius of curvature below which the outline has a corner
_ROUNDED = 2.0  # roundings from a corner up to which it is no straight edge
_AROUND = 0.25  # of the width, the most of that distance: the middle of a square remains
_START, _LEAST_STEP = 1.5, 0.25  # pixels along the normal
_MOST_STEPS = 400
_SAME = 1.5  # pixels from where the normal ends to the point of the outline there
_FACING = -0.94  # cosine of the angle between two normals, up to which edges face each other: 20 degrees


def measure_widths(phi: Float32, edges: Edges, rounding: float, side: int) -> tuple[Float64, Float64]:
    """Drawn widths along the normal, and how much wider the image shows them, of features or of spaces.

    A width reaches from a point of the outline along its normal to the edge opposite; its error is the sum of the
    displacements of both. Points beside corners have none, since corners are rounded.

    Args:
        phi: float32 [H, W], distance from the design's outline as drawn, pixels, positive inside.
        edges: See `measure_edges`; n points.
        rounding: Standard deviation of the smoothing that rounds corners, pixels.
        side: 1 for features, -1 for spaces.

    Returns:
        float64 [n] twice, pixels; NaN where no edge is found opposite.
    """
    missing = np.full(len(edges.points), np.nan)
    if not len(edges.points):
        return missing, missing
    across = side * edges.inwards
    widths = _trace(np.asarray(side * phi, np.float32), edges.points, across)
    crossing = np.isfinite(widths)
    ends = np.where(crossing[:, None], edges.points + np.where(crossing, widths, 0)[:, None] * across, -1e6)
    away, opposite = scipy.spatial.KDTree(edges.points).query(ends)
    facing = (edges.inwards * edges.inwards[opposite]).sum(axis=1) <= _FACING
    free = _distance_from_corners(phi, edges.points)
    straight = np.minimum(free, free[opposite]) >= np.minimum(_ROUNDED * rounding, _AROUND * widths)
    found = crossing & (away <= _SAME) & facing & straight
    errors = side * (edges.displacements + edges.displacements[opposite])
    return np.where(found, widths, np.nan), np.where(found, errors, np.nan)


def _trace(inside: Float32, points: Float64, across: Float64) -> Float64:
    """Distance from each point along a direction to where a distance field falls to 0; NaN beyond the image."""
    found = np.full(len(points), np.nan)
    under_way = np.arange(len(points))
    along = np.full(len(points), _START)
    before = np.zeros((2, len(points)))  # place along the normal and distance to the outline there, one step before
    limits = np.array([inside.shape[1] - 1, inside.shape[0] - 1])
    for _ in range(_MOST_STEPS):
        places = points[under_way] + along[:, None] * across[under_way]
        within = ((places >= 0) & (places <= limits)).all(axis=1)
        under_way, along, before, places = under_way[within], along[within], before[:, within], places[within]
        if not len(under_way):
            break
        x, y = places.astype(np.float32).T
        depth = cv2.remap(inside, x[:, None], y[:, None], cv2.INTER_LINEAR)[:, 0].astype(np.float64)
        over = (depth <= 0) & (before[1] > 0)
        last, deep = before[:, over]
        found[under_way[over]] = last + (along[over] - last) * deep / (deep - depth[over])
        going = depth > 0
        under_way, before = under_way[going], np.stack([along, depth])[:, going]
        along = before[0] + np.maximum(before[1], _LEAST_STEP)
    return found


def _distance_from_corners(phi: Float32, points: Float64) -> Float64:
    """Distance of each point of the outline from the nearest corner, pixels; infinite without one."""
    smooth = np.asarray(cv2.GaussianBlur(phi, (0, 0), _SMOOTHING), np.float32)
    x, y, xx, xy, yy = (
        cv2.Sobel(smooth, cv2.CV_32F, *order, ksize=3, scale=scale)
        for order, scale in (((1, 0), 1 / 8), ((0, 1), 1 / 8), ((2, 0), 1 / 4), ((1, 1), 1 / 4), ((0, 2), 1 / 4))
    )
    curvature = (xx * y**2 - 2 * x * y * xy + yy * x**2) / np.maximum((x**2 + y**2) ** 1.5, 1e-3)
    columns, rows = np.rint(points).astype(int).T
    corners = points[np.abs(curvature[rows, columns]) > 1 / _TIGHTEST]
    if not len(corners):
        return np.full(len(points), np.inf)
    distances, _ = scipy.spatial.KDTree(corners).query(points)
    return np.asarray(distances, np.float64)
