"""Maze: dense metal in both directions, as in first metal layers: wires that turn and branch, between rails."""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from sem_lightning.synthesis.field import FieldOfView
from sem_lightning.synthesis.patterns.metal import MetalSettings
from sem_lightning.synthesis.patterns.shapes import Polygon, rectangle
from sem_lightning.synthesis.ranges import Range, ranged

Node = tuple[int, int]
# state of a grid node: empty, a straight wire, an end or a corner, or the space in front of an end
_FREE, _ALONG_X, _ALONG_Y, _TAKEN, _KEPT = range(5)
_STEPS: tuple[Node, ...] = ((1, 0), (-1, 0), (0, 1), (0, -1))
_FURTHEST_END = 0.3  # pitches that a free end may extend beyond half a CD


@dataclass(kw_only=True)
class Maze(MetalSettings):
    """Ranges of dense metal in both directions (``conf/pattern/maze.yaml`` documents each)."""

    kind: ClassVar[str] = "maze"

    counted: ClassVar[str] = "tracks"

    wire_length: Range = ranged("pitches", low=1, log=True, why="a shorter wire is a dot")
    turn: Range = ranged("of the steps", low=0, high=1, why="it is a share")
    branch: Range = ranged("of the wires", low=0, high=1, why="it is a share")
    rail: Range = ranged("tracks", low=0, why="a rail comes once in so many tracks, 0 leaves them out")
    empty: Range = ranged("of the wires", low=0, high=0.95, why="without wires there is no pattern")

    def lay_out(
        self, rng: np.random.Generator, view: FieldOfView, pitch: float, cd: float
    ) -> tuple[tuple[Polygon, ...], tuple[Polygon, ...]]:
        """Place wires one after the other on free nodes of a square grid."""
        return tuple(_Grid(self, rng, view, pitch, cd).fill()), ()


