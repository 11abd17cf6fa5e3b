"""Fits how a microscope shows a design, and renders the design so."""

import itertools
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from sem_lightning.inspection.inspection import Matrix
from sem_lightning.inspection.registration import warp
from sem_lightning.synthesis.field import Float32

Bools = npt.NDArray[np.bool_]
Float64 = npt.NDArray[np.float64]

AS_DRAWN = 1.0  # pixels: smoothing that takes away a mask's steps

_ROUNDINGS = (AS_DRAWN, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 11.0, 15.0, 20.0)  # pixels, standard deviations that are tried
_EDGE = 12.0  # pixels from the outline within which they are judged
_FINER = 2  # subpixels along a side in which distances are measured
_MOST_PIXELS = 600_000  # on which they are judged
_REACH = 160  # pixels from the outline up to which the profile goes
_LOST = 0.5  # share of an island's area that has to remain of it
_INNER = 0.5  # of an island's depth, from which its inner part goes
_FEWEST = 20  # pixels at a distance
_CLIPPED = 3.0  # standard deviations of what a profile leaves


@dataclass(frozen=True, eq=False)
class Microscope:
    """How an image shows a design.

    Attributes:
        rounding: Standard deviation of the smoothing that rounds the corners, pixels.
        distances: float64 [n], from the design's outline, pixels, rising, positive inside the feature.
        profile: float64 [n], median brightness there.
        lit: float64 [n, 2], what edges gain there times x and y of the outline's normal into the feature: detectors
            at a side see the edges that face them brighter.
        bias: How far the edges lie outside the design's outline, pixels.
        ground: Median brightness outside the feature.
        top: Median brightness of the feature.
    """

    rounding: float
    distances: Float64
    profile: Float64
    lit: Float64
    bias: float
    ground: float
    top: float

    @property
    def contrast(self) -> float:
        """Difference of feature and ground in brightness."""
        return max(abs(self.top - self.ground), 1e-3)

    def render(self, outline: "Outline") -> Float32:
        """The image of a design with this outline."""
        brightness = np.interp(outline.phi, self.distances, self.profile)
        for gained, across in zip(self.lit.T, find_normals(outline.phi), strict=True):
            brightness += np.interp(outline.phi, self.distances, gained) * across
        return np.asarray(brightness, np.float32)


def cover(
    coverage: Float32, matrix: Matrix, shape: tuple[int, ...], row_shifts: Float32 | None = None
) -> tuple[Float32, Bools]:
    """The design's coverage on the image's pixels, and where it shows something: float32 and bool [H, W]."""
    step = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if step > 1.2:  # pixels of the image are larger than those of the design, whose mean they show
        coverage = np.asarray(cv2.GaussianBlur(coverage, (0, 0), 0.4 * step), np.float32)
    moved, shown = warp(coverage, matrix, shape, row_shifts)
    return np.clip(moved, 0, 1), shown


@dataclass(frozen=True, eq=False)
class Outline:
    """What is printed of a design whose corners are rounded.

    Attributes:
        phi: float32 [H, W], distance from the outline, pixels, positive inside the feature. Islands and holes that the
            smoothing would remove are as drawn.
        islands: bool [H, W], the inner parts of these islands.
        holes: bool [H, W], the inner parts of these holes.
    """

    phi: Float32
    islands: Bools
    holes: Bools

    @staticmethod
    def of(coverage: Float32, rounding: float) -> "Outline":
        phi = distance(coverage, rounding)
        drawn = phi if rounding <= AS_DRAWN else distance(coverage, AS_DRAWN)
        (added, islands), (removed, holes) = (_find_lost(sign * drawn, sign * phi) for sign in (1, -1))
        return Outline(np.minimum(np.maximum(phi, added), -removed), islands, holes)


def distance(coverage: Float32, rounding: float) -> Float32:
    """Signed distance from a coverage's outline after smoothing, pixels, positive inside the feature."""
    return _distance(coverage, rounding, _FINER)


def _distance(coverage: Float32, rounding: float, finer: int) -> Float32:
    smooth = np.asarray(cv2.GaussianBlur(coverage, (0, 0), rounding), np.float32)
    fine = cv2.resize(smooth, None, fx=finer, fy=finer, interpolation=cv2.INTER_LINEAR)
    inside = (fine > 0.5).astype(np.uint8)
    within, without = (
        np.asarray(cv2.distanceTransform(part, cv2.DIST_L2, cv2.DIST_MASK_PRECISE), np.float32)
        for part in (inside, 1 - inside)
    )
    far = within - without
    far = cv2.resize((far - 0.5 * np.sign(far)) / finer, smooth.shape[::-1], interpolation=cv2.INTER_AREA)
    # beside the outline the slope tells the distance more exactly than whole pixels do
    slope = cv2.magnitude(*(cv2.Sobel(smooth, cv2.CV_32F, x, 1 - x, ksize=1, scale=0.5) for x in (1, 0)))
    near = np.clip((smooth - 0.5) / np.maximum(slope, 1e-3), -3, 3)
    weight = np.clip(2 - np.abs(far), 0, 1)
    return np.asarray(weight * near + (1 - weight) * far, np.float32)


def _find_lost(drawn: Float32, rounded: Float32) -> tuple[Float32, Bools]:
    """Distance from the islands that lose most of their area, and their inner parts."""
    count, numbers = cv2.connectedComponents((drawn > 0).astype(np.uint8), connectivity=8)
    area = np.bincount(numbers.ravel(), minlength=count)
    kept = np.bincount(numbers[rounded > 0], minlength=count)
    lost = kept < _LOST * area
    lost[0] = False
    inside = lost[numbers]
    if not inside.any():
        return np.full(drawn.shape, -np.inf, np.float32), inside
    depth = np.zeros(count, np.float32)
    np.maximum.at(depth, numbers[inside], drawn[inside])
    outside = cv2.distanceTransform((~inside).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) - 0.5
    return np.where(inside, drawn, -outside).astype(np.float32), inside & (drawn >= _INNER * depth[numbers])


