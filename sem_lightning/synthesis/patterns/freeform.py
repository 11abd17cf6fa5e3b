"""Free-form metal: wires without tracks, bundles, combs, meanders, plates and empty ground."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from sem_lightning.synthesis.field import FieldOfView
from sem_lightning.synthesis.patterns.metal import MetalSettings
from sem_lightning.synthesis.patterns.shapes import Polygon, rectangle
from sem_lightning.synthesis.ranges import Range, ranged

Boxes = npt.NDArray[np.float64]  # [n, 4]: left, top, right, bottom, nm
_TRIES = 90  # groups of wires tried in an image; groups that would touch others are dropped
_MISSES = 12  # failures in a row after which the image counts as full
_HALF_TURN = math.tan(math.pi / 8)  # extension of a wire's outer edge beyond a turn by 45 degrees, of half its width


@dataclass(kw_only=True)
class Freeform(MetalSettings):
    """Ranges of free-form metal (``conf/pattern/freeform.yaml`` documents each)."""

    kind: ClassVar[str] = "freeform"

    counted: ClassVar[str] = "wires"

    wire_length: Range = ranged("pitches", low=1.5, log=True, why="a shorter wire is a dot")
    widest: Range = ranged("CDs", low=1, high=5, why="the CD is the width of the thinnest wire")
    fill: Range = ranged("of the ground", low=0.05, high=0.6, why="more metal leaves no room for spaces")
    bundle: Range = ranged("weight", low=0, why="it is a weight")
    comb: Range = ranged("weight", low=0, why="it is a weight")
    meander: Range = ranged("weight", low=0, why="it is a weight")
    plate: Range = ranged("weight", low=0, why="it is a weight")
    dummy: Range = ranged("weight", low=0, why="it is a weight")
    oblique: Range = ranged("of the bundles", low=0, high=1, why="it is a share")
    facing: Range = ranged("of the groups of wires", low=0, high=1, why="it is a share")
    tip_to_tip: Range = ranged("pitches", low=0.5, high=8, why="no two wires come nearer than the smallest space")

    def lay_out(
        self, rng: np.random.Generator, view: FieldOfView, pitch: float, cd: float
    ) -> tuple[tuple[Polygon, ...], tuple[Polygon, ...]]:
        """Place wires where there is room; there are no cut-outs."""
        metal = _Ground(self, rng, view, pitch, cd).fill()
        boxes = [rectangle(*(float(end) for end in box)) for box in metal.boxes]
        return (*boxes, *(_slanted(run, cd) for run in metal.runs)), ()


@dataclass(frozen=True)
class _Group:
    """Wires that are placed as a group.

    Attributes:
        boxes: Wires along the axes.
        runs: Wires at 45 degrees, float64 [n, 4]: x and y of both ends of their middle lines.
    """

    boxes: Boxes
    runs: npt.NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 4)))

    def turned(self, quarter: bool, mirror: bool) -> "_Group":
        boxes, runs = self.boxes, self.runs
        if quarter:
            boxes, runs = boxes[:, [1, 0, 3, 2]], runs[:, [1, 0, 3, 2]]
        if mirror:
            boxes, runs = boxes[:, [2, 1, 0, 3]] * (-1, 1, -1, 1), runs * (-1, 1, -1, 1)
        return _Group(boxes, runs)

    def moved(self, shift: npt.NDArray[np.float64]) -> "_Group":
        return _Group(self.boxes + np.tile(shift, 2), self.runs + np.tile(shift, 2))

    def joined(self, other: "_Group") -> "_Group":
        return _Group(np.concatenate([self.boxes, other.boxes]), np.concatenate([self.runs, other.runs]))

    def covers(self, cd: float) -> Boxes:
        """Boxes that cover the group; each run is covered by a row of squares as wide as the CD."""
        squares = [self.boxes]
        for x0, y0, x1, y1 in self.runs:
            along = np.linspace(0, 1, math.ceil(2 * math.hypot(x1 - x0, y1 - y0) / cd) + 1)[:, None]
            middles = np.array([x0, y0]) + along * (x1 - x0, y1 - y0)
            squares.append(np.hstack([middles - cd / math.sqrt(8), middles + cd / math.sqrt(8)]))
        return np.concatenate(squares)


def _slanted(run: npt.NDArray[np.float64], cd: float) -> Polygon:
    """The wire of a middle line, extended at both ends to fill the corner of a turn by 45 degrees."""
    first, last = run[:2], run[2:]
    half = (last - first) / math.hypot(*(last - first)) * cd / 2
    beside = np.array([-half[1], half[0]])
    first, last = first - half * _HALF_TURN, last + half * _HALF_TURN
    corners = (first - beside, last - beside, last + beside, first + beside)
    return tuple((float(x), float(y)) for x, y in corners)


def _touch(some: Boxes, others: Boxes, distance: float) -> npt.NDArray[np.bool_]:
    """Whether pairs of boxes are closer than ``distance`` in both directions: bool [n, m]."""
    lefts, tops, rights, bottoms = (others[:, side] for side in range(4))
    left, top, right, bottom = (some[:, side, None] for side in range(4))
    beside = (left < rights + distance) & (right > lefts - distance)
    return np.asarray(beside & (top < bottoms + distance) & (bottom > tops - distance))


class _Ground:
    """Places groups of wires at random with at least the smallest space to all others."""

    def __init__(
        self, settings: Freeform, rng: np.random.Generator, view: FieldOfView, pitch: float, cd: float
    ) -> None:
        self.settings, self.rng, self.pitch, self.cd = settings, rng, pitch, cd
        self.half = np.array(view.extent[::-1]) / 2 + pitch  # half extent of the ground, x and y
        self.ends = np.concatenate([-self.half, self.half])
        self.placed = _Group(np.empty((0, 4)))
        self.covered: Boxes = np.empty((0, 4))  # boxes of all groups

    def value(self, name: str) -> float:
        return self.settings.draw_value(self.rng, name)

    def fill(self) -> _Group:
        """All wires."""
        named: dict[str, Callable[[], _Group]] = {
            "bundle": self._bundle,
            "comb": self._comb,
            "meander": self._meander,
            "plate": self._plate,
            "dummy": self._dummy,
        }
        kinds = [self._path, *named.values()]
        weights = np.array([1.0, *map(self.value, named)])
        order = self.rng.choice(len(kinds), _TRIES, p=weights / weights.sum())
        wanted = self.value("fill") * float(np.prod(2 * self.half))
        covered, missed = 0.0, 0
        for kind in order:
            area = self._place(kinds[kind]())
            covered, missed = covered + area, 0 if area else missed + 1
            if covered >= wanted or missed == _MISSES:
                break
        return self.placed

    def _place(self, group: _Group) -> float:
        """Turn, mirror and move a group; keep it if there is room. Returns the area that it covers, nm^2."""
        quarter, mirror = self.rng.random(2) < 0.5
        group = group.turned(bool(quarter), bool(mirror))
        low, high = group.boxes[:, :2].min(axis=0), group.boxes[:, 2:].max(axis=0)
        reach = self.half + np.minimum((high - low) / 2, self.half) / 2
        shift = (2 * self.rng.random(2) - 1) * reach - (low + high) / 2
        if self.settings.facing[1] > 0 and self.rng.random() < self.value("facing"):
            before = self._before_an_end(group.boxes)
            shift = shift if before is None else before
        group = group.moved(shift)
        covers = group.covers(self.cd)
        left, top, right, bottom = covers.clip(self.ends[[0, 1, 0, 1]], self.ends[[2, 3, 2, 3]]).T
        area = float((right - left) @ (bottom - top))
        if area == 0 or _touch(covers, self.covered, self.pitch - self.cd).any():
            return 0.0
        self.placed = self.placed.joined(group)
        self.covered = np.concatenate([self.covered, covers])
        return area

    def _before_an_end(self, group: Boxes) -> npt.NDArray[np.float64] | None:
        """The shift that places the group in front of a wire's end in the image, if any, with a small random offset."""
        ends = []
        for box in self.placed.boxes:
            along = int(box[2] - box[0] < box[3] - box[1])  # 0 if it runs along x
            for side in (0, 2):
                end = (box[:2] + box[2:]) / 2
                end[along] = box[along + side]
                if (np.abs(end) < self.half - 2 * self.pitch).all():
                    ends.append((end, along, side))
        if not ends:
            return None
        aim, along, side = ends[int(self.rng.integers(len(ends)))]
        first = group[0]
        near = (first[:2] + first[2:]) / 2
        near[along] = first[along + 2 - side]
        aim[along] += (side - 1) * self.pitch * self.value("tip_to_tip")
        aim[1 - along] += self.pitch * self.rng.normal(0, 0.5)
        shift: npt.NDArray[np.float64] = aim - near
        return shift

    def _length(self) -> float:
        return self.pitch * self.value("wire_length")

    def _wire(self, x: float, y: float, length: float, down: bool, width: float, next_width: float) -> list[float]:
        """A wire from a point on its middle line to the right or down, up to the next wire's outer edge."""
        before, after = width / 2, next_width / 2
        first, last = (-before, length + after) if length > 0 else (length - after, before)
        return [x - before, y + first, x + before, y + last] if down else [x + first, y - before, x + last, y + before]

    def _path(self) -> _Group:
        """A wire with up to three right-angle turns and perhaps a branch; each piece has its own width."""
        while True:
            x = y = 0.0
            boxes, down = [], False
            widths = self.cd * np.array([self.value("widest") if self.rng.random() < 0.4 else 1.0 for _ in range(6)])
            for piece in range(int(self.rng.integers(1, 5))):
                length = self._length() * (1 if piece == 0 or self.rng.random() < 0.5 else -1)
                boxes.append(self._wire(x, y, length, down, widths[piece], widths[piece + 1]))
                x, y = (x, y + length) if down else (x + length, y)
                if piece == 0 and self.rng.random() < 0.25:  # a branch from the middle of the first piece
                    boxes.append(self._wire(x / 2, y, -self._length(), True, widths[5], widths[0]))
                down = not down
            group = np.array(boxes)
            if not self._meets_itself(group):
                return _Group(group)

    def _meets_itself(self, group: Boxes) -> bool:
        """Whether pieces that do not share a corner are too close."""
        near = _touch(group, group, self.pitch - self.cd)
        joined = _touch(group, group, 0)
        return bool((near & ~joined).any() or (joined.sum(axis=1) > 4).any())

    def _bundle(self) -> _Group:
        """Parallel wires with flush or ragged ends, or with a common turn."""
        if self.settings.oblique[1] > 0 and self.rng.random() < self.value("oblique"):
            return self._oblique()
        if self.rng.random() < 0.3:
            return self._corner()
        count, length = int(self.rng.integers(2, 10)), self._length()
        ragged = self.rng.uniform(0, 0.4) * length * (self.rng.random() < 0.6)
        starts = self.rng.uniform(-ragged, ragged, count) / 2
        ends = length + self.rng.uniform(-ragged, ragged, count) / 2
        step = self.pitch * (1 if self.rng.random() < 0.6 else self.rng.uniform(1, 2))
        wires = [
            [start, step * number - self.cd / 2, end, step * number + self.cd / 2]
            for number, (start, end) in enumerate(zip(starts, np.maximum(ends, starts + self.cd), strict=True))
        ]
        return _Group(np.array(wires))

    def _corner(self) -> _Group:
        """A bundle that turns by a right angle."""
        count, half = int(self.rng.integers(2, 10)), self.cd / 2
        step = self.pitch * (1 if self.rng.random() < 0.6 else self.rng.uniform(1, 2))
        across, down = step * (count - 1) + self._length(), step * (count - 1) + self._length()
        boxes = []
        for at in step * np.arange(count):
            boxes.append([at - half, at - half, across, at + half])
            boxes.append([at - half, at - half, at + half, down])
        return _Group(np.array(boxes))

    def _oblique(self) -> _Group:
        """A bundle that turns by 45 degrees, and later turns back or to a right angle."""
        count, half = int(self.rng.integers(1, 10)), self.cd / 2
        step, outer = self.pitch * (1 if self.rng.random() < 0.6 else self.rng.uniform(1, 2)), half * _HALF_TURN
        back, before, after = bool(self.rng.random() < 0.5), self._length(), self._length()
        down = self._length() + (0 if back else step * (count - 1) * (1 - _HALF_TURN))
        boxes, runs = [], []
        for y in step * np.arange(count):
            x = -y * _HALF_TURN  # wires on the inner side turn earlier, so that all spaces stay equal
            end_x, end_y = (x + down, y + down) if back else (down - y, down + y * _HALF_TURN)
            runs.append([x, y, end_x, end_y])
            boxes.append([x - before, y - half, x + outer, y + half])
            boxes.append(
                [end_x - outer, end_y - half, end_x + after, end_y + half]
                if back
                else [end_x - half, end_y - outer, end_x + half, end_y + after]
            )
        return _Group(np.array(boxes), np.array(runs))

    def _comb(self) -> _Group:
        """Fingers on a spine, often with fingers of another comb between them that end one to five spaces before it."""
        count, length, spine = int(self.rng.integers(3, 9)), self._length(), self.cd * self.value("widest")
        tip = (self.pitch - self.cd) * 5 ** self.rng.random()
        half, boxes = self.cd / 2, []
        for number in range(count):
            y = 2 * self.pitch * number
            boxes.append([-spine, y - half, length, y + half])
        last = 2 * self.pitch * (count - 1)
        boxes.append([-spine, -half, 0, last + half])
        if self.rng.random() < 0.7:
            for number in range(count - 1):
                y = self.pitch * (2 * number + 1)
                boxes.append([tip, y - half, length + tip + spine, y + half])
            boxes.append([length + tip, self.pitch - half, length + tip + spine, last - self.pitch + half])
        return _Group(np.array(boxes))

    def _meander(self) -> _Group:
        """A meander of one wire."""
        legs, length, half = int(self.rng.integers(3, 11)), self._length() + 2 * self.pitch, self.cd / 2
        step = self.pitch * (1 if self.rng.random() < 0.7 else self.rng.uniform(1, 2))
        boxes = [[-half, step * leg - half, length + half, step * leg + half] for leg in range(legs)]
        for leg in range(legs - 1):
            x = length if leg % 2 == 0 else 0.0
            boxes.append([x - half, step * leg - half, x + half, step * (leg + 1) + half])
        return _Group(np.array(boxes))

    def _plate(self) -> _Group:
        """A large area of metal, perhaps with a wire to it."""
        width, height = self.pitch * math.sqrt(2) ** self.rng.uniform(2, 7, 2)
        boxes = [[0, 0, width, height]]
        if self.rng.random() < 0.5:
            y = self.rng.uniform(self.cd, max(self.cd, height - self.cd))
            boxes.append([width / 2, y - self.cd / 2, width + self._length(), y + self.cd / 2])
        return _Group(np.array(boxes))

    def _dummy(self) -> _Group:
        """Rows of squares (dummy fill), with some missing."""
        width, height = self.cd * self.rng.uniform(0.8, 2.5) * self.rng.uniform(1, 1.5, 2)
        spaces = np.maximum(self.pitch - self.cd, np.array([width, height]) * self.rng.uniform(0.4, 1.2, 2))
        columns, rows = self.rng.integers(1, 9, 2)
        place = np.indices((columns, rows)).reshape(2, -1).T * (np.array([width, height]) + spaces)
        if self.rng.random() < 0.4:
            order = self.rng.permutation(len(place))
            place = place[order[: max(1, round(len(place) * self.rng.uniform(0.5, 1)))]]
        return _Group(np.hstack([place, place + np.array([width, height])]))