class _Grid:
    """The occupied nodes and the wires."""

    def __init__(self, settings: Maze, rng: np.random.Generator, view: FieldOfView, pitch: float, cd: float) -> None:
        self.settings, self.rng, self.pitch, self.cd = settings, rng, pitch, cd
        self.size = math.ceil(max(view.extent) / pitch) + 4
        self.offset = (rng.random(2) - self.size / 2) * pitch
        self.nodes: npt.NDArray[np.int8] = np.full((self.size, self.size), _FREE, np.int8)
        self.wires: list[Polygon] = []

    def value(self, name: str) -> float:
        return self.settings.draw_value(self.rng, name)

    def fill(self) -> list[Polygon]:
        turn, branch, empty = (self.value(name) for name in ("turn", "branch", "empty"))
        self._lay_rails()
        for number in self.rng.permutation(self.size * self.size):
            start = (int(number) // self.size, int(number) % self.size)
            if self.nodes[start] != _FREE:
                continue
            path = self._grow(start, max(1, round(self.value("wire_length"))), turn)
            joined = self._beside(path) if self.rng.random() < branch else None
            path = self._trimmed(path if joined is None else [joined, *path], joined is not None)
            if len(path) > 1 and self.rng.random() >= empty:
                self._add(path, joined is not None)
        if self.rng.random() < 0.5:
            self.wires = [tuple((y, x) for x, y in wire) for wire in self.wires]
        return self.wires

    def _lay_rails(self) -> None:
        """Wide wires through the whole image."""
        every = round(self.value("rail"))
        if every < 2:
            return
        for y in range(int(self.rng.integers(0, every)), self.size - 1, every + 2):
            self.nodes[:, y : y + 2] = _ALONG_X
            self._add_box((0, y), (self.size - 1, y + 1), (0.0, 0.0))

    def _is_inside(self, node: Node) -> bool:
        return min(node) >= 0 and max(node) < self.size

    def _holds(self, node: Node) -> int:
        return int(self.nodes[node]) if self._is_inside(node) else _FREE

    def _grow(self, start: Node, length: int, turn: float) -> list[Node]:
        """Grow a path over free nodes while there is room."""
        path, step = [start], _STEPS[int(self.rng.integers(4))]
        while len(path) <= length:
            steps = [step] if self.rng.random() >= turn else []
            aside = [each for each in _STEPS if each[0] * step[0] + each[1] * step[1] == 0]
            for each in (*steps, *(aside[k] for k in self.rng.permutation(2))):
                node = (path[-1][0] + each[0], path[-1][1] + each[1])
                beside = [(node[0] + dx, node[1] + dy) for dx, dy in _STEPS]
                # a wire does not return next to itself, because it could close a ring
                if self._is_inside(node) and self.nodes[node] == _FREE and sum(other in path for other in beside) == 1:
                    path.append(node)
                    step = each
                    break
            else:
                break
        return path

    def _beside(self, path: list[Node]) -> Node | None:
        """A node of a straight wire that the path, extended backwards, would meet at a right angle."""
        if len(path) < 2:
            return None
        back = (path[0][0] - path[1][0], path[0][1] - path[1][1])
        node = (path[0][0] + back[0], path[0][1] + back[1])
        return node if self._holds(node) == (_ALONG_Y if back[0] else _ALONG_X) else None

    def _trimmed(self, path: list[Node], joined: bool) -> list[Node]:
        """The path, shortened until its free ends keep their distance from other wires."""
        while len(path) > 1 and not self._may_end(path[-2], path[-1]):
            path = path[:-1]
        while not joined and len(path) > 1 and not self._may_end(path[1], path[0]):
            path = path[1:]
        return path

    def _ahead(self, before: Node, end: Node) -> Node:
        return 2 * end[0] - before[0], 2 * end[1] - before[1]

    def _may_end(self, before: Node, end: Node) -> bool:
        """Whether there is room in front of an end, or a passing wire."""
        ahead = self._ahead(before, end)
        return self._holds(ahead) in (_FREE, _KEPT, _ALONG_Y if ahead[0] != end[0] else _ALONG_X)

    def _add(self, path: list[Node], joined: bool) -> None:
        for node, after in pairwise(path):
            axis = _ALONG_X if node[0] != after[0] else _ALONG_Y
            if self.nodes[node] == _FREE:
                self.nodes[node] = axis
            self.nodes[after] = axis
        turns = [number for number in range(1, len(path) - 1) if self._turns(path, number)]
        for number in turns:
            self.nodes[path[number]] = _TAKEN
        reach = []
        for number, (before, end) in enumerate(((path[1], path[0]), (path[-2], path[-1]))):
            ahead, further = self._ahead(before, end), 0.0
            self.nodes[end] = _TAKEN
            if (number or not joined) and self._holds(ahead) == _FREE:
                further = self.pitch * self.rng.uniform(0, _FURTHEST_END)
                if self._is_inside(ahead):
                    self.nodes[ahead] = _KEPT
            reach.append(further)
        for first, last in pairwise([0, *turns, len(path) - 1]):
            beyond = (reach[0] if first == 0 else 0.0, reach[1] if last == len(path) - 1 else 0.0)
            self._add_box(path[first], path[last], beyond)

    def _turns(self, path: list[Node], number: int) -> bool:
        before, after = path[number - 1], path[number + 1]
        return before[0] != after[0] and before[1] != after[1]

    def _add_box(self, first: Node, last: Node, beyond: tuple[float, float]) -> None:
        """A straight piece between two nodes, extended by half a CD on every side and some nm more at its ends."""
        ends = np.array([first, last], np.float64) * self.pitch + self.offset
        run = np.sign(ends[1] - ends[0])
        ends += np.outer((-1, 1), run) * np.array(beyond)[:, None]
        (left, top), (right, bottom) = ends.min(axis=0) - self.cd / 2, ends.max(axis=0) + self.cd / 2
        self.wires.append(rectangle(float(left), float(top), float(right), float(bottom)))
