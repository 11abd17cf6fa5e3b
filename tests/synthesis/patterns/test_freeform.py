"""Free-form metal keeps its smallest space, ends its wires anywhere, and is cut and joined by defects alone."""

import cv2
import numpy as np
import pytest
from conftest import make_simulator

from sem_lightning.errors import SettingError
from sem_lightning.synthesis.patterns.shapes import Shapes
from sem_lightning.synthesis.simulator import Simulator

SMOOTH = ("pattern.roughness=0", "pattern.corner=0")


def simulator_with(*overrides: str) -> Simulator:
    return make_simulator("pattern=freeform", "imaging.image_size=192", *overrides)


def only(kind: str) -> list[str]:
    return [f"pattern.{name}={5 if name == kind else 0}" for name in ("bundle", "comb", "meander", "plate", "dummy")]


def pieces(phi: np.ndarray) -> int:
    return cv2.connectedComponents((phi > 0).astype(np.uint8), connectivity=4)[0] - 1


def boxes_of(simulator: Simulator, index: int) -> tuple[np.ndarray, Shapes]:
    pattern = simulator.draw(0, 0, index, "good").pattern
    assert isinstance(pattern, Shapes)
    return np.array([[*np.min(each, axis=0), *np.max(each, axis=0)] for each in pattern.polygons]), pattern


@pytest.mark.parametrize(("facing", "oblique"), [(0, 0), (1, 0), (0, 1)])
def test_wires_of_different_nets_keep_the_smallest_space(facing: float, oblique: float) -> None:
    shares = (f"pattern.facing={facing}", f"pattern.oblique={oblique}")
    simulator = simulator_with("pattern.duty=0.5", "pattern.pitch=16", *shares, *SMOOTH)
    for index in range(30):
        scene = simulator.draw(0, 0, index, "good")
        metal = (scene.phi() > 0).astype(np.uint8)
        # no place that is nearer than half of the space to two nets
        _, nearest = cv2.distanceTransformWithLabels(1 - metal, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_CCOMP)
        distance = cv2.distanceTransform(1 - metal, cv2.DIST_L2, 5)
        for axis in (0, 1):
            other = np.diff(nearest, axis=axis) != 0
            between = np.minimum(*(np.delete(distance, drop, axis=axis) for drop in (0, -1)))[other]
            assert between.size == 0 or between.min() > 8 / 2 - 1.6, index


def test_wires_that_face_an_end_lie_as_far_before_it_as_was_asked_for() -> None:
    def spaces(facing: float, tip_to_tip: str = "[0.85,2.5]") -> list[int]:
        """Pixels from each end of a wire to the next metal before it, where there is any within the image."""
        simulator = simulator_with(
            *("pattern.pitch=10", "pattern.fill=0.2", *SMOOTH, *only("none")),
            *(f"pattern.facing={facing}", f"pattern.tip_to_tip={tip_to_tip}"),
        )
        found = []
        for index in range(40):
            boxes, _ = boxes_of(simulator, index)
            metal = simulator.draw(0, 0, index, "good").phi() > 0
            for left, top, right, bottom in boxes + 96:
                if right - left > bottom - top and 0 <= (middle := round((top + bottom) / 2)) < 192 and 0 < right < 188:
                    ahead = metal[middle, round(right) + 1 :]
                    found += [int(ahead.argmax())] if ahead.any() and not ahead[0] else []
        return found

    facing, far, free = spaces(1), spaces(1, "[4,6]"), spaces(0)
    near = [sum(9 <= space <= 26 for space in each) / len(each) for each in (facing, far, free)]
    assert len(facing) > 50 and near[0] > 1.5 * max(near[1:]), (len(facing), near)


def test_fill_is_rows_of_equal_squares_of_which_some_are_missing() -> None:
    simulator = simulator_with("pattern.dummy=1e4", "pattern.pitch=10", *SMOOTH)
    kept = []
    for index in range(40):
        boxes, _ = boxes_of(simulator, index)
        sizes, group = np.unique((boxes[:, 2:] - boxes[:, :2]).round(6), axis=0, return_inverse=True)
        for number in range(len(sizes)):
            places = boxes[group.ravel() == number, :2].round(6)
            kept.append(len(places) / np.prod([len(np.unique(places[:, axis])) for axis in (0, 1)]))
    assert 0.15 < np.mean(np.array(kept) < 1) < 0.4 and 0.4 < min(kept) <= max(kept) == 1, sorted(kept)[:9]


def test_more_fill_is_more_metal_and_thick_wires_are_as_thick_as_asked_for() -> None:
    def cover(fill: float) -> float:
        simulator = simulator_with(f"pattern.fill={fill}", "pattern.pitch=10")
        return float(np.mean([np.mean(simulator.draw(0, 0, index, "good").phi() > 0) for index in range(12)]))

    assert cover(0.05) < 0.6 * cover(0.4)
    simulator = simulator_with("pattern.pitch=12", "pattern.duty=0.5", "pattern.widest=[2,3]", *only("none"))
    thickness = np.concatenate(
        [np.minimum(b[:, 2] - b[:, 0], b[:, 3] - b[:, 1]) for b, _ in (boxes_of(simulator, i) for i in range(20))]
    )
    assert thickness.min() == pytest.approx(6) and 14 < thickness.max() <= 18


