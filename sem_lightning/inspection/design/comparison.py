"""Places an image on its design, renders the design as the microscope shows it, and compares both."""

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from sem_lightning.inspection.design.allowance import depth_of, differs, limit, match
from sem_lightning.inspection.design.edge_placement import Edges, measure_edges
from sem_lightning.inspection.design.microscope import AS_DRAWN, Bools, Microscope, cover, distance, fit
from sem_lightning.inspection.design.placement import Placement, place, template
from sem_lightning.inspection.difference import compare
from sem_lightning.inspection.inspection import Matrix, Registration
from sem_lightning.inspection.registration import LITTLE_OVERLAP, register_near
from sem_lightning.synthesis.field import Float32

Float64 = npt.NDArray[np.float64]

AMBIGUOUS = "ambiguous magnification"

_LEAST_CORRELATION = 0.5  # a drawn image lacks textures and shadows that a reference image has
_SAME = 0.05  # relative difference of scales that are one
_ALIKE = 0.1  # of correlations between which no choice is made
_COMMON = (0.005, 0.995)  # quantiles of brightness
_FIRST_ROUNDING = 2.0  # pixels, before the microscope is fitted
_FORGIVEN = 0.99  # quantile of the edges' displacements that is no place
_LEAST_FORGIVEN, _MOST_FORGIVEN = 1.0, 8.0  # pixels
_UNKNOWN = 1.0  # roundings along the design's border, where what lies beyond changes what is printed


@dataclass(frozen=True, eq=False)
class Compared:
    """A design on an image.

    Attributes:
        registration: Its matrix gives the design's pixels of the image's.
        microscope: How the design is shown.
        drawn: float32 [H, W], distance from the outline as drawn, pixels, positive inside the feature.
        reference: float32 [H, W], the design as the microscope shows it.
        shown: bool [H, W], where the design shows something.
        known: bool [H, W], where it is compared.
        scores: float32 [H, W], see `compare`.
        edges: See `measure_edges`.
        forgiven: Pixels by which edges may lie elsewhere.
    """

    registration: Registration
    microscope: Microscope
    drawn: Float32
    reference: Float32
    shown: Bools
    known: Bools
    scores: Float32
    edges: Edges
    forgiven: float


def compare_with_design(image: Float32, coverage: Float32, scale: float | None) -> Compared | Registration:
    """A design on an image; a registration with a fault if it does not lie there.

    Args:
        image: float32 [H, W].
        coverage: float32 [h, w], see `Raster`.
        scale: Image pixels a pixel of the design; ``None`` if it is not known.
    """
    registration = _register(image, coverage, scale)
    if registration.fault is not None:
        return registration
    matrix = registration.matrix
    covered, shown = cover(coverage, matrix, image.shape, registration.row_shifts)
    microscope, outline = fit(image, covered, shown)
    drawn = distance(covered, AS_DRAWN)
    forgiven = _forgive(measure_edges(image, outline.phi, shown, microscope).displacements)
    reference = match(image, microscope, outline, shown, forgiven)
    limited = limit(image, reference, outline, microscope, forgiven)
    known = depth_of(shown) > _UNKNOWN * microscope.rounding
    plain = differs(image, limited, outline, microscope, forgiven)
    # what edges may do is forgiven before, so it is not allowed a second time
    scores = np.where(plain, compare(image, limited, known, at_edges=1.0, near_edges=0.0), np.float32(0))
    edges = measure_edges(image, drawn, shown, microscope)
    return Compared(registration, microscope, drawn, reference, shown, known, scores, edges, forgiven)


def _register(image: Float32, coverage: Float32, scale: float | None) -> Registration:
    """Where the image lies on the design: first on its bare shapes, then as the microscope shows them."""
    image = np.clip(image, *np.quantile(image, _COMMON)).astype(np.float32)  # a bright particle would draw it to itself
    places = place(image, coverage, scale)
    if not places:
        unknown = np.zeros(len(image), np.float32)
        return Registration(np.eye(2, 3), 0.0, 0.0, float("nan"), unknown, image.shape, (), LITTLE_OVERLAP)
    tried = [_register_at(image, coverage, each) for each in places]
    near = max(tried, key=lambda each: (each.fault is None, each.correlation))
    others = (each for each in tried if each.fault is None and each.correlation > near.correlation - _ALIKE)
    if near.fault is None and any(abs(math.log(each.scale / near.scale)) > _SAME for each in others):
        return replace(near, fault=AMBIGUOUS)
    covered, shown = cover(coverage, near.matrix, image.shape)
    matrix, periods = near.matrix, near.periods
    if near.fault is None:
        microscope, outline = fit(image, covered, shown)
        near = register_near(image, microscope.render(outline), (0.0, 0.0), _LEAST_CORRELATION)
        matrix = _chain(matrix, near.matrix)
    return replace(near, matrix=matrix, overlap=float(shown.mean()), periods=periods)


def _register_at(image: Float32, coverage: Float32, found: Placement) -> Registration:
    covered, _ = cover(coverage, found.matrix, image.shape)
    smooth = np.asarray(cv2.GaussianBlur(covered, (0, 0), _FIRST_ROUNDING), np.float32)
    near = register_near(image, template(smooth, found.edges, found.sign), (0.0, 0.0), _LEAST_CORRELATION)
    return replace(near, matrix=_chain(found.matrix, near.matrix), periods=found.periods)


def _chain(design: Matrix, image: Matrix) -> Matrix:
    """The transform that does the second one, then the first."""
    return np.asarray(design @ np.vstack([image, [0.0, 0.0, 1.0]]), np.float64)


def _forgive(displacements: Float64) -> float:
    """How far edges lie from the rounded outline without being a place, pixels."""
    found = displacements[np.isfinite(displacements)]
    if not len(found):
        return _LEAST_FORGIVEN
    apart = float(np.quantile(np.abs(found - np.median(found)), _FORGIVEN))
    return min(max(apart, _LEAST_FORGIVEN), _MOST_FORGIVEN)
