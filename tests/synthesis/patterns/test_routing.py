"""Routing: wires with intended ends, which a good image has and a gap adds to."""

import json
from itertools import pairwise

import cv2
import numpy as np
import pytest
from conftest import make_simulator

from sem_lightning.errors import SettingError
from sem_lightning.synthesis.defects.gap import Gap
from sem_lightning.synthesis.field import FieldOfView
from sem_lightning.synthesis.patterns.shapes import Shapes, polygon_phi
from sem_lightning.synthesis.simulator import Scene, Simulator

ROUTING = ("pattern=routing", "pattern.via=0", "imaging.image_size=192")


def parts(phi: np.ndarray, connectivity: int) -> int:
    return cv2.connectedComponents((phi > 0).astype(np.uint8), connectivity=connectivity)[0] - 1


def simulator_with(*overrides: str) -> Simulator:
    return make_simulator(*ROUTING, *overrides)


def test_good_images_have_line_ends_of_different_wires() -> None:
    simulator = simulator_with("pattern.direction=vertical")
    inner_ends, widths = 0, set()
    for index in range(20):
        scene = simulator.draw(0, 0, index, "good")
        pattern = scene.pattern
        assert isinstance(pattern, Shapes) and parts(scene.phi(), 4) >= 4
        for polygon in pattern.polygons:
            (left, top), (right, bottom) = np.min(polygon, axis=0), np.max(polygon, axis=0)
            inner_ends += int(-90 < top < 90) + int(-90 < bottom < 90)
            widths.add(round((right - left) / pattern.pitch, 1))
    assert inner_ends > 100 and max(widths) > 1.2  # also wide wires and jogs


def test_line_ends_lie_on_the_design_grid() -> None:
    scene = simulator_with("pattern.direction=vertical", "pattern.pad=0").draw(0, 0, 3, "good")
    pattern = scene.pattern
    assert isinstance(pattern, Shapes)
    tops = np.array([min(y for _, y in polygon) for polygon in pattern.polygons]) / pattern.pitch * 2
    fractions = np.exp(2j * np.pi * tops)
    assert np.abs(np.mean(fractions)) > 0.99


def test_tips_keep_the_space_that_was_asked_for() -> None:
    overrides = ("pattern.direction=vertical", "pattern.pad=0", "pattern.jog=0", "pattern.branch=0", "pattern.wide=0")
    scene = simulator_with(*overrides, "pattern.tip_to_tip=0.7").draw(0, 0, 0, "good")
    pattern = scene.pattern
    assert isinstance(pattern, Shapes)
    tracks: dict[float, list[tuple[float, float]]] = {}
    for polygon in pattern.polygons:
        (left, top), (_, bottom) = np.min(polygon, axis=0), np.max(polygon, axis=0)
        tracks.setdefault(round(float(left), 3), []).append((float(top), float(bottom)))
    spaces = [
        (after[0] - before[1]) / pattern.pitch for wires in tracks.values() for before, after in pairwise(sorted(wires))
    ]
    assert spaces and min(spaces) >= 0.7 - 1e-6 and min(spaces) < 1.21


def test_a_gap_opens_a_wire_and_a_bridge_joins_two() -> None:
    simulator = simulator_with()
    opened = [
        parts(scene.phi(), 8) - parts(scene.without_defects().phi(), 8)
        for scene in (simulator.draw(0, 0, index, "gap") for index in range(60))
    ]
    # a wire that turns back on itself outside the image, or a loop, stays in one piece
    assert np.mean([change == 1 for change in opened]) > 0.9 and min(opened) >= 0
    joined = [
        parts(scene.phi(), 4) - parts(scene.without_defects().phi(), 4)
        for scene in (simulator.draw(0, 0, index, "bridge") for index in range(60))
    ]
    assert np.mean([change == -1 for change in joined]) > 0.8 and max(joined) <= 0


def test_a_gap_is_where_the_design_has_none() -> None:
    simulator = simulator_with()
    for index in range(40):
        scene = simulator.draw(0, 0, index, "gap")
        site = scene.defects[0].site
        column, row = round(site.x + 95.5), round(site.y + 95.5)
        assert scene.without_defects().phi()[row, column] > 2 and scene.phi()[row, column] < 0


