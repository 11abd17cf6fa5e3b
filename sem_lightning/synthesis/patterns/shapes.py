"""Polygons with rounded corners and rough edges, for routing and layout clips."""

import functools
import math
from dataclasses import dataclass
from typing import Any, ClassVar

import cv2
import numpy as np
import numpy.typing as npt

from sem_lightning.synthesis.field import FieldOfView, Float32
from sem_lightning.synthesis.patterns.pattern import ANYWHERE, Pattern, Site, clean_phi, draw_anywhere
from sem_lightning.synthesis.roughness import Roughness

Polygon = tuple[tuple[float, float], ...]
SITE_KINDS = ("line", "space", ANYWHERE)
_STRAIGHT_RUN = 0.75  # pitches that a wire or space must continue on both sides of a site


@dataclass(frozen=True)
class Shapes(Pattern):
    """The union of polygons without cut-outs.

    Attributes:
        polygons: Corners, nm from the image's middle, x to the right and y down; they may overlap.
        cutouts: Polygons to remove, such as vias seen from above.
        pitch: Length scale of the layout, nm; distances are limited to it.
        corner: Radius of rounded corners, nm (width of the low pass that models lithography).
        roughness: Roughness of every edge.
        key: Seed of the edges.
        longest_gap: See `Pattern.longest_gap`.
    """

    name: ClassVar[str] = "shapes"

    polygons: tuple[Polygon, ...]
    cutouts: tuple[Polygon, ...]
    pitch: float
    corner: float
    roughness: Roughness
    key: int
    longest_gap: float | None = None

    def phi(self, view: FieldOfView) -> Float32:
        """Distance to the nearest edge, limited to a pitch: float32 [H, W], nm, positive inside a polygon."""
        phi = np.full(view.shape, -self.pitch, np.float32)
        for polygon in self.polygons:
            window, inside = polygon_phi(polygon, view, self.pitch)
            np.maximum(phi[window], inside, out=phi[window])
        self._close_seams(phi, view)
        for polygon in self.cutouts:
            window, inside = polygon_phi(polygon, view, self.pitch)
            np.minimum(phi[window], -inside, out=phi[window])
        np.minimum(phi, np.float32(self.pitch), out=phi)
        if self.corner > 0:
            phi = np.asarray(
                cv2.GaussianBlur(phi, (0, 0), self.corner / view.pixel_size, borderType=cv2.BORDER_REPLICATE),
                np.float32,
            )
        if self.roughness.sigma > 0:
            phi += self.roughness.field(self.key, view)
        return phi

    def _close_seams(self, phi: Float32, view: FieldOfView) -> None:
        """Remove seams between abutting polygons: raise ``phi`` of pixels that are farther inside, in place."""
        inside = (phi > -1e-3).astype(np.uint8)
        depth = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)  # to the nearest outside pixel
        depth = np.sqrt(np.rint(depth * depth))  # OpenCV's last digit depends on memory alignment
        np.maximum(phi, (depth - 1) * np.float32(view.pixel_size), out=phi, where=inside > 0)

    def draw_site(self, rng: np.random.Generator, kind: str, view: FieldOfView) -> Site | None:
        """A place on a straight piece of wire (``line``), between two (``space``), or ``anywhere``."""
        if kind == ANYWHERE:
            return draw_anywhere(rng, view, self.pitch)
        if kind not in SITE_KINDS:
            return None
        sites = _find_sites(self, kind, view)
        return sites[int(rng.integers(len(sites)))] if sites else None

    @classmethod
    def from_dict(cls, numbers: dict[str, Any]) -> "Shapes":
        def polygons(name: str) -> tuple[Polygon, ...]:
            return tuple(tuple((float(x), float(y)) for x, y in polygon) for polygon in numbers[name])

        return cls(
            **{
                **numbers,
                "polygons": polygons("polygons"),
                "cutouts": polygons("cutouts"),
                "roughness": Roughness(**numbers["roughness"]),
            }
        )


