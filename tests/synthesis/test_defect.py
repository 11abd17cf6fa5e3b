"""Gaps open, bridges short, good images do neither: judged by connected components of the geometry."""

import cv2
import numpy as np
import pytest
from conftest import make_simulator
from hypothesis import given, settings
from hypothesis import strategies as st

from sem_lightning.synthesis.field import smooth_subtraction, smooth_union
from sem_lightning.synthesis.simulator import Scene, Simulator, render

SEEDS = range(200)


def count_parts(phi: np.ndarray, connectivity: int = 4) -> int:
    """Connected pieces of the feature: pixels touch at a side (4), or at a side or corner (8)."""
    return cv2.connectedComponents((phi > 0).astype(np.uint8), connectivity=connectivity)[0] - 1


def clean_phi(scene: Scene) -> np.ndarray:
    return scene.twin().phi()


ANGLED = (
    "pattern.angle=[-90,90]",
    "pattern.pitch=[12,30]",
    "pattern.roughness=[0,0.3]",
    "defect.gap.length=[0.3,2]",
    "defect.bridge.length=[0.3,2]",
)


@pytest.mark.parametrize("overrides", [(), ANGLED], ids=["default", "angled"])
def test_a_gap_disconnects_its_line(overrides: tuple[str, ...]) -> None:
    simulator = make_simulator(*overrides)
    for index in SEEDS:
        scene = simulator.draw(0, 0, index, "gap")
        # not even a corner still connects
        assert count_parts(scene.phi(), 8) == count_parts(clean_phi(scene), 8) + 1, index


@pytest.mark.parametrize("overrides", [(), ANGLED], ids=["default", "angled"])
def test_a_bridge_connects_two_lines(overrides: tuple[str, ...]) -> None:
    simulator = make_simulator(*overrides)
    for index in SEEDS:
        scene = simulator.draw(0, 0, index, "bridge")
        assert count_parts(scene.phi()) == count_parts(clean_phi(scene)) - 1, index


@pytest.mark.parametrize("overrides", [(), ("pattern.roughness=0.4", "pattern.duty=0.5")], ids=["default", "rough"])
def test_a_good_image_has_neither(overrides: tuple[str, ...]) -> None:
    simulator = make_simulator(*overrides)
    for index in SEEDS:
        scene = simulator.draw(0, 0, index, "good")
        phi, lines = scene.phi(), scene.pattern
        parts = cv2.connectedComponents((phi > 0).astype(np.uint8), connectivity=8)[1]
        whole = []
        for k in range(-10, 11):
            middle = lines.phase + k * lines.pitch
            if abs(middle) < 64 - lines.pitch:  # the image's side cuts the others
                near = np.flatnonzero(np.abs(np.arange(128) - 63.5 - middle) < lines.cd / 4)
                top, bottom = (near[phi[row, near].argmax()] for row in (0, -1))
                assert parts[0, top] == parts[-1, bottom] > 0, "a line is open"
                whole.append(parts[0, top])
        assert len(whole) >= 5 and len(set(whole)) == len(whole), "two lines are shorted"
        assert np.array_equal(phi, clean_phi(scene))


@pytest.mark.parametrize("label", ["gap", "bridge"])
def test_the_smallest_that_validate_still_open_and_short(label: str) -> None:
    simulator = make_simulator(
        "defect.gap.length=0.47", "defect.bridge.length=0.47", "defect.gap.bulge=-0.7", "defect.bridge.bulge=-0.7",
        "defect.gap.smoothing=0.01", "defect.bridge.smoothing=0.01",
    )  # fmt: skip
    connectivity = 8 if label == "gap" else 4
    for index in SEEDS:
        scene = simulator.draw(0, 0, index, label)
        change = count_parts(scene.phi(), connectivity) - count_parts(clean_phi(scene), connectivity)
        # at this size a cut can leave a crumb of one pixel on a rough edge, one part more
        assert change >= 1 if label == "gap" else change == -1, index


def test_mask_and_box_say_where_the_defect_is(simulator: Simulator) -> None:
    for index in SEEDS:
        label = simulator.classes[index % 3]
        scene = simulator.draw(1, 2, index, label)
        sample = render(scene)
        different = (scene.phi() > 0) != (clean_phi(scene) > 0)
        assert np.array_equal(sample.mask.astype(bool), different)
        if label == "good":
            assert sample.boxes == []
            continue
        [(x, y, width, height)] = sample.boxes
        assert sample.mask[y : y + height, x : x + width].sum() == sample.mask.sum() > 0
        assert scene.defect is not None
        centre_x = scene.defect.across + scene.view.width / 2
        centre_y = scene.defect.along + scene.view.height / 2
        assert x <= centre_x <= x + width and y <= centre_y <= y + height


def test_extents_cover_the_range_that_was_asked_for(simulator: Simulator) -> None:
    scenes = [simulator.draw(0, 0, index, "gap") for index in range(400)]
    lengths = np.array([scene.defect.length / scene.pattern.pitch for scene in scenes if scene.defect])
    assert lengths.min() < 0.27 and lengths.max() > 1.85
    assert lengths.min() >= 0.25 and lengths.max() <= 2.0
    heights = np.array([render(scene).boxes[0][3] for scene in scenes[:100]])
    assert np.corrcoef(heights, lengths[:100])[0, 1] > 0.8


def test_defects_lie_anywhere_in_the_image(simulator: Simulator) -> None:
    places = np.array(
        [
            (scene.defect.across, scene.defect.along)
            for scene in (simulator.draw(0, 0, index, "bridge") for index in range(400))
            if scene.defect
        ]
    )
    counts, _, _ = np.histogram2d(places[:, 0], places[:, 1], bins=4, range=[[-64, 64], [-64, 64]])
    assert counts.min() >= 5


@settings(max_examples=50, deadline=None)
@given(a=st.floats(-20, 20, width=32), b=st.floats(-20, 20, width=32), radius=st.floats(0.05, 10))
def test_smooth_operations_never_lose_what_the_sharp_ones_have(a: float, b: float, radius: float) -> None:
    one, other = np.float32([a]), np.float32([b])
    assert smooth_union(one, other, radius) >= max(a, b)
    assert smooth_union(one, other, radius) <= max(a, b) + radius / 4 + 1e-4
    assert smooth_subtraction(one, other, radius) <= min(a, -b)
