"""Defects of lines and of holes in one mixture of patterns."""

import pytest

from sem_lightning.errors import SettingError
from sem_lightning.synthesis.simulator import Simulator

HOLES = ("+pattern@pattern.parts.holes=contact_hole", "pattern=mixed", "imaging.image_size=160")


def test_each_class_is_drawn_on_a_pattern_with_a_place_for_it() -> None:
    simulator = Simulator.compose(*HOLES, "defect=all")
    for label, pattern in (("missing", {"contact_hole"}), ("closed", {"contact_hole"})):
        assert {simulator.draw(0, 0, index, label).pattern.name for index in range(4)} == pattern
    assert "contact_hole" not in {simulator.draw(0, 0, index, "gap").pattern.name for index in range(12)}
    assert "contact_hole" in {simulator.draw(0, 0, index, "good").pattern.name for index in range(60)}


def test_a_class_without_any_pattern_is_refused() -> None:
    with pytest.raises(SettingError, match=r"defect.missing: the type missing needs a pattern with a place"):
        Simulator.compose("pattern=mixed", "defect=all")