def rectangle(left: float, top: float, right: float, bottom: float) -> Polygon:
    """A rectangular polygon along the axes."""
    return ((left, top), (right, top), (right, bottom), (left, bottom))


def polygon_phi(polygon: Polygon, view: FieldOfView, reach: float) -> tuple[tuple[slice, slice], Float32]:
    """Signed distance of one polygon, on the part of the image within ``reach`` nm of it.

    A rectangle along the axes uses the distance to the line of its nearest side; this is exact except outside its
    corners. Other polygons use the distance to the nearest edge, signed by the even-odd rule at pixel centres.

    Returns:
        The window, and float32 distances on it.
    """
    corners = np.asarray(polygon, np.float64)
    (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
    rows = view.window(0, (top + bottom) / 2, (bottom - top) / 2 + reach)[0]
    columns = view.window((left + right) / 2, 0, (right - left) / 2 + reach)[1]
    window = (rows, columns)
    across, along = view.axes((left + right) / 2, (top + bottom) / 2, 0.0, window)
    across, along = across[:1], along[:, :1]
    if len(corners) == 4 and all(
        np.count_nonzero(a != b) == 1 for a, b in zip(corners, np.roll(corners, 1, 0), strict=True)
    ):
        beside = np.float32((right - left) / 2) - np.abs(across)
        ahead = np.float32((bottom - top) / 2) - np.abs(along)
        return window, np.minimum(beside, ahead)
    corners -= ((left + right) / 2, (top + bottom) / 2)
    shape = (along.shape[0], across.shape[1])
    nearest = np.full(shape, np.float32(reach) ** 2)
    inside = np.zeros(shape, bool)
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, 0), strict=True):
        dx, dy = np.float32(x1 - x0), np.float32(y1 - y0)
        length = max(float(dx * dx + dy * dy), 1e-12)
        aside, ahead = across - np.float32(x0), along - np.float32(y0)
        share = np.clip((aside * dx + ahead * dy) * np.float32(1 / length), 0, 1)
        np.minimum(nearest, (aside - share * dx) ** 2 + (ahead - share * dy) ** 2, out=nearest)
        if dy != 0:
            crossed = (along >= min(y0, y1)) & (along < max(y0, y1))
            inside ^= crossed & (across < np.float32(x0) + ahead * (dx / dy))
    distance = np.sqrt(nearest)
    return window, np.where(inside, distance, -distance)


@dataclass(frozen=True)
class Sites:
    """Places on straight pieces of wires or spaces: ``x, y, angle, width, reach`` of a `Site` each, float64 [n, 5]."""

    numbers: npt.NDArray[np.float64]
    pitch: float

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, number: int) -> Site:
        x, y, angle, width, reach = (float(each) for each in self.numbers[number])
        return Site(x, y, angle, width, reach, self.pitch)


@functools.lru_cache(maxsize=4)
def _find_sites(pattern: Shapes, kind: str, view: FieldOfView) -> Sites:
    oblique = any(_is_oblique(polygon) for polygon in pattern.polygons)
    return find_sites(clean_phi(pattern, view), kind, pattern.pitch, view, oblique=oblique)


def _is_oblique(polygon: Polygon) -> bool:
    return any(x0 != x1 and y0 != y1 for (x0, y0), (x1, y1) in zip(polygon, (*polygon[1:], polygon[0]), strict=True))


