"""Every type of defect does to its pattern what its name says."""

import cv2
import numpy as np
import pytest
from conftest import make_simulator

from sem_lightning.synthesis.defects.cd_deviation import CDDeviation
from sem_lightning.synthesis.defects.defect import Defect
from sem_lightning.synthesis.defects.probable_gap import ProbableGap
from sem_lightning.synthesis.simulator import Scene, Simulator, render

CLEAN = ("imaging=ideal", "noise=none")
HOME = {  # a pattern for each type
    "contact_hole": ("missing", "closed", "merged", "displaced", "misshapen"),
    "line_space": (
        ["gap", "probable_gap", "bridge", "microbridge", "collapse", "cd_deviation", "particle", "residue", "scratch"]
    ),
}  # fmt: skip
CASES = [(pattern, name) for pattern, names in HOME.items() for name in names]


def simulator_of(pattern: str, name: str, *overrides: str) -> Simulator:
    others = [f"~defect.{other}" for other in ("gap", "bridge") if other != name]
    added = [] if name in ("gap", "bridge") else [f"+defect/types@defect.{name}={name}"]
    return make_simulator(f"pattern={pattern}", *others, *added, *overrides)


def parts(phi: np.ndarray, connectivity: int = 4) -> int:
    return cv2.connectedComponents((phi > 0).astype(np.uint8), connectivity=connectivity)[0] - 1


def scenes(pattern: str, name: str, *overrides: str, count: int = 60) -> list[Scene]:
    simulator = simulator_of(pattern, name, *CLEAN, *overrides)
    return [simulator.draw(0, 0, index, name) for index in range(count)]


def test_every_type_is_covered_here() -> None:
    assert {name for _, name in CASES} == set(Defect.types)


@pytest.mark.parametrize(("pattern", "name"), CASES)
def test_it_shows_stays_in_its_window_and_replays(pattern: str, name: str) -> None:
    for scene in scenes(pattern, name, count=25):
        sample = render(scene)
        twin = render(scene.without_defects())
        [instance] = sample.instances
        assert instance.mask.sum() == sample.mask.sum() >= 4
        x, y, width, height = instance.box
        different = sample.image != twin.image
        far = np.ones_like(different)
        far[max(0, y - 24) : y + height + 24, max(0, x - 24) : x + width + 24] = False
        assert different.any()
        if name != "scratch":  # which may graze the image's border over a length
            change = np.abs(sample.image.astype(int) - twin.image)
            assert change[far].max(initial=0) <= 1  # a rim's light has no end, but for rounding
        assert Scene.from_dict(scene.to_dict()) == scene


@pytest.mark.parametrize(("pattern", "name"), [case for case in CASES if case[1] != "missing"])
def test_graver_is_larger(pattern: str, name: str) -> None:
    def area(severity: float) -> float:
        overrides = f"defect.{name}.severity={severity}"
        return float(np.median([render(scene).mask.sum() for scene in scenes(pattern, name, overrides, count=25)]))

    assert area(0.0) < area(1.0)


def test_a_probable_gap_narrows_but_does_not_open() -> None:
    for scene in scenes("line_space", "probable_gap"):
        assert parts(scene.phi(), 4) == parts(scene.without_defects().phi(), 4)
        assert (scene.phi() <= scene.without_defects().phi() + 1e-4).all()


def test_a_microbridge_adds_and_shorts_only_when_grave() -> None:
    change = [
        parts(s.phi()) - parts(s.without_defects().phi())
        for s in scenes("line_space", "microbridge", "defect.microbridge.extent=[0.5,0.7]")
    ]
    assert set(change) == {0}
    grave = scenes("line_space", "microbridge", "defect.microbridge.severity=1", "defect.microbridge.slant=0")
    assert np.mean([parts(s.phi()) - parts(s.without_defects().phi()) == -1 for s in grave]) > 0.9
    assert all((scene.phi() >= scene.without_defects().phi() - 1e-4).all() for scene in grave)