@pytest.mark.parametrize("kind", ["bundle", "comb", "meander", "plate"])
def test_every_kind_is_drawn_where_its_weight_asks_for_it(kind: str) -> None:
    simulator = simulator_with(*only(kind), "pattern.pitch=12", "pattern.duty=0.5")
    found = [boxes_of(simulator, index)[0] for index in range(12)]
    lengths = np.concatenate([np.minimum(b[:, 2] - b[:, 0], b[:, 3] - b[:, 1]) for b in found])
    nets = [pieces(simulator.draw(0, 0, index, "good").phi()) for index in range(12)]
    counts = [len(b) for b in found]
    if kind == "plate":
        assert lengths.max() > 2 * 12
    elif kind == "bundle":
        assert np.mean(nets) > 5
    else:
        assert np.mean(counts) > 8 and np.mean(np.array(counts) / nets) > 1.5  # many boxes to a net


@pytest.mark.parametrize("step", [12, 16])
def test_bundles_that_turn_by_45_degrees_keep_their_wires_whole_and_as_wide(step: int) -> None:
    overrides = (f"pattern.pitch={step}", "pattern.duty=0.5", "pattern.oblique=1", "pattern.wire_length=[4,6]", *SMOOTH)
    simulator = simulator_with("pattern.bundle=500", *only("bundle")[1:], *overrides)
    slanted = 0
    for index in range(20):
        scene = simulator.draw(0, 0, index, "good")
        _, shapes = boxes_of(simulator, index)
        runs = [np.array(each) for each in shapes.polygons if len({x for x, _ in each}) > 2]
        slanted += len(runs)
        for run in runs:  # as wide as the others
            sides = np.linalg.norm(run - np.roll(run, 1, axis=0), axis=1)
            assert sides[1] > sides[0] == pytest.approx(step / 2)
        # every wire of a group is one net: a piece along an axis, a slanted one, and a piece along an axis
        nets = cv2.connectedComponents((scene.phi() > 0).astype(np.uint8), connectivity=4)[1]
        for run in runs:
            places = [np.round(end.mean(axis=0) + 95.5).astype(int) for end in (run[[0, 3]], run[[1, 2]])]
            seen = [nets[y, x] for x, y in places if 0 <= x < 192 and 0 <= y < 192]
            assert len(set(seen)) <= 1 and 0 not in seen, index
    assert slanted > 100


def test_wires_run_both_ways_and_end_anywhere() -> None:
    simulator = simulator_with(*only("none"))
    across = [
        np.mean((b[:, 2] - b[:, 0]) > (b[:, 3] - b[:, 1])) for b, _ in (boxes_of(simulator, i) for i in range(40))
    ]
    assert 0.3 < np.mean(across) < 0.7
    tops = np.concatenate([b[:, 1] / shapes.pitch for b, shapes in (boxes_of(simulator, i) for i in range(40))])
    assert np.abs(np.mean(np.exp(4j * np.pi * tops))) < 0.2  # on no grid


def test_a_gap_opens_a_wire_and_a_bridge_joins_two() -> None:
    simulator = simulator_with()
    changes = {
        label: [
            pieces(scene.phi()) - pieces(scene.without_defects().phi())
            for scene in (simulator.draw(0, 0, index, label) for index in range(60))
        ]
        for label in ("gap", "bridge")
    }
    assert np.mean(changes["gap"]) > 0.6 and np.mean(changes["bridge"]) < -0.5


def test_slanted_wires_are_opened_and_joined_across() -> None:
    overrides = ("pattern.oblique=1", "pattern.wire_length=[8,14]", "pattern.duty=0.5", "pattern.bundle=500")
    simulator = simulator_with("defect=any", *overrides, *only("bundle")[1:], *SMOOTH)
    for label, change in (("gap", 1), ("bridge", -1)):
        scenes = [simulator.draw(0, 0, index, label) for index in range(80)]
        turned = [scene for scene in scenes if scene.defects[0].site.angle % 90 == 45]
        assert len(turned) > 12
        changes = [pieces(scene.phi()) - pieces(scene.without_defects().phi()) for scene in turned]
        assert np.mean(np.sign(changes)) * change > 0.5, label


@pytest.mark.parametrize(
    ("override", "text"),
    [
        ("pattern.pitch=100", "pitch: .* fewer than three wires"),
        ("pattern.duty=0.1", "duty: wires or spaces come down to"),
        ("pattern.roughness=0.5", "roughness: 3 sigma of 0.5"),
        ("pattern.fill=0.9", "fill: found 0.9, expected"),
        ("pattern.widest=0.5", "widest: found 0.5, expected"),
    ],
)
def test_what_cannot_be_drawn_is_refused(override: str, text: str) -> None:
    with pytest.raises(SettingError, match=text):
        simulator_with(override)