def test_polygons_have_their_signed_distance() -> None:
    view = FieldOfView(64, 64, 1.0)
    y, x = np.mgrid[:64, :64] - 31.5
    square = ((-10.3, -8.0), (12.0, -8.0), (12.0, 9.6), (-10.3, 9.6))
    window, phi = polygon_phi(square, view, 6.0)
    expected = np.minimum(np.minimum(x + 10.3, 12 - x), np.minimum(y + 8, 9.6 - y))
    assert np.allclose(phi, expected[window], atol=1e-4)
    turns = np.arange(60) * 2 * np.pi / 60
    circle = tuple((float(1.5 + 15 * np.cos(t)), float(-2 + 15 * np.sin(t))) for t in turns)
    window, phi = polygon_phi(circle, view, 8.0)
    exact = (15 - np.hypot(x - 1.5, y + 2))[window]
    near = np.abs(exact) < 7
    assert np.abs(phi - exact)[near].max() < 0.05 and ((phi > 0) == (exact > 0))[np.abs(exact) > 0.05].all()


def cover(*overrides: str) -> float:
    simulator = simulator_with(*overrides)
    return float(np.mean([simulator.draw(0, 0, index, "good").phi() > 0 for index in range(12)]))


def test_wires_are_left_out_and_areas_filled() -> None:
    usual = cover()
    assert cover("pattern.empty=0.6") < 0.75 * usual
    assert cover("pattern.plate=0.3") > 1.2 * usual


def test_wires_turn_by_a_right_angle_either_way_and_touch_nothing() -> None:
    crossing, sides = 0, set()
    simulator = simulator_with("pattern.direction=vertical", "pattern.bend=1", "pattern.pad=0", "pattern.wide=0")
    for index in range(12):
        pattern = simulator.draw(0, 0, index, "good").pattern
        assert isinstance(pattern, Shapes)
        boxes = [(np.min(polygon, axis=0), np.max(polygon, axis=0)) for polygon in pattern.polygons]
        for number, (low, high) in enumerate(boxes):
            inside = np.abs(np.concatenate([low, high])).max() < 90
            if high[0] - low[0] < 2.2 * pattern.pitch or not inside:
                continue
            crossing += 1
            touching = [
                other
                for i, other in enumerate(boxes)
                if i != number and np.all(other[0] < high - 1e-6) and np.all(other[1] > low + 1e-6)
            ]
            assert 1 <= len(touching) <= 2  # the wire that turns, and perhaps the one that goes on
            sides |= {"right" if other[0][0] < (low + high)[0] / 2 else "left" for other in touching[:1]}
    assert crossing > 3 and sides == {"right", "left"}


def test_wires_have_the_polarity_of_their_pattern_unless_the_imaging_says_otherwise() -> None:
    def polarity(*overrides: str) -> str:
        return simulator_with(*overrides).draw(0, 0, 0, "good").exposure.polarity

    assert polarity() == "dark" and polarity("pattern.polarity=bright") == "bright"
    assert polarity("pattern.polarity=bright", "imaging.polarity=dark") == "dark"
    with pytest.raises(SettingError, match=r"pattern\.polarity: found 'grey', expected one of bright, dark"):
        simulator_with("pattern.polarity=grey")


def test_gaps_are_shorter_than_what_is_intended() -> None:
    usual = simulator_with("pattern.pitch=24", "pattern.tip_to_tip=1.5")
    capped = simulator_with("pattern.pitch=24", "pattern.tip_to_tip=1.5", "pattern.longest_gap=0.9")
    lengths = []
    for index in range(60):
        (long,), (short,) = (simulator.draw(0, 0, index, "gap").defects for simulator in (usual, capped))
        assert isinstance(short, Gap) and isinstance(long, Gap)
        # the whole range is squeezed, by severity; all else stays
        assert short.length == pytest.approx(0.25 * (0.9 / 0.25) ** short.severity)
        assert (short.severity, short.bulge, short.key) == (long.severity, long.bulge, long.key)
        lengths.append(long.length)
    assert max(lengths) > 1.5
    bridges = [simulator.draw(0, 0, 4, "bridge").defects for simulator in (usual, capped)]
    assert bridges[0] == bridges[1]


def test_scenes_from_before_longest_gap_replay() -> None:
    scene = simulator_with().draw(0, 0, 1, "gap")
    stored = json.loads(json.dumps(scene.to_dict()))
    assert stored["pattern"].pop("longest_gap") is None
    assert Scene.from_dict(stored) == scene


def test_a_longest_gap_of_nothing_is_refused() -> None:
    with pytest.raises(SettingError, match=r"pattern.longest_gap: found 0, expected pitches above 0"):
        simulator_with("pattern.longest_gap=0")
