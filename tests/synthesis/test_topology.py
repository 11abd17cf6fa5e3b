"""Two prints of a design connect the same parts."""

import numpy as np
import pytest

from sem_lightning.synthesis.pairs import PairSimulator
from sem_lightning.synthesis.patterns.pattern import clean_phi
from sem_lightning.synthesis.patterns.shapes import Shapes
from sem_lightning.synthesis.topology import Bools, same_topology


def drawn(*rows: str) -> Bools:
    return np.array([[pixel == "#" for pixel in row] for row in rows])


RING = drawn(".......", ".#####.", ".#...#.", ".#...#.", ".#####.", ".......")


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (drawn(".......", ".#####.", ".##..#.", ".#..##.", ".#####.", "......."), True),  # rough edges
        (drawn(".......", ".#####.", ".#####.", ".#####.", ".#####.", "......."), False),  # closed
        (drawn(".......", ".#####.", ".#....#", ".......", ".#####.", "......."), False),  # open to the ground
        (drawn(".......", ".#####.", ".#.#.#.", ".#.#.#.", ".#####.", "......."), False),  # divided
        (
            drawn("......#", ".#####.", ".#...#.", ".#...#.", ".#####.", "......."),
            True,
        ),  # its corner touches the border
        (np.zeros_like(RING), False),
    ],
)
def test_parts_of_two_prints(other: Bools, same: bool) -> None:
    assert same_topology(RING, RING)
    assert same_topology(RING, other) == same
    assert same_topology(other, RING) == same


def test_what_the_border_cuts_does_not_count() -> None:
    one, other = drawn("##..", "##..", "....", "...."), drawn("#...", "#...", "...#", "....")
    assert same_topology(one, other)


def test_a_good_pair_prints_every_via_twice_or_not_at_all() -> None:
    simulator = PairSimulator.compose(
        "pattern=routing", "pattern.via=1.0", "pattern.roughness=0.12", "defect=basic", "noise=low"
    )
    vias = 0
    for index in range(12):
        scene, reference = simulator.draw(0, 2, index, "good")
        pattern, view, margin = scene.pattern, scene.view, reference.margin
        assert isinstance(pattern, Shapes) and pattern.roughness.sigma > 0
        printed = reference.ground_phi(pattern, view)[margin:, margin:][: view.height, : view.width]
        assert same_topology(clean_phi(pattern, view) > 0, printed > 0)
        vias += len(pattern.cutouts)
    assert vias > 20
