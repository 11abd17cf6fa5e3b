"""Measures the wires of a metal layer: width, spacing, coverage and edges."""

from dataclasses import dataclass

import cv2
import numpy as np

from sem_lightning.errors import NotMeasuredError
from sem_lightning.fitting.edge_model import EdgeModel, fit_edges
from sem_lightning.metrology.edges import edge_profile, outline_distance
from sem_lightning.synthesis.field import Float32

_SMOOTHING = 1.0  # pixels, before outlines are found
_REACH = 10  # pixels on either side of an outline
_FEWEST_RIDGES = 20  # pixels


@dataclass(frozen=True)
class Wires:
    """Measurements of wires.

    Attributes:
        pitch: Width of the usual wire plus that of the narrow spaces, pixels.
        cd: Width of the usual wire, pixels.
        model: Brightness across an edge; its ``cd`` is not used.
        cover: Share of the image that is wire.
        phi: Signed distance to the nearest edge, positive inside a wire, [H, W], pixels.
    """

    pitch: float
    cd: float
    model: EdgeModel
    cover: float
    phi: Float32


def measure_wires(image: Float32, polarity: str) -> Wires:
    """Measure an image, float32 [H, W] in [0, 1], of wires that run along its sides.

    Raises:
        NotMeasuredError: The image shows nothing as long as a wire.
    """
    dark, bright = find_levels(image)
    phi = outline_distance(image, (dark + bright) / 2, _SMOOTHING)
    if polarity == "bright":
        phi = -phi
    inside, outside = _ridges(phi), _ridges(-phi)
    if min(len(inside), len(outside)) < _FEWEST_RIDGES:
        raise NotMeasuredError("no wires: nothing in the image is long and narrow")
    # a single edge: wires and spaces are wider than the profile
    half = 2.0 * _REACH
    distance = np.arange(-2 * _REACH, 2 * _REACH + 1) / 2
    brightness = edge_profile(image, phi, _REACH)
    count = np.histogram(phi, np.append(distance - 0.25, distance[-1] + 0.25))[0].astype(np.float64)
    seen = count > 0
    start = EdgeModel(dark, bright - dark, 0.5 * (bright - dark), 1.5, 1.5, 1.2, 2 * half)
    model = fit_edges((half - distance)[seen], brightness[seen], count[seen], 4 * half, polarity, start)
    outwards = model.cd / 2 - half  # the brightest part of a rim is next to the outline
    cd = 2 * (float(np.quantile(inside, 0.4)) + outwards)
    space = 2 * (float(np.quantile(outside, 0.25)) - outwards)
    return Wires(
        pitch=max(cd, 1.0) + max(space, 1.0),
        cd=max(cd, 1.0),
        model=model,
        cover=float(np.mean(phi + outwards > 0)),
        phi=phi + np.float32(outwards),
    )


def find_levels(image: Float32) -> tuple[float, float]:
    """Brightness of the dark and the bright material, from two clusters of flat pixels."""
    smooth = np.asarray(cv2.GaussianBlur(image, (0, 0), 1.5), np.float32)
    slope = cv2.morphologyEx(smooth, cv2.MORPH_GRADIENT, np.ones((5, 5), np.uint8))
    flat = smooth[slope <= np.quantile(slope, 0.5)]
    low, high = (float(n) for n in np.quantile(flat, [0.02, 0.98]))
    for _ in range(
        30
    ):  # k-means of two groups in one dimension; scipy.cluster sorts by distance instead, and is slower
        middle = (low + high) / 2
        below, above = flat[flat <= middle], flat[flat > middle]
        if not len(below) or not len(above):
            break
        low, high = float(below.mean()), float(above.mean())
    return low, high


def _ridges(phi: Float32) -> "np.ndarray[tuple[int], np.dtype[np.float32]]":
    """Distances from the edges along the ridges of positive ``phi``, without the image's border."""
    ridge = (phi >= cv2.dilate(phi, np.ones((3, 3), np.uint8))) & (phi > 1.5)
    ridge[:3] = ridge[-3:] = False
    ridge[:, :3] = ridge[:, -3:] = False
    return phi[ridge]
