"""Routing: metal wires on tracks, with intended line ends, jogs, branches, wide wires, pads and vias."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from sem_lightning.errors import SettingError
from sem_lightning.synthesis.field import FieldOfView
from sem_lightning.synthesis.patterns.metal import MetalSettings
from sem_lightning.synthesis.patterns.shapes import Polygon, rectangle
from sem_lightning.synthesis.ranges import Range, ranged

DIRECTIONS = ("vertical", "horizontal", "either")
_STEP = 0.5  # pitches: the design grid of line ends along the tracks
_VIA_CORNERS = 12
_WIDEST_PLATE, _LONGEST_BEND = 6, 9  # tracks


@dataclass(kw_only=True)
class Routing(MetalSettings):
    """Ranges of a routed metal layer (``conf/pattern/routing.yaml`` documents each)."""

    kind: ClassVar[str] = "routing"

    counted: ClassVar[str] = "tracks"

    direction: str

    wire_length: Range = ranged("pitches", low=2, log=True, why="a shorter wire is a dot")
    tip_to_tip: Range = ranged("pitches", low=0.5, high=8, why="ends nearer than the design grid touch")
    empty: Range = ranged("of the wires", low=0, high=0.95, why="without wires there is no pattern")
    wide: Range = ranged("of the wires", low=0, high=1, why="it is a share")
    jog: Range = ranged("of the wires", low=0, high=1, why="it is a share")
    bend: Range = ranged("of the wires", low=0, high=1, why="it is a share")
    plate: Range = ranged("of the wires", low=0, high=1, why="it is a share")
    branch: Range = ranged("of the wires", low=0, high=1, why="it is a share")
    pad: Range = ranged("of the line ends", low=0, high=1, why="it is a share")
    via: Range = ranged("of the line ends", low=0, high=1, why="it is a share")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.direction not in DIRECTIONS:
            raise SettingError("direction", f"found {self.direction!r}, expected one of {', '.join(DIRECTIONS)}")

    def lay_out(
        self, rng: np.random.Generator, view: FieldOfView, pitch: float, cd: float
    ) -> tuple[tuple[Polygon, ...], tuple[Polygon, ...]]:
        """Place wires on tracks, with vias as cut-outs."""
        horizontal = {"vertical": False, "horizontal": True, "either": rng.random() < 0.5}[self.direction]
        router = _Router(self, rng, view, pitch, cd)
        router.route()

        # bends are routed right and down; mirroring makes all directions equally likely
        mirror = np.where(rng.random(2) < 0.5, -1.0, 1.0) if self.bend[1] > 0 else np.ones(2)

        def placed(shapes: list[Polygon]) -> tuple[Polygon, ...]:
            near = [shape for shape in shapes if _is_near(shape, view, pitch)]
            turned = (tuple((float(x * mirror[0]), float(y * mirror[1])) for x, y in shape) for shape in near)
            return tuple(tuple((y, x) for x, y in shape) for shape in turned) if horizontal else tuple(turned)

        return placed(router.wires), placed(router.vias)


def _is_near(shape: Polygon, view: FieldOfView, margin: float) -> bool:
    (left, top), (right, bottom) = np.min(shape, axis=0), np.max(shape, axis=0)
    reach = max(view.extent) / 2 + margin
    return bool(left < reach and right > -reach and top < reach and bottom > -reach)


class _Router:
    """Fills tracks with wires one after the other; ``taken[track, step]`` marks metal and forbidden places."""

    def __init__(self, settings: Routing, rng: np.random.Generator, view: FieldOfView, pitch: float, cd: float) -> None:
        self.settings, self.rng, self.pitch, self.cd = settings, rng, pitch, cd
        half = max(view.extent) / 2 + 2 * pitch
        self.tracks, self.steps = 2 * math.ceil(half / pitch), 2 * math.ceil(half / (pitch * _STEP))
        self.offset = (float(rng.random()), float(rng.random()))  # of the grid relative to the image, in pitches
        self.taken: npt.NDArray[np.bool_] = np.zeros((self.tracks, self.steps), bool)
        self.wires: list[Polygon] = []
        self.vias: list[Polygon] = []

    def happens(self, name: str) -> bool:
        return bool(self.rng.random() < self.settings.draw_value(self.rng, name))

    def route(self) -> None:
        for track in range(self.tracks):
            step = -int(self.rng.integers(0, 8))
            while step < self.steps:
                step = self._add_wire(track, max(step, 0))

    def _add_wire(self, track: int, start: int) -> int:
        """Add a wire from ``start`` if there is room. Returns the step at which to continue."""
        length = round(self.settings.draw_value(self.rng, "wire_length") / _STEP)
        # every end extends half a CD beyond its grid point
        tip = math.ceil((self.settings.draw_value(self.rng, "tip_to_tip") + self.cd / self.pitch) / _STEP - 1e-6)
        room = self._room(track, start)
        if room < 4:
            return start + room + 1
        length = min(length, room)
        beside = track + 1 < self.tracks and self._room(track + 1, start) >= length
        if self.settings.plate[1] > 0 and self.happens("plate"):
            return self._add_plate(track, start, length, tip)
        wide = self.happens("wide") and beside
        if self.settings.empty[1] > 0 and self.happens("empty"):
            return start + length + tip
        self._take(track, start, length, tip)
        self._add_box(track, start, track + wide, start + length)
        if wide:
            self._take(track + 1, start, length, tip)
        elif self.settings.bend[1] > 0 and self.happens("bend"):
            self._bend(track, start + length, tip)
        elif beside and self.happens("jog") and self._room(track + 1, start + length) >= 4:
            self._turn_off(track, start + length, tip)
        elif beside and length > 8 and self.happens("branch"):
            self._turn_off(track, start + length // 2, tip)
        else:
            for end in (start, start + length):
                self._finish_end(track, end)
        return start + length + tip

    def _room(self, track: int, start: int) -> int:
        """Free steps from ``start`` on."""
        free = self.taken[track, max(start, 0) :]
        return int(free.argmax()) if free.any() else len(free)

    def _take(self, track: int, start: int, length: int, tip: int) -> None:
        self.taken[track, max(start - tip, 0) : start + length + tip] = True

    def _add_plate(self, track: int, start: int, length: int, tip: int) -> int:
        """Add a large area of metal over several free tracks. Returns the step at which to continue."""
        across = self._free_tracks(track, start - tip, start + length + tip, int(self.rng.integers(2, _WIDEST_PLATE)))
        self._add_box(track, start, track + across, start + length)
        for each in range(track, track + across + 1):
            self._take(each, start, length, tip)
        return start + length + tip

    def _bend(self, track: int, step: int, tip: int) -> None:
        """Turn by a right angle at ``step``, cross some tracks, and perhaps continue along the last of them."""
        across = self._free_tracks(track, step - tip, step + tip, int(self.rng.integers(2, _LONGEST_BEND)))
        if across < 2:
            return
        self._add_box(track, step, track + across, step)
        for each in range(track, track + across + 1):
            self._take(each, step, 0, tip)
        if self.rng.random() < 0.4 and (length := self._room(track + across, step + tip)) >= 4:
            length = min(length, int(self.rng.integers(3, 12)))
            self._add_box(track + across, step, track + across, step + length)
            self._take(track + across, step, length, tip)

    def _free_tracks(self, track: int, first: int, last: int, most: int) -> int:
        """Number of neighbouring tracks beyond ``track`` that are free between two steps."""
        free = 0
        while free < most and track + free + 1 < self.tracks:
            if self.taken[track + free + 1, max(first, 0) : last + 1].any():
                break
            free += 1
        return free

    def _turn_off(self, track: int, step: int, tip: int) -> None:
        """Change to the next track at ``step`` and continue there."""
        length = min(self._room(track + 1, step), int(self.rng.integers(3, 12)))
        if length < 3:
            return
        self._add_box(track, step, track + 1, step)
        self._add_box(track + 1, step, track + 1, step + length)
        self._take(track + 1, step, length, tip)

    def _finish_end(self, track: int, step: int) -> None:
        x, y = self._place(track, step)
        if self.happens("pad"):
            self._add_rectangle(x, y, 0.7 * self.cd, 0.7 * self.cd)
        if self.happens("via"):
            turns = np.arange(_VIA_CORNERS) * (2 * math.pi / _VIA_CORNERS)
            radius = 0.28 * self.cd
            self.vias.append(tuple((float(x + radius * np.cos(t)), float(y + radius * np.sin(t))) for t in turns))

    def _place(self, track: float, step: float) -> tuple[float, float]:
        x = (track - self.tracks / 2 + self.offset[0]) * self.pitch
        return x, ((step - self.steps / 2) * _STEP + self.offset[1]) * self.pitch

    def _add_box(self, track: int, step: int, last_track: int, last_step: int) -> None:
        """A wire over some tracks and steps, extended by half a CD on every side."""
        (left, top), (right, bottom) = self._place(track, step), self._place(last_track, last_step)
        half = self.cd / 2
        self._add_rectangle(
            (left + right) / 2, (top + bottom) / 2, (right - left) / 2 + half, (bottom - top) / 2 + half
        )

    def _add_rectangle(self, x: float, y: float, half_width: float, half_height: float) -> None:
        self.wires.append(rectangle(x - half_width, y - half_height, x + half_width, y + half_height))
