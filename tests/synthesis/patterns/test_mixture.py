"""A mixture draws its parts equally often, each as it would be alone, and refuses what any of them refuses."""

from collections import Counter

import numpy as np
import pytest
from conftest import Run, make_simulator

from sem_lightning.errors import SettingError
from sem_lightning.synthesis.simulator import Scene, render

PARTS = (
    *("upright", "level", "turned", "fine", "cut", "routing", "sparse", "wires", "combs"),
    *("bright_routing", "bright_sparse", "bright_wires", "maze", "bright_maze"),
)


def test_parts_are_drawn_equally_often_with_their_own_polarity() -> None:
    simulator = make_simulator("pattern=mixed")
    scenes = [simulator.draw(0, 0, i, "good") for i in range(300)]
    counts = Counter((scene.pattern.name, scene.exposure.polarity) for scene in scenes)
    assert set(counts) == {("line_space", "bright"), ("shapes", "dark"), ("shapes", "bright")}
    for kind, parts in ((("line_space", "bright"), 4), (("shapes", "dark"), 5), (("shapes", "bright"), 5)):
        expected = 300 * parts / len(PARTS)
        assert abs(counts[kind] - expected) < 3.5 * (expected * (1 - parts / len(PARTS))) ** 0.5, kind
    assert simulator.polarity is None
    assert make_simulator("pattern=mixed", "imaging.polarity=dark").polarity == "dark"
    assert all(label in simulator.classes for label in ("good", "gap", "bridge"))


def test_scenes_of_a_mixture_replay() -> None:
    simulator = make_simulator("pattern=mixed", "imaging=any", "noise=any", "processing=any")
    for index in range(6):
        scene = simulator.draw(3, 1, index, simulator.classes[index % 3])
        again = Scene.from_dict(scene.to_dict())
        assert again == scene and np.array_equal(render(again).image, render(scene).image)


def test_parts_can_be_added_and_left_out() -> None:
    simulator = make_simulator(
        "pattern=mixed",
        "+pattern@pattern.parts.holes=contact_hole",
        *(f"~pattern.parts.{name}" for name in PARTS),
        "defect=contact_hole",
    )
    assert simulator.draw(0, 0, 0, "merged").pattern.name == "contact_hole" and simulator.polarity == "dark"


def test_what_a_part_cannot_be_is_named() -> None:
    with pytest.raises(SettingError, match=r"pattern\.parts\.routing\.pitch: .* fewer than three tracks"):
        make_simulator("pattern=mixed", "pattern.parts.routing.pitch=60")
    with pytest.raises(SettingError, match=r"pattern\.parts\.turned\.duty: found 2"):
        make_simulator("pattern=mixed", "pattern.parts.turned.duty=2")
    with pytest.raises(SettingError, match=r"pattern\.parts: lists no pattern"):
        make_simulator("pattern=mixed", *(f"~pattern.parts.{name}" for name in PARTS))
    with pytest.raises(SettingError, match="the type gap needs a pattern with a place of the kind 'line'"):
        make_simulator("pattern=mixed", "+pattern@pattern.parts.holes=contact_hole")


def test_a_mixture_is_generated_and_described(run: Run) -> None:
    done = run("generate", "pattern=mixed", "num_per_class=4", "output=set")
    assert done.code == 0, done.err
    assert "bright and dark features" in (done.folder / "set" / "README.md").read_text()