def find_normals(phi: Float32) -> tuple[Float32, Float32]:
    """X and y of the direction in which a distance grows, of length 1 but where it has no direction."""
    smooth = np.asarray(cv2.GaussianBlur(phi, (0, 0), 1.0), np.float32)
    x, y = (cv2.Sobel(smooth, cv2.CV_32F, across, 1 - across, ksize=1, scale=0.5) for across in (1, 0))
    length = np.maximum(cv2.magnitude(x, y), 0.5)
    return np.asarray(x / length, np.float32), np.asarray(y / length, np.float32)


def fit(image: Float32, coverage: Float32, shown: Bools) -> tuple[Microscope, Outline]:
    """The microscope of an image, and what it shows.

    Args:
        image: float32 [H, W].
        coverage: float32 [H, W], registered.
        shown: bool [H, W].
    """
    factor = max(1.0, (image.size / _MOST_PIXELS) ** 0.5)
    sides = (round(image.shape[1] / factor), round(image.shape[0] / factor))
    small, covered = (
        np.asarray(cv2.resize(each, sides, interpolation=cv2.INTER_AREA), np.float32) for each in (image, coverage)
    )
    part = cv2.resize(shown.astype(np.uint8), sides, interpolation=cv2.INTER_NEAREST) > 0
    # the same pixels for all: a rounding that removes what the image shows is not to get off so
    near = part & (np.abs(_distance(covered, AS_DRAWN, 1)) < _EDGE / factor)
    errors = []
    for rounding in _ROUNDINGS:
        phi = _distance(covered, max(rounding / factor, 0.5), 1)
        distances, profile = measure_profile(small, phi, near)
        difference = np.abs(small - np.interp(phi, distances, profile))[near]
        errors.append(float(np.minimum(difference, np.quantile(difference, 0.9)).mean()) if len(difference) else 1.0)
    rounding = _ROUNDINGS[int(np.argmin(errors))]
    outline = Outline.of(coverage, rounding)
    distances, profile = measure_profile(image, outline.phi, shown)
    lit = _measure_lit(image, outline.phi, shown, distances, profile)
    bias = -_crossing(distances, profile)
    ground, top = (
        float(np.median(image[part])) if (part := shown & (side * outline.phi > 0)).any() else 0.5 for side in (-1, 1)
    )
    return Microscope(rounding, distances, profile, lit, bias, ground, top), outline


def measure_profile(image: Float32, phi: Float32, shown: Bools) -> tuple[Float64, Float64]:
    """Median brightness at each distance: in steps of half a pixel near the outline, then in growing ones."""
    fine = np.arange(-_EDGE, _EDGE + 0.25, 0.5)
    far = np.geomspace(_EDGE + 1, _REACH, 24)
    limits = np.concatenate([-far[::-1], fine, far]) - 0.25
    values, places = image[shown], phi[shown]
    found = np.searchsorted(limits, places)
    order = np.argsort(found, kind="stable")
    starts = np.searchsorted(found[order], np.arange(len(limits) + 2))
    distances, profile = [], []
    for start, end in itertools.pairwise(starts[1:-1]):  # without what lies beyond the reach
        if end - start >= _FEWEST:
            part = order[start:end]
            distances.append(float(np.median(places[part])))
            profile.append(float(np.median(values[part])))
    return np.array(distances or [0.0]), np.array(profile or [0.5])


def _measure_lit(image: Float32, phi: Float32, shown: Bools, distances: Float64, profile: Float64) -> Float64:
    """What is left beside the profile as a linear function of the normal, at each distance near the outline."""
    lit = np.zeros((len(distances), 2))
    near = shown & (np.abs(phi) <= _EDGE)
    rest = image[near] - np.interp(phi[near], distances, profile)
    normals = np.column_stack([each[near] for each in find_normals(phi)]).astype(np.float64)
    found = np.searchsorted((distances[1:] + distances[:-1]) / 2, phi[near])
    order = np.argsort(found, kind="stable")
    starts = np.searchsorted(found[order], np.arange(len(distances) + 1))
    for number, (start, end) in enumerate(itertools.pairwise(starts)):
        if end - start >= _FEWEST:
            part, across = rest[order[start:end]], normals[order[start:end]]
            most = _CLIPPED * float(np.median(np.abs(part))) / 0.6745  # defects do not count
            # few pixels, or normals of one direction, say little
            lit[number] = np.linalg.solve(
                across.T @ across + _FEWEST * np.eye(2), across.T @ np.clip(part, -most, most)
            )
    return lit


def _crossing(distances: Float64, profile: Float64) -> float:
    """The distance nearest to 0 at which the profile is midway between the ground and the brightest or darkest."""
    near = np.abs(distances) <= _EDGE
    place, level = distances[near], profile[near]
    if len(place) < 3:
        return 0.0
    peak = level[np.argmax(np.abs(level - level[0]))]
    middle = (level[0] + peak) / 2
    above = level > middle
    at = np.flatnonzero(above[1:] != above[:-1])
    if not len(at):
        return 0.0
    crossings = place[at] + (middle - level[at]) / (level[at + 1] - level[at]) * (place[at + 1] - place[at])
    return float(crossings[np.argmin(np.abs(crossings))])
