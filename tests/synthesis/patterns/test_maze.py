"""A maze keeps its smallest space, and more between ends that face each other than any gap is long."""

from itertools import pairwise

import cv2
import numpy as np
import pytest
from conftest import make_simulator

from sem_lightning.errors import SettingError
from sem_lightning.synthesis.defects.gap import Gap
from sem_lightning.synthesis.patterns.shapes import Shapes
from sem_lightning.synthesis.simulator import Simulator

PITCH, SPACE = 16, 8  # pixels
SHARP = ("pattern.roughness=0", "pattern.corner=0", "pattern.duty=0.5", f"pattern.pitch={PITCH}")


def simulator_with(*overrides: str) -> Simulator:
    return make_simulator("pattern=maze", "imaging.image_size=192", *overrides)


def metal_of(simulator: Simulator, index: int, label: str = "good") -> np.ndarray:
    return (simulator.draw(0, 0, index, label).phi() > 0).astype(np.uint8)


def nets(metal: np.ndarray, connectivity: int) -> int:
    return cv2.connectedComponents(metal, connectivity=connectivity)[0] - 1


@pytest.mark.parametrize("branch", [0, 1])
def test_wires_of_different_nets_keep_the_smallest_space(branch: int) -> None:
    simulator = simulator_with(*SHARP, f"pattern.branch={branch}")
    for index in range(20):
        ground = 1 - metal_of(simulator, index)
        distance, nearest = cv2.distanceTransformWithLabels(ground, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_CCOMP)
        for axis in (0, 1):
            between = np.minimum(*(np.delete(distance, drop, axis=axis) for drop in (0, -1)))
            between = between[np.diff(nearest, axis=axis) != 0]
            assert between.size == 0 or between.min() > SPACE / 2 - 1.6, index


def test_ends_that_face_each_other_are_further_apart_than_gaps_are_long() -> None:
    simulator = simulator_with(*SHARP, "pattern.branch=0", "pattern.rail=0", "pattern.turn=0", "pattern.empty=0")
    spaces = []
    for index in range(12):
        pattern = simulator.draw(0, 0, index, "good").pattern
        assert isinstance(pattern, Shapes) and pattern.longest_gap == 0.8
        boxes = np.array([[*np.min(each, axis=0), *np.max(each, axis=0)] for each in pattern.polygons])
        meet = (boxes[:, None, :2] < boxes[None, :, 2:]).all(axis=2) & (boxes[:, None, 2:] > boxes[None, :, :2]).all(2)
        straight = boxes[meet.sum(axis=1) == 1]  # wires that turn nowhere: both ends are ends
        for axis in (0, 1):
            tracks: dict[float, list[tuple[float, float]]] = {}
            for box in straight[straight[:, 2 + axis] - straight[:, axis] > PITCH]:
                tracks.setdefault(round(float(box[1 - axis]), 2), []).append((float(box[axis]), float(box[2 + axis])))
            spaces += [after[0] - before[1] for wires in tracks.values() for before, after in pairwise(sorted(wires))]
    assert len(spaces) > 100 and min(spaces) >= 0.9 * PITCH - 1e-6
    assert sum(space < 1.5 * PITCH for space in spaces) > 10  # many look like gaps, but for their length


def test_a_gap_opens_a_wire_and_a_bridge_joins_two() -> None:
    simulator = simulator_with("pattern.branch=0")
    for label, connectivity, change in (("gap", 8, 1), ("bridge", 4, -1)):
        changes = []
        for index in range(40):
            scene = simulator.draw(0, 0, index, label)
            assert not isinstance(scene.defects[0], Gap) or scene.defects[0].length <= 0.8 + 1e-9
            before, after = ((each.phi() > 0).astype(np.uint8) for each in (scene.without_defects(), scene))
            changes.append(nets(after, connectivity) - nets(before, connectivity))
        assert np.mean(np.sign(changes) == change) > 0.85, (label, changes)


def test_what_makes_a_maze_is_what_was_asked_for() -> None:
    def boxes(*overrides: str) -> np.ndarray:
        found = []
        for index in range(10):
            pattern = simulator_with(*SHARP, *overrides).draw(0, 0, index, "good").pattern
            assert isinstance(pattern, Shapes)
            found += [np.ptp(each, axis=0) for each in pattern.polygons]
        return np.array(found)

    plain = ("pattern.branch=0", "pattern.rail=0", "pattern.empty=0")
    long, short = (boxes(*plain, "pattern.turn=0", f"pattern.wire_length={length}") for length in (10, 2))
    assert long.max(axis=1).mean() > 1.5 * short.max(axis=1).mean()
    assert short.max() <= (2 + 0.6) * PITCH + SPACE + 1e-6
    assert len(boxes(*plain, "pattern.turn=0", "pattern.empty=0.8")) < 0.8 * len(boxes(*plain, "pattern.turn=0"))
    # a rail takes two tracks and runs through the image
    rails = boxes("pattern.rail=5")
    assert np.sum((rails.min(axis=1) > PITCH) & (rails.max(axis=1) > 192)) >= 10


def test_too_coarse_a_maze_is_refused() -> None:
    with pytest.raises(SettingError, match=r"pattern.pitch: .* fewer than three tracks"):
        simulator_with("pattern.pitch=100")