def test_leaning_lines_touch_from_one_on_and_keep_their_width() -> None:
    touching = scenes("line_space", "collapse", "defect.collapse.lean=1.3")
    assert np.mean([parts(s.phi()) - parts(s.without_defects().phi()) == -1 for s in touching]) > 0.95
    leaning = scenes("line_space", "collapse", "defect.collapse.lean=0.6")
    for scene in leaning:
        assert parts(scene.phi()) == parts(scene.without_defects().phi())
        assert np.mean(scene.phi() > 0) == pytest.approx(np.mean(scene.without_defects().phi() > 0), abs=0.01)


def test_upright_wires_collapse_without_a_slit_between_them() -> None:
    simulator = simulator_of("routing", "collapse", *CLEAN, "pattern.direction=vertical", "defect.collapse.lean=1.2")
    joined = []
    for index in range(20):
        scene = simulator.draw(0, 0, index, "collapse")
        site, view = scene.defects[0].site, scene.view
        joined.append(scene.phi()[round(site.y + (view.height - 1) / 2), round(site.x + (view.width - 1) / 2)] > 0)
    assert np.mean(joined) > 0.9


def test_a_neck_leaves_other_wires_alone() -> None:
    simulator = simulator_of("routing", "probable_gap", *CLEAN)
    for index in range(40):
        scene = simulator.draw(0, 0, index, "probable_gap")
        along = scene.view.axes(scene.defects[0].site.x, scene.defects[0].site.y, scene.defects[0].site.angle)[1]
        neck = scene.defects[0]
        assert isinstance(neck, ProbableGap)
        furthest = neck.half_size[1] + neck.smoothing * neck.site.pitch + 1
        assert not (render(scene).mask.astype(bool) & (np.abs(along) > furthest)).any()


def test_a_cd_deviation_neither_opens_nor_shorts() -> None:
    for scene in scenes("line_space", "cd_deviation"):
        assert parts(scene.phi(), 8) == parts(scene.without_defects().phi(), 8)
        wider = np.sum(scene.phi() > 0) > np.sum(scene.without_defects().phi() > 0)
        deviation = scene.defects[0]
        assert isinstance(deviation, CDDeviation)
        assert wider == (deviation.direction >= 0)


def test_holes_vanish_shrink_merge_move_and_change_shape() -> None:
    def change(name: str, *overrides: str) -> list[tuple[int, float]]:
        found = scenes("contact_hole", name, *overrides, count=40)
        return [
            (
                parts(s.phi(), 8) - parts(s.without_defects().phi(), 8),
                float(np.mean(s.phi() > 0) / np.mean(s.without_defects().phi() > 0)),
            )
            for s in found
        ]

    assert {holes for holes, _ in change("missing")} == {-1}
    assert {holes for holes, area in change("closed", "defect.closed.amount=[0.3,0.6]")} == {0}
    assert all(area < 1 for _, area in change("closed"))
    merged = change("merged")
    assert np.mean([holes == -1 for holes, _ in merged]) > 0.95 and all(area > 1 for _, area in merged)
    displaced = change("displaced")
    assert {holes for holes, _ in displaced} == {0}
    assert np.mean([area for _, area in displaced]) == pytest.approx(1, abs=0.01)
    assert {holes for holes, _ in change("misshapen")} == {0}


def test_covers_lie_on_the_pattern_without_changing_it() -> None:
    for name in ("particle", "residue", "scratch"):
        for scene in scenes("line_space", name, count=10):
            assert np.array_equal(scene.phi(), scene.without_defects().phi())


def test_residue_stays_in_its_space() -> None:
    for scene in scenes("line_space", "residue", "pattern.roughness=0"):
        mask = render(scene).mask.astype(bool)
        assert np.mean(scene.phi()[mask] < 0.6) > 0.97
