"""Measures how far each point of a design's outline lies from the edge in the image."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from sem_lightning.inspection.design.microscope import Microscope, find_normals
from sem_lightning.synthesis.field import Float32

Float64 = npt.NDArray[np.float64]

_SMOOTHING = 1.0  # pixels
_SEARCH = 0.015  # of the longer side: the farthest displacement that is looked for
_LEAST_SEARCH = 6.0  # pixels
_HALF_WIDTH = 8.0  # pixels of an edge's profile to both sides of it
_STEP = 0.5  # pixels along a profile
_ALIKE = 0.6  # correlation with the mean profile from which an edge is found
_LEAST_GAIN = 0.4  # of the mean profile's contrast
_FAR = 0.2  # of correlation: what an edge at the end of the search loses against one at the usual place
_CHUNK = 20_000  # points at once


@dataclass(frozen=True, eq=False)
class Edges:
    """Edges of an image beside a design's outline, about one a pixel of it.

    Attributes:
        points: float64 [n, 2], x and y on the outline, pixels.
        inwards: float64 [n, 2], the outline's normal there, of length 1, into the feature.
        displacements: float64 [n], of the image's edge, pixels, positive where the feature is larger than drawn; NaN
            where no edge is found.
    """

    points: Float64
    inwards: Float64
    displacements: Float64


def find_rim(phi: Float32) -> npt.NDArray[np.bool_]:
    """The last pixels inside an outline, one a row wherever between two pixels it lies: bool [H, W].

    Args:
        phi: float32 [H, W], distance from the outline, positive inside.
    """
    feature = (phi > 0).astype(np.uint8)
    return feature > cv2.erode(feature, cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3)))


def measure_edges(image: Float32, phi: Float32, shown: npt.NDArray[np.bool_], microscope: Microscope) -> Edges:
    """Displacement of the image's edge along the normal of the design's outline, for about each pixel of it.

    The mean profile of an edge is looked for along the normal.

    Args:
        image: float32 [H, W].
        phi: float32 [H, W], distance from the design's outline as drawn, positive inside.
        shown: bool [H, W].
        microscope: What an edge looks like.
    """
    search = max(_LEAST_SEARCH, _SEARCH * max(image.shape))
    margin = round(search + _HALF_WIDTH)
    inner = cv2.erode(shown.astype(np.uint8), np.ones((3, 3), np.uint8), iterations=4, borderValue=0) > 0
    inner[:margin] = inner[-margin:] = inner[:, :margin] = inner[:, -margin:] = False
    y, x = np.nonzero(inner & find_rim(phi))
    inwards = np.column_stack([each[y, x] for each in find_normals(phi)]).astype(np.float64)
    points = np.column_stack([x, y]) - phi[y, x][:, None] * inwards
    if len(points):  # the distance is exact beside the outline, less so a pixel away
        column, row = (points[:, axis, None].astype(np.float32) for axis in (0, 1))
        points = points - cv2.remap(phi, column, row, cv2.INTER_LINEAR) * inwards
    blurred = np.asarray(cv2.GaussianBlur(image, (0, 0), _SMOOTHING), np.float32)
    found = [
        _find_edges(blurred, points[start : start + _CHUNK], -inwards[start : start + _CHUNK], search, microscope)
        for start in range(0, len(points), _CHUNK)
    ]
    return Edges(points, inwards, np.concatenate([*found, np.empty(0)]))


def _find_edges(image: Float32, points: Float64, outwards: Float64, search: float, microscope: Microscope) -> Float64:
    """Displacement of each point's edge outwards; NaN where none looks like the mean one."""
    reach = search + _HALF_WIDTH
    along = np.arange(-reach, reach + _STEP / 2, _STEP)
    x, y = ((points[:, axis, None] + along * outwards[:, axis, None]).astype(np.float32) for axis in (0, 1))
    lines = np.asarray(cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)
    offsets = np.arange(-_HALF_WIDTH, _HALF_WIDTH + _STEP / 2, _STEP)
    # the mean edge, with its middle at 0
    wanted = np.interp(-(offsets + microscope.bias), microscope.distances, microscope.profile)
    wanted = (wanted - wanted.mean()).astype(np.float32)
    norm = float(np.sqrt((wanted**2).sum()))
    count = len(offsets)
    totals = np.cumsum(np.pad(lines, ((0, 0), (1, 0))), axis=1, dtype=np.float64)
    squares = np.cumsum(np.pad(lines**2, ((0, 0), (1, 0))), axis=1, dtype=np.float64)
    mean = (totals[:, count:] - totals[:, :-count]) / count
    variance = np.maximum((squares[:, count:] - squares[:, :-count]) - count * mean**2, 1e-9)
    windows = np.lib.stride_tricks.sliding_window_view(lines, count, axis=1)
    products = windows @ wanted
    correlation = np.where(products >= _LEAST_GAIN * norm**2, products / (norm * np.sqrt(variance)), 0)
    shifts = np.arange(correlation.shape[1]) * _STEP - search
    near = correlation - _FAR * (shifts - microscope.bias) ** 2 / search**2
    highest = near.argmax(axis=1)
    best = np.clip(highest, 1, correlation.shape[1] - 2)  # at the end of the search it belongs to something beyond
    rows = np.arange(len(points))
    before, at, after = (correlation[rows, best + step] for step in (-1, 0, 1))
    curvature = np.minimum(before - 2 * at + after, -1e-9)
    shift = (best + np.clip(0.5 * (before - after) / curvature, -0.5, 0.5)) * _STEP - search
    return np.where((at >= _ALIKE) & (best == highest), shift, np.nan)