def find_sites(phi: Float32, kind: str, pitch: float, view: FieldOfView, *, oblique: bool = False) -> Sites:
    """All pixels in the middle of straight vertical or horizontal pieces of wire (``line``) or space.

    Args:
        phi: Signed distance, float32 [H, W], nm, positive in wires.
        kind: ``line`` or ``space``.
        pitch: Length scale of the layout, nm.
        view: Field of view of ``phi``.
        oblique: Whether to include pieces at 45 degrees.
    """
    wanted = {"line": phi, "space": -phi}[kind]
    frames = [(0.0, wanted, np.eye(2, 3)), (90.0, np.ascontiguousarray(wanted.T), np.eye(2, 3)[::-1])]
    frames += [(angle, *_turned(wanted, angle)) for angle in ((45.0, 135.0) if oblique else ())]
    found = []
    for angle, field, place in frames:
        row, column, width, reach = _find_straight(field, pitch / view.pixel_size)
        x, y = place @ np.stack([column, row, np.ones(len(row))])
        right, down = (x - (view.width - 1) / 2) * view.pixel_size, (y - (view.height - 1) / 2) * view.pixel_size
        width = width * view.pixel_size
        found.append(np.column_stack([right, down, np.full(len(x), angle), width, width / 2 + reach]))
    return Sites(np.concatenate(found), pitch)


def _turned(field: Float32, angle: float) -> tuple[Float32, npt.NDArray[np.float64]]:
    """A field [H, W] rotated about its middle by ``angle`` degrees, 0 outside the field.

    Returns:
        float32 [n, n], and the float64 [2, 3] matrix from its column, row and 1 to the field's x and y.
    """
    side = math.ceil(math.hypot(*field.shape))
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    place = np.array([[cos, -sin, 0], [sin, cos, 0]])
    place[:, 2] = (np.array(field.shape[::-1]) - 1) / 2 - place[:, :2].sum(axis=1) * (side - 1) / 2
    turned = cv2.warpAffine(field, place, (side, side), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    return np.asarray(turned, np.float32), place


def _find_straight(field: Float32, pitch: float) -> npt.NDArray[np.float64]:
    """Middles of vertical pieces.

    Args:
        field: Signed distance, positive inside the pieces.
        pitch: Pixels.

    Returns:
        float64 [4, n]: row, column and width in pixels, and the half width of the neighbours in the field's unit.
    """
    run = max(1, round(_STRAIGHT_RUN * pitch))
    height, width = field.shape
    if height <= 2 * run or width < 5:
        return np.empty((4, 0))
    middle = field[run:-run]
    ridge = (middle > 0) & (middle >= np.roll(middle, 1, 1)) & (middle > np.roll(middle, -1, 1))
    for shifted in (field[: -2 * run], field[2 * run :]):  # it continues with the same width on both sides
        ridge &= np.abs(shifted - middle) < 0.3 * middle
    # the nearest outside pixels on both sides of every pixel, inside the image
    columns = np.arange(width, dtype=np.int32)
    outside = middle < 0
    before = np.maximum.accumulate(np.where(outside, columns, np.int32(-1)), axis=1)
    after = np.minimum.accumulate(np.where(outside, columns, np.int32(width))[:, ::-1], axis=1)[:, ::-1]
    row, column = np.nonzero(ridge & (before >= 0) & (after < width))
    left, right = before[row, column], after[row, column]
    near = column - left - 1 + _edge(middle[row, left + 1], middle[row, left])
    far = right - column - 1 + _edge(middle[row, right - 1], middle[row, right])
    depth = _depths(middle)
    beside = -np.maximum(depth[row, left], depth[row, right]).astype(np.float64)
    kept = near + far < pitch * 2.5
    return np.stack([row + run, column + (far - near) / 2, near + far, beside])[:, kept]


def _edge(inner: Float32, outer: Float32) -> npt.NDArray[np.float64]:
    """Position of the edge between two pixels, from the inner one."""
    start = inner.astype(np.float64)
    return start / (start - outer)


def _depths(field: Float32) -> Float32:
    """For every pixel outside features, the smallest value in its row between the adjacent features."""
    inside = field > 0
    begins = np.ones(field.shape, bool)
    begins[:, 1:] = inside[:, 1:] != inside[:, :-1]
    stretches = np.minimum.reduceat(field.ravel(), np.flatnonzero(begins))
    return np.asarray(stretches[np.cumsum(begins.ravel(), dtype=np.int32) - 1].reshape(field.shape), np.float32)
