"""A selection of the kinds that `table.py` tries, in every run of the tests."""

import itertools
from collections.abc import Callable, Iterable

import checkpoints_kinds
import layouts_kinds
import pytest
import settings_kinds
from kind import Kind, table, try_kinds


@pytest.mark.parametrize(
    ("area", "kinds", "every", "fewest"),
    [
        ("checkpoints", checkpoints_kinds.kinds, 16, 60),
        ("layouts", layouts_kinds.kinds, 21, 40),
        ("settings", settings_kinds.kinds, 97, 150),
    ],
)
def test_some_of_the_kinds(area: str, kinds: Callable[[], Iterable[Kind]], every: int, fewest: int) -> None:
    known = list(kinds())
    assert len(known) >= fewest and len({kind.name for kind in known}) == len(known)
    outcomes = try_kinds(itertools.islice(known, 0, None, every))
    assert all(each.fault is None for each in outcomes), table({area: outcomes})
