"""Lines and spaces: parallel lines of one pitch, with optional pitch walking, taper and bend."""

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import cv2
import numpy as np

from sem_lightning.errors import SettingError
from sem_lightning.synthesis.field import FieldOfView, Float32, centred
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
from sem_lightning.synthesis.sampling import draw_key


@dataclass(frozen=True)
class Lines(Pattern):
    """Parallel lines and spaces; line ``k`` is centred at ``phase + k * pitch``, plus ``walk`` for odd lines.

    Attributes:
        pitch: Distance between line centres, nm.
        cd: Line width (critical dimension) in the middle of the image, nm.
        angle: Direction of the lines, degrees; 0 runs down the image.
        phase: Offset of line 0 from the middle of the image, nm.
        walk: Shift of every other line, nm: pitch walking of double patterning.
        taper: Relative change of the CD from the image's middle to its end.
        bend: Amplitude of the lines' common sideways wave, nm.
        bend_length: Wavelength of that wave, nm.
        bend_phase: Phase of that wave, of one period.
        roughness: Roughness of each edge.
        edge_correlation: rho between the two edges of a line.
        key: Seed of the edges.
    """

    name: ClassVar[str] = "line_space"

    pitch: float
    cd: float
    angle: float
    phase: float
    walk: float
    taper: float
    bend: float
    bend_length: float
    bend_phase: float
    roughness: Roughness
    edge_correlation: float
    key: int

    def phi(self, view: FieldOfView) -> Float32:
        """Signed distance to the nearest edge, measured across the lines: float32 [H, W], nm, positive in a line."""
        half_across, half_along = view.half_extent(self.angle)
        half_across += self.bend
        straight = self._straight_phi(half_across, half_along, view.pixel_size)
        if self.angle == 0 and self.bend == 0:
            return np.asarray(cv2.transpose(straight[1:-1, 1:-1]), np.float32)
        # Maps a pixel to its row and column in `straight`: a rotation and, for bent lines, a sideways shift.
        cos, sin = math.cos(math.radians(self.angle)), math.sin(math.radians(self.angle))
        middle = np.array([(n - 1) / 2 for n in (view.width, view.height)])
        turn = np.array([[-sin, cos], [cos, sin]])  # (x, y) to (along, across)
        offset = np.array([(n - 1) / 2 for n in straight.shape[::-1]]) - turn @ middle
        if self.bend == 0:
            flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            affine = np.column_stack([turn, offset])
            size = (view.width, view.height)
            return np.asarray(
                cv2.warpAffine(straight, affine, size, flags=flags, borderMode=cv2.BORDER_REPLICATE), np.float32
            )
        across, along = view.axes(0, 0, self.angle)
        across = across - self._sideways(along)
        scale = np.float32(1 / view.pixel_size)
        column = along * scale + np.float32((straight.shape[1] - 1) / 2)
        row = across * scale + np.float32((straight.shape[0] - 1) / 2)
        bent = cv2.remap(straight, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(bent, np.float32)

    def framed(self, view: FieldOfView, other: FieldOfView) -> "Lines":
        """The same lines; the taper is measured at the end of the image."""
        ratio = other.half_extent(self.angle)[1] / view.half_extent(self.angle)[1]
        return replace(self, taper=self.taper * ratio)

    def _straight_phi(self, half_across: float, half_along: float, step: float) -> Float32:
        """The lines before rotation and bend, with an extra sample on each side: float32 [across, along]."""
        rows, columns = (round(2 * half / step) + 2 for half in (half_across, half_along))
        across = centred(rows, step)
        ideal = (across - np.float32(self.phase)) * np.float32(1 / self.pitch)
        nearest = np.rint(ideal).astype(np.int64)
        first = int(nearest[0]) - 1
        edges = self._edge_positions(first, int(nearest[-1]) + 1, columns, step)

        right = across >= nearest * np.float32(self.pitch) + np.float32(self.phase) + self._walks(nearest)
        # Distances are positive outwards from the line's middle, so edges and pixels left of it are mirrored.
        side = np.where(right, 1, -1)
        both = np.concatenate([edges, -edges])
        row = 2 * (nearest - first) + right + len(edges) * ~right  # row of the edge on the pixel's side of its line
        place = (across * side.astype(np.float32))[:, None]
        inside, opposite, beyond = both.take(row, 0), both.take(row - side, 0), both.take(row + side, 0)
        np.subtract(inside, place, out=inside)
        np.subtract(place, opposite, out=opposite)
        np.subtract(place, beyond, out=beyond)
        np.minimum(inside, opposite, out=inside)
        phi: Float32 = np.maximum(inside, beyond, out=inside)
        return phi

    def _walks(self, lines: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> Float32:
        return (lines % 2).astype(np.float32) * np.float32(self.walk)

    def _edge_positions(self, first: int, last: int, samples: int, step: float) -> Float32:
        """Positions of the edges, nm: [2 * lines, samples], left and right edge of each line in turn."""
        lines = np.arange(first, last + 1)
        edges = self.roughness.edges(self.key, len(lines), samples, step, self.edge_correlation)
        centres = self.phase + self.pitch * lines.astype(np.float32) + self._walks(lines)
        along = centred(samples, step)
        half_width = np.float32(self.cd / 2) * (1 + np.float32(self.taper / max(-float(along[0]), step)) * along)
        edges += centres[:, None, None]
        edges[:, 0] -= half_width
        edges[:, 1] += half_width
        return edges.reshape(-1, samples)

    def _sideways(self, along: Float32) -> Float32:
        wave = np.float32(2 * math.pi / self.bend_length) * along + np.float32(2 * math.pi * self.bend_phase)
        sideways: Float32 = np.sin(wave) * np.float32(self.bend)
        return sideways

    def draw_site(self, rng: np.random.Generator, kind: str, view: FieldOfView) -> Site | None:
        """A place on a line (``line``), between two (``space``), or ``anywhere``."""
        if kind == ANYWHERE:
            return draw_anywhere(rng, view, self.pitch)
        if kind not in LineSpace.site_kinds:
            return None
        across, along = turn(*draw_point(rng, view), -self.angle)
        sideways = float(self._sideways(np.array([along], np.float32))[0]) if self.bend else 0.0
        cd = self.cd * (1 + self.taper * along / view.half_extent(self.angle)[1])
        ideal = (across - sideways - self.phase) / self.pitch
        if kind == "line":
            k = round(ideal)
            place, width, reach = k * self.pitch + self.walk * (k % 2), cd, (self.pitch - abs(self.walk)) / 2
        else:
            k = round(ideal - 0.5)  # the space after line k
            wider = self.walk if k % 2 == 0 else -self.walk
            place, width = (k + 0.5) * self.pitch + self.walk / 2, self.pitch + wider - cd
            reach = (self.pitch + wider) / 2
        place += self.phase + sideways
        slope = (
            self.bend
            * 2
            * math.pi
            / self.bend_length
            * math.cos(2 * math.pi * (along / self.bend_length + self.bend_phase))
        )
        x, y = turn(place, along, self.angle)
        return Site(
            x=x,
            y=y,
            angle=self.angle - math.degrees(math.atan(slope)),
            width=width,
            reach=reach,
            pitch=self.pitch,
        )


@dataclass(kw_only=True)
class LineSpace(PeriodicSettings):
    """Ranges of a line/space pattern (``conf/pattern/line_space.yaml`` documents each)."""

    kind: ClassVar[str] = "line_space"

    site_kinds: ClassVar[tuple[str, ...]] = ("line", "space", ANYWHERE)

    angle: Range = ranged("degrees", low=-180, high=180, why="a turn beyond half a circle repeats itself")
    phase: Range = ranged("of the pitch", low=0, high=1, why="a whole pitch further the lines lie the same")
    walk: Range = ranged("of the space", low=-0.8, high=0.8, why="a space walked shut leaves no space")
    taper: Range = ranged("of the CD", low=-0.8, high=0.8, why="a line tapered away leaves no line")
    bend: Range = ranged("of the pitch", low=0, high=4, why="lines bent further leave the image")
    bend_length: Range = ranged("pitches", low=4, why="a shorter swing bends lines sharply")
    roughness: Range = ranged(
        "of the CD (3 sigma)", low=0, high=0.5, why="edges rougher than half the CD open and close lines"
    )
    edge_correlation: Range = ranged("", low=-1, high=1, why="it is a correlation")

    def check(self, view: FieldOfView) -> None:
        """Check that this field of view can show the lines.

        Raises:
            SettingError: Lines too fine for the pixels, too coarse for the image, or so rough, walked, tapered or bent
                that they touch.
        """
        finest, coarsest = self.pitch
        thinnest = 1 - max(map(abs, self.taper))
        widest_duty = self.duty[1] * (2 - thinnest)
        narrowest_space = (1 - widest_duty) - max(map(abs, self.walk)) * (1 - self.duty[1])
        self.check_pixels("pitch", finest, "lines and their spaces", view, 2)
        key = "duty" if self.taper == (0, 0) == self.walk else "taper" if self.walk == (0, 0) else "walk"
        if narrowest_space <= 0:
            raise SettingError(
                key, f"the widest lines (duty {widest_duty:.3g}) leave no space between them; use smaller values"
            )
        self.check_pixels(key, finest * min(self.duty[0] * thinnest, narrowest_space), "lines or spaces", view, 1.5)
        if 1.5 * coarsest > min(view.extent):
            raise SettingError(
                "pitch",
                f"{coarsest:g} nm leaves fewer than 1.5 lines in the field of view of {min(view.extent):g} nm; "
                f"use at most {min(view.extent) / 1.5:g} nm or a larger imaging.image_size",
            )
        walked = max(map(abs, self.walk)) * (1 - self.duty[0])
        if walked > 0.5 + self.duty[0] / 2:
            raise SettingError(
                "walk",
                f"moves lines by {walked:.3g} of the pitch, onto their neighbours' other side; use at most "
                f"{(0.5 + self.duty[0] / 2) / (1 - self.duty[0]):.2g}",
            )
        steepest = 2 * math.pi * self.bend[1] / self.bend_length[0]
        if steepest > 1:
            raise SettingError(
                "bend", f"{self.bend[1]:g} pitches over {self.bend_length[0]:g} bends lines by more than 45 degrees; "
                f"use at most {self.bend_length[0] / (2 * math.pi):.2g}"
            )  # fmt: skip
        # the difference of two edges varies less if they are correlated
        line = thinnest / math.sqrt(max(1 - self.edge_correlation[0], 1e-9))
        self.check_roughness(self.roughness[1], narrowest_space / widest_duty, line, widest_duty)

    def draw(self, rng: np.random.Generator, view: FieldOfView) -> Lines:
        """Draw one pattern from the ranges."""
        pitch = self.draw_value(rng, "pitch")
        cd = pitch * self.draw_value(rng, "duty")
        return Lines(
            pitch=pitch,
            cd=cd,
            angle=self.draw_value(rng, "angle"),
            phase=pitch * self.draw_value(rng, "phase"),
            walk=(pitch - cd) * self.draw_value(rng, "walk"),
            taper=self.draw_value(rng, "taper"),
            bend=pitch * self.draw_value(rng, "bend"),
            bend_length=pitch * self.draw_value(rng, "bend_length"),
            bend_phase=float(rng.random()),
            roughness=self.draw_roughness(rng, cd * self.draw_value(rng, "roughness") / 3),
            edge_correlation=self.draw_value(rng, "edge_correlation"),
            key=draw_key(rng),
        )
