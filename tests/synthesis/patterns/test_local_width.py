"""The pitch of a layout comes from the wires, however a program has cut, merged or inverted them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import make_simulator
from hypothesis import given
from hypothesis import strategies as st

from sem_lightning.synthesis.patterns.layout import read_chip
from sem_lightning.synthesis.patterns.local_width import local_widths

gdstk = pytest.importorskip("gdstk")


def lines() -> list[Any]:
    """Twenty wires of 20 nm at a pitch of 40 nm, um."""
    return [gdstk.rectangle((0.04 * i, 0), (0.04 * i + 0.02, 1.5)) for i in range(20)]


def comb() -> list[Any]:
    return list(gdstk.boolean([*lines(), gdstk.rectangle((0, 0), (0.78, 0.02))], [], "or", precision=1e-5))


def mesh() -> list[Any]:
    bars = [gdstk.rectangle((0, 0.3 * i), (0.78, 0.3 * i + 0.02)) for i in range(6)]
    return list(gdstk.boolean([*lines(), *bars], [], "or", precision=1e-5))


def inverse() -> list[Any]:
    return list(gdstk.boolean(gdstk.rectangle((-0.3, -0.3), (1.08, 1.8)), lines(), "not", precision=1e-5))


def framed_by_strips() -> list[Any]:
    spaces = [gdstk.rectangle((0.04 * i + 0.02, 0), (0.04 * i + 0.04, 1.5)) for i in range(19)]
    return list(gdstk.boolean([*spaces, gdstk.rectangle((-0.3, 1.5), (1.08, 1.8))], [], "or", precision=1e-5))


def path(*points: tuple[float, float], ends: str = "flush") -> list[Any]:
    return [
        each
        for i in range(8)
        for each in gdstk.FlexPath([(x + i, y) for x, y in points], 0.02, ends=ends).to_polygons()
    ]


def elbows() -> list[Any]:
    return [
        gdstk.Polygon([(s, s), (s + 0.9, s), (s + 0.9, s + 0.02), (s + 0.02, s + 0.02), (s + 0.02, 1.5), (s, 1.5)])
        for s in (0.04 * i for i in range(12))
    ]


def serpentine() -> list[Any]:
    points = [(0.04 * (i // 2), 1.2 * ((i + 1) // 2 % 2)) for i in range(40)]
    return list(gdstk.FlexPath(points, 0.02).to_polygons())


@pytest.mark.parametrize(
    ("make", "within"),
    [
        (lines, 0),
        (comb, 0.01),
        (mesh, 0.01),
        (inverse, 0.01),
        (framed_by_strips, 0.01),
        (elbows, 0.01),
        (serpentine, 0.01),
        (lambda: path((0, 0), (1, 1)), 0.01),
        (lambda: path((0, 0), (0.5, 0), (0.8, 0.3), (0.8, 1.2)), 0.01),
        (lambda: path((0, 0), (0, 1.2), ends="round"), 0.05),
        (lambda: [each.rotate(0.3) for each in lines()], 0.01),
        (lambda: [gdstk.regular_polygon((0.1 * i, 0.1), 0.02 / (1 + 2**0.5), 8) for i in range(9)], 0.01),
        (lambda: [each.copy().mirror((0, 1)) for each in elbows()], 0.01),
    ],
    ids=["lines", "comb", "mesh", "inverse", "strips", "elbows", "serpentine", "oblique", "bent", "round", "turned",
         "octagons", "mirrored"],
)  # fmt: skip
def test_a_pitch_of_40_is_40(tmp_path: Path, make: Callable[[], list[Any]], within: float) -> None:
    library = gdstk.Library(unit=1e-6, precision=1e-12)
    library.new_cell("TOP").add(*make())
    library.write_gds(tmp_path / "a.gds")
    assert read_chip(str(tmp_path / "a.gds"), 0, 0, None).pitch == pytest.approx(40, rel=within or 1e-12)


@pytest.mark.parametrize("make", [comb, inverse, elbows])
def test_defects_find_their_places(tmp_path: Path, make: Callable[[], list[Any]]) -> None:
    library = gdstk.Library(unit=1e-6, precision=1e-9)
    library.new_cell("TOP").add(*make())
    library.write_gds(tmp_path / "a.gds")
    simulator = make_simulator(
        "pattern=layout", f"pattern.file={tmp_path / 'a.gds'}", "pattern.layer=0", "pattern.windows=[[400,700]]"
    )
    for index, label in enumerate(("gap", "bridge")):
        assert simulator.draw(0, 0, index, label).defects


@given(st.lists(st.tuples(*[st.floats(0.1, 1e5)] * 4), min_size=1, max_size=20))
def test_rectangles_keep_their_shorter_side(boxes: list[tuple[float, float, float, float]]) -> None:
    polygons = [np.array([(x, y), (x + w, y), (x + w, y + h), (x, y + h)]) for x, y, w, h in boxes]
    shorter = [np.ptp(points, axis=0).min() for points in polygons]
    assert local_widths(polygons).tolist() == shorter


def test_polygons_without_area_and_large_ones() -> None:
    flat = np.array([(0.0, 0), (5, 0), (9, 0)])
    angle = np.linspace(0, 2 * np.pi, 40_000, endpoint=False)
    round_one = np.stack([100 * np.cos(angle), 100 * np.sin(angle)], axis=1)
    assert local_widths([flat, round_one]) == pytest.approx([0, 200], rel=1e-3)
    many = [np.array([(0.0, 0), (30, 0), (30, 7), (9, 7), (9, 30), (0, 30)])] * 5000
    assert local_widths(many) == pytest.approx([8] * 5000, abs=1.1)
