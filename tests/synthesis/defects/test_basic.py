"""Gaps open, bridges short, good images do neither: judged by connected components of the geometry."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from conftest import make_simulator
from hypothesis import given, settings
from hypothesis import strategies as st

from sem_lightning.synthesis.defects.gap import Gap
from sem_lightning.synthesis.field import smooth_subtraction, smooth_union
from sem_lightning.synthesis.patterns.line_space import Lines
from sem_lightning.synthesis.simulator import Scene, Simulator, render

SEEDS = range(200)


def count_parts(phi: np.ndarray, connectivity: int = 4) -> int:
    """Connected pieces of the feature: pixels touch at a side (4), or at a side or corner (8)."""
    return cv2.connectedComponents((phi > 0).astype(np.uint8), connectivity=connectivity)[0] - 1


def clean_phi(scene: Scene) -> np.ndarray:
    return scene.without_defects().phi()


def gap_of(scene: Scene) -> Gap:
    (gap,) = scene.defects
    assert isinstance(gap, Gap)
    return gap


ANGLED = (
    "pattern.angle=[-90,90]",
    "pattern.pitch=[12,30]",
    "pattern.roughness=[0,0.3]",
    "defect.gap.length=[0.3,2]",
    "defect.bridge.length=[0.3,2]",
)
BENT = ("pattern=any_line_space", "pattern.pitch=[12,30]")


@pytest.mark.parametrize("overrides", [(), ANGLED, BENT], ids=["default", "angled", "bent"])
def test_a_gap_disconnects_its_line(overrides: tuple[str, ...]) -> None:
    simulator = make_simulator(*overrides)
    for index in SEEDS:
        scene = simulator.draw(0, 0, index, "gap")
        # not even a corner still connects; a bent line near the image's corner may fall into three
        change = count_parts(scene.phi(), 8) - count_parts(clean_phi(scene), 8)
        assert change == 1 or (overrides == BENT and change == 2), index


@pytest.mark.parametrize("overrides", [(), ANGLED, BENT], ids=["default", "angled", "bent"])
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
        assert isinstance(lines, Lines)
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
def test_the_smallest_still_open_and_short(label: str) -> None:
    simulator = make_simulator(
        *(f"defect.{name}.{key}" for name in ("gap", "bridge") for key in ("length=[0.05,0.2]", "bulge=-0.7")),
        *(f"defect.{name}.{key}" for name in ("gap", "bridge") for key in ("smoothing=0.01", "raggedness=0.3")),
    )
    connectivity = 8 if label == "gap" else 4
    for index in SEEDS:
        scene = simulator.draw(0, 0, index, label)
        change = count_parts(scene.phi(), connectivity) - count_parts(clean_phi(scene), connectivity)
        # at this size a cut can leave a crumb of one pixel on a rough edge, one part more
        assert change >= 1 if label == "gap" else change == -1, index


@pytest.mark.parametrize("label", ["gap", "bridge"])
def test_a_square_defect_is_a_rectangle_at_the_same_place(label: str) -> None:
    uneven = ("bulge=[0.3,0.8]", "slant=[0.2,0.4]", "raggedness=0.1")
    ragged = make_simulator(*(f"defect.{label}.{key}" for key in uneven))
    square = make_simulator(*(f"defect.{label}.{key}" for key in (*uneven, "squareness=1")))
    plain = make_simulator(*(f"defect.{label}.{key}" for key in ("bulge=0", "slant=0", "raggedness=0")))
    for index in range(50):
        scenes = [simulator.draw(0, 0, index, label) for simulator in (square, plain)]
        assert scenes[0].defects[0].site == scenes[1].defects[0].site
        assert np.array_equal(scenes[0].phi(), scenes[1].phi())
        assert not np.array_equal(scenes[0].phi(), ragged.draw(0, 0, index, label).phi())


def test_squareness_is_drawn_beside_everything_else() -> None:
    simulator = make_simulator()
    some = make_simulator("defect.gap.squareness=[0.2,0.8]")
    shares = []
    for index in range(300):
        usual, drawn = (each.draw(0, 0, index, "gap").defects[0] for each in (simulator, some))
        assert isinstance(usual, Gap) and isinstance(drawn, Gap)
        assert usual.squareness == 0 and replace(drawn, squareness=0.0, site=usual.site, length=usual.length) == usual
        shares.append(drawn.squareness)
    assert min(shares) >= 0.2 and max(shares) <= 0.8
    assert 0.47 < np.mean(shares) < 0.53 and 0.16 < np.std(shares) < 0.19  # uniform


def test_scenes_from_before_squareness_replay(simulator: Simulator) -> None:
    scene = simulator.draw(0, 0, 1, "gap")
    stored = scene.to_dict()
    del stored["defects"][0]["squareness"]
    assert Scene.from_dict(stored) == scene


def test_mask_and_box_say_where_the_defect_is() -> None:
    simulator = make_simulator("imaging=ideal")  # a scan without fail leaves the geometry where it is
    for index in SEEDS:
        label = simulator.classes[index % 3]
        scene = simulator.draw(1, 2, index, label)
        sample = render(scene)
        different = (scene.phi() > 0) != (clean_phi(scene) > 0)
        assert np.array_equal(sample.mask.astype(bool), different)
        if label == "good":
            assert sample.instances == []
            continue
        [instance] = sample.instances
        x, y, width, height = instance.box
        assert sample.mask[y : y + height, x : x + width].sum() == sample.mask.sum() == instance.mask.sum() > 0
        site = scene.defects[0].site
        assert x <= site.x + scene.view.width / 2 <= x + width and y <= site.y + scene.view.height / 2 <= y + height


def test_a_scan_moves_the_mask_with_the_image(simulator: Simulator) -> None:
    drifting = make_simulator("imaging=ideal", "imaging.drift=24", "noise=none")
    shifts = []
    for index in range(100):
        scene = drifting.draw(0, 0, index, "gap")
        moved, still = render(scene), (scene.phi() > 0) != (clean_phi(scene) > 0)
        scan, middle = scene.exposure.scan, np.argwhere(still).mean(axis=0)
        found = np.argwhere(moved.mask).mean(axis=0)
        share = (found[0] + 0.5) / 128 - 0.5  # of the image's time, when the beam came by
        shifts.append(middle - found - np.array([scan.drift_y, scan.drift_x]) * share)
    assert np.abs(np.median(shifts, axis=0)).max() < 0.3 and np.percentile(np.abs(shifts), 90) < 1


def test_severity_sets_the_extent_over_the_range_that_was_asked_for(simulator: Simulator) -> None:
    scenes = [simulator.draw(0, 0, index, "gap") for index in range(400)]
    lengths = np.array([gap_of(scene).length for scene in scenes])
    severities = np.array([scene.severity for scene in scenes])
    assert lengths.min() < 0.27 and lengths.max() > 1.85
    assert np.allclose(lengths, 0.25 * 8**severities, atol=1e-3)
    heights = np.array([render(scene).instances[0].box[3] for scene in scenes[:100]])
    assert np.corrcoef(heights, lengths[:100])[0, 1] > 0.8
    grave = make_simulator("defect.gap.severity=[0.9,1]")
    assert min(grave.draw(0, 0, index, "gap").severity for index in range(50)) >= 0.9


def test_defects_lie_anywhere_in_the_image(simulator: Simulator) -> None:
    sites = [simulator.draw(0, 0, index, "bridge").defects[0].site for index in range(400)]
    places = np.array([(site.x, site.y) for site in sites])
    counts, _, _ = np.histogram2d(places[:, 0], places[:, 1], bins=4, range=[[-64, 64], [-64, 64]])
    assert counts.min() >= 5


def test_several_defects_lie_apart_and_each_has_its_mask() -> None:
    simulator = make_simulator("defect.count=[1,3]", "imaging=ideal")
    counts = []
    for index in range(60):
        scene = simulator.draw(0, 0, index, ("gap", "bridge")[index % 2])
        sample = render(scene)
        counts.append(len(sample.instances))
        assert sum(int(instance.mask.sum()) for instance in sample.instances) == sample.mask.sum()
        for instance in sample.instances:
            x, y, width, height = instance.box
            assert np.array_equal(sample.mask[y : y + height, x : x + width], instance.mask)
            assert instance.label == scene.label and instance.severity > 0
    assert set(counts) == {1, 2, 3}


def test_the_border_cuts_the_share_that_was_asked_for() -> None:
    def cut(border: float) -> list[bool]:
        simulator = make_simulator(f"defect.border={border}", "imaging=ideal")
        samples = [render(simulator.draw(0, 0, index, "bridge")) for index in range(60)]
        assert all(sample.mask.any() for sample in samples)
        boxes = [sample.instances[0].box for sample in samples]
        return [x == 0 or y == 0 or x + width == 128 or y + height == 128 for x, y, width, height in boxes]

    assert np.mean(cut(0)) < 0.1 < 0.3 < np.mean(cut(0.5)) < 0.7 < np.mean(cut(1))


@settings(max_examples=50, deadline=None)
@given(a=st.floats(-20, 20, width=32), b=st.floats(-20, 20, width=32), radius=st.floats(0.05, 10))
def test_smooth_operations_never_lose_what_the_sharp_ones_have(a: float, b: float, radius: float) -> None:
    one, other = np.array([a], np.float32), np.array([b], np.float32)
    assert smooth_union(one, other, radius) >= max(a, b)
    assert smooth_union(one, other, radius) <= max(a, b) + radius / 4 + 1e-4
    assert smooth_subtraction(one, other, radius) <= min(a, -b)
