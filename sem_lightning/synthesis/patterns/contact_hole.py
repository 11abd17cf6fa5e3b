"""Contact holes: arrays of round or elliptical holes."""

import math
from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np

from sem_lightning.errors import SettingError
from sem_lightning.synthesis.field import FieldOfView, Float32
from sem_lightning.synthesis.patterns.pattern import (
    ANYWHERE,
    Pattern,
    PeriodicSettings,
    Site,
    draw_anywhere,
    draw_point,
    turn,
)
from sem_lightning.synthesis.ranges import Range, ranged
from sem_lightning.synthesis.roughness import Roughness
from sem_lightning.synthesis.sampling import draw_key, normal

ARRAYS = ("square", "staggered", "hexagonal")
_DIRECTIONS = 64  # samples of each contour


@dataclass(frozen=True)
class Holes(Pattern):
    """An array of holes; hole (row, column) is centred at ``phase + (column + stagger * (row odd), row)`` pitches.

    Attributes:
        pitch: Distance between holes of a row, nm.
        row_pitch: Distance between rows, nm.
        stagger: Shift of odd rows, of the pitch.
        cd: Mean diameter, nm.
        ellipticity: Long axis over short axis.
        ellipse_angle: Direction of the long axis, degrees from the rows.
        angle: Direction of the columns, degrees; 0 runs down the image.
        phase_across: Offset of hole (0, 0) from the image's middle along a row, nm.
        phase_along: The same across rows, nm.
        placement: Standard deviation of each hole's position, per axis, nm.
        roughness: Roughness of the contours.
        key: Seed of contours and positions.
    """

    name: ClassVar[str] = "contact_hole"

    pitch: float
    row_pitch: float
    stagger: float
    cd: float
    ellipticity: float
    ellipse_angle: float
    angle: float
    phase_across: float
    phase_along: float
    placement: float
    roughness: Roughness
    key: int

    def phi(self, view: FieldOfView) -> Float32:
        """Radius minus distance from the nearest hole's centre: float32 [H, W], nm, positive in a hole."""
        across, along = view.axes(0, 0, self.angle)
        rows, columns, offsets, contours = self._table(view)
        place = (along - np.float32(self.phase_along)) * np.float32(1 / self.row_pitch)
        nearest = np.rint(place)
        phi = self._phi_of_row(across, along, nearest, rows, columns, offsets, contours)
        # A hole of the next row may be nearer if rows are staggered or holes are misplaced.
        following = nearest + np.where(place >= nearest, np.float32(1), np.float32(-1))
        return np.maximum(phi, self._phi_of_row(across, along, following, rows, columns, offsets, contours), out=phi)

    def _phi_of_row(
        self,
        across: Float32,
        along: Float32,
        row: Float32,
        rows: range,
        columns: range,
        offsets: Float32,
        contours: Float32,
    ) -> Float32:
        shift = np.mod(row, np.float32(2)) * np.float32(self.stagger)
        column = np.rint((across - np.float32(self.phase_across)) * np.float32(1 / self.pitch) - shift)
        index = ((row - rows.start) * len(columns) + (column - columns.start)).astype(np.intp)
        aside = across - np.float32(self.phase_across) - (column + shift) * np.float32(self.pitch) - offsets[0][index]
        ahead = along - np.float32(self.phase_along) - row * np.float32(self.row_pitch) - offsets[1][index]
        distance, direction = cv2.cartToPolar(aside, ahead)
        sample = np.asarray(direction, np.float32) * np.float32(_DIRECTIONS / (2 * math.pi))
        radius = cv2.remap(
            contours, sample, index.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        return np.asarray(radius, np.float32) - np.asarray(distance, np.float32)

    def _table(self, view: FieldOfView) -> tuple[range, range, Float32, Float32]:
        """Relevant rows and columns, offsets of the holes [2, holes] and contours [holes, directions + 1], nm."""
        half_across, half_along = view.half_extent(self.angle)
        rows = _range_around(half_along, self.phase_along, self.row_pitch)
        columns = _range_around(half_across, self.phase_across, self.pitch)
        holes = len(rows) * len(columns)
        offsets = normal(self.key, 1, (2, holes)) * np.float32(self.placement)
        radius = self.cd / 2
        contours = self.roughness.profiles(self.key, holes, _DIRECTIONS, 2 * math.pi * radius / _DIRECTIONS)
        direction = np.arange(_DIRECTIONS) * (2 * math.pi / _DIRECTIONS) - math.radians(self.ellipse_angle)
        stretch = math.sqrt(self.ellipticity)
        contours += np.float32(radius / np.hypot(np.cos(direction) / stretch, np.sin(direction) * stretch))
        # Limits the displacement, which would otherwise invert the contour of a very small hole.
        np.maximum(contours, np.float32(radius / 4), out=contours)
        return rows, columns, offsets, np.column_stack([contours, contours[:, 0]])

    def draw_site(self, rng: np.random.Generator, kind: str, view: FieldOfView) -> Site | None:
        """A hole (``hole``), a place between two neighbours (``between_holes``), or ``anywhere``."""
        if kind == ANYWHERE:
            return draw_anywhere(rng, view, self.pitch)
        if kind not in ContactHole.site_kinds:
            return None
        x, y = turn(*draw_point(rng, view), -self.angle)
        rows, columns, offsets, _ = self._table(view)
        row = round((y - self.phase_along) / self.row_pitch)
        column = round((x - self.phase_across) / self.pitch - self.stagger * (row % 2))
        across, along = self._centre(row, column, rows, columns, offsets)
        nearest = min(self.pitch, math.hypot(self.pitch * (0.5 if self.stagger else 1), self.row_pitch))
        angle, width, reach = self.angle, self.cd, nearest / 2
        if kind == "between_holes":
            step = (0, 1) if rng.random() < 0.5 else (1, 0)
            if step[0] and self.stagger and rng.random() < 0.5:  # the other equally near hole of the next row
                step = (1, 1 if row % 2 else -1)
            other = self._centre(row + step[0], column + step[1], rows, columns, offsets)
            apart = math.hypot(other[0] - across, other[1] - along)
            angle += math.degrees(math.atan2(other[1] - along, other[0] - across))
            across, along = (across + other[0]) / 2, (along + other[1]) / 2
            width, reach = max(apart - self.cd, 0.0), apart / 2
        return Site(*turn(across, along, self.angle), angle, width, reach, self.pitch)

    def _centre(self, row: int, column: int, rows: range, columns: range, offsets: Float32) -> tuple[float, float]:
        index = (row - rows.start) * len(columns) + (column - columns.start)
        across = self.phase_across + (column + self.stagger * (row % 2)) * self.pitch + float(offsets[0][index])
        return across, self.phase_along + row * self.row_pitch + float(offsets[1][index])


def _range_around(half_extent: float, phase: float, pitch: float) -> range:
    """Numbers of the rows or columns in the image, and three more on each side."""
    return range(math.floor((-half_extent - phase) / pitch) - 3, math.ceil((half_extent - phase) / pitch) + 4)


@dataclass(kw_only=True)
class ContactHole(PeriodicSettings):
    """Ranges of a contact-hole array (``conf/pattern/contact_hole.yaml`` documents each)."""

    kind: ClassVar[str] = "contact_hole"

    site_kinds: ClassVar[tuple[str, ...]] = ("hole", "between_holes", ANYWHERE)

    arrays: list[str]

    row_pitch: Range = ranged("of the pitch", low=0.5, high=3, why="closer rows put holes into each other")
    ellipticity: Range = ranged("", low=1, high=3, why="it is long axis over short axis")
    ellipse_angle: Range = ranged("degrees", low=-180, high=180, why="a turn beyond half a circle repeats itself")
    angle: Range = ranged("degrees", low=-180, high=180, why="a turn beyond half a circle repeats itself")
    phase: Range = ranged("of the pitch", low=0, high=1, why="a whole pitch further the holes lie the same")
    placement: Range = ranged("of the pitch (3 sigma)", low=0, high=0.5, why="holes further off would change places")
    roughness: Range = ranged(
        "of the CD (3 sigma)", low=0, high=0.5, why="contours rougher than half the CD close holes"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        unknown = [name for name in self.arrays if name not in ARRAYS]
        if unknown or not self.arrays:
            raise SettingError("arrays", f"found {list(self.arrays)}, expected some of {', '.join(ARRAYS)}")

    def _nearest(self) -> float:
        """Smallest distance between two holes' centres, of the pitch."""
        staggered = math.hypot(0.5, self.row_pitch[0])
        apart = {"square": self.row_pitch[0], "staggered": staggered, "hexagonal": 1.0}
        return float(min(1.0, *(apart[name] for name in self.arrays)))

    @property
    def usual_polarity(self) -> str:
        return "dark"

    def check(self, view: FieldOfView) -> None:
        """Check that this field of view can show the array.

        Raises:
            SettingError: Holes too fine for the pixels, too coarse for the image, or touching without any defect.
        """
        finest, coarsest = self.pitch
        self.check_pixels("duty", finest * self.duty[0] / math.sqrt(self.ellipticity[1]), "holes", view, 4)
        if 2 * coarsest * max(1.0, self.row_pitch[1]) > min(view.extent):
            raise SettingError(
                "pitch",
                f"{coarsest:g} nm (rows up to {coarsest * self.row_pitch[1]:g}) leaves fewer than two holes across the "
                f"field of view of {min(view.extent):g} nm; use smaller ones or a larger imaging.image_size",
            )
        widest = self.duty[1] * math.sqrt(self.ellipticity[1])
        # five standard deviations of two contours and two positions
        spread = 5 / 3 * math.sqrt(2) * math.hypot(self.roughness[1] * self.duty[1], self.placement[1])
        between = self._nearest() - widest - spread
        if between * finest < 1.5 * view.pixel_size:
            raise SettingError(
                "duty",
                f"holes of {widest:.3g} of the pitch, {self._nearest():.3g} pitches apart, that vary by {spread:.3g} "
                "would touch without any defect; lower duty, ellipticity, roughness or placement",
            )
        if self.roughness[1] > 0.45:
            raise SettingError(
                "roughness", f"3 sigma of {self.roughness[1]:g} of the CD closes holes; use at most 0.45"
            )

    def draw(self, rng: np.random.Generator, view: FieldOfView) -> Holes:
        """Draw one pattern from the ranges."""
        array = self.arrays[int(rng.integers(len(self.arrays)))]
        pitch = self.draw_value(rng, "pitch")
        row_pitch = pitch * self.draw_value(rng, "row_pitch")
        if array == "hexagonal":
            row_pitch = pitch * math.sqrt(0.75)
        cd = pitch * self.draw_value(rng, "duty")
        return Holes(
            pitch=pitch,
            row_pitch=row_pitch,
            stagger=0.0 if array == "square" else 0.5,
            cd=cd,
            ellipticity=self.draw_value(rng, "ellipticity"),
            ellipse_angle=self.draw_value(rng, "ellipse_angle"),
            angle=self.draw_value(rng, "angle"),
            phase_across=pitch * self.draw_value(rng, "phase"),
            phase_along=row_pitch * self.draw_value(rng, "phase"),
            placement=pitch * self.draw_value(rng, "placement") / 3,
            roughness=self.draw_roughness(rng, cd * self.draw_value(rng, "roughness") / 3),
            key=draw_key(rng),
        )
