"""Clips of a user's own layout: the right shapes, at the right place, or a clear refusal."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from conftest import make_simulator
from layouts_kinds import make_bomb, make_cyclic

from sem_lightning.errors import SettingError
from sem_lightning.synthesis.field import coverage
from sem_lightning.synthesis.simulator import Scene, render

gdstk = pytest.importorskip("gdstk")


def write_chip(path: Path) -> Path:
    """A chip of 2 x 2 um: lines of 12 nm at a pitch of 24 nm in an array of cells, with an L at a known place."""
    library = gdstk.Library(unit=1e-6, precision=1e-9)
    line = library.new_cell("LINE")
    line.add(gdstk.rectangle((0, 0), (0.012, 0.8), layer=10))
    top = library.new_cell("TOP")
    top.add(gdstk.Reference(line, origin=(0, 0), columns=80, rows=1, spacing=(0.024, 1)))
    corner = [(1.0, 1.5), (1.06, 1.5), (1.06, 1.51), (1.01, 1.51), (1.01, 1.56), (1.0, 1.56)]
    top.add(gdstk.Polygon(corner, layer=10), gdstk.rectangle((0, 0), (2, 2), layer=99))
    top.add(gdstk.rectangle((1.99, 1.99), (2, 2), layer=10))
    library.write_gds(path) if path.suffix == ".gds" else library.write_oas(path)
    return path


@pytest.fixture(scope="module")
def chip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_chip(tmp_path_factory.mktemp("chip") / "chip.gds")


def layout(chip: Path, *overrides: str) -> tuple[str, ...]:
    return ("pattern=layout", f"pattern.file={chip}", "pattern.layer=10", *overrides)


@pytest.mark.parametrize("suffix", [".gds", ".oas"])
def test_a_given_window_shows_its_shapes_the_right_way_up(tmp_path: Path, suffix: str) -> None:
    chip = write_chip(tmp_path / f"chip{suffix}")
    simulator = make_simulator(
        *layout(chip, "pattern.windows=[[1030,1530]]", "pattern.corner=0", "pattern.roughness=0", "imaging=ideal")
    )
    phi = simulator.draw(0, 0, 0, "good").phi()
    area = coverage(phi, 1.0).sum()
    assert area == pytest.approx(60 * 10 + 50 * 10, rel=0.02)
    inside = np.argwhere(phi > 0)
    # the corner is at the lower left: rows run down, so its bar is in the lower half and its arm on the left
    assert inside[:, 0].max() == pytest.approx(64 + 30, abs=1) and inside[:, 1].min() == pytest.approx(64 - 30, abs=1)
    assert phi[64 + 25, 64 + 25] > 0 and phi[64 - 25, 64 - 25] > 0 and phi[64 - 25, 64 + 25] < 0


def test_random_windows_carry_defects_and_replay_without_the_file(chip: Path) -> None:
    simulator = make_simulator(*layout(chip, "pattern.windows=[[900,400]]"))
    for index, label in enumerate(("good", "gap", "bridge") * 3):
        scene = simulator.draw(0, 0, index, label)
        again = Scene.from_dict(scene.to_dict())
        assert render(again).image.tobytes() == render(scene).image.tobytes()
        assert bool(render(scene).mask.any()) == (label != "good")
    anywhere = make_simulator(*layout(chip))
    assert all((anywhere.draw(0, 0, index, "good").phi() > 0).any() for index in range(10))


@pytest.mark.parametrize(
    ("overrides", "key", "message"),
    [
        ("pattern.layer=11", "pattern.layer", "it has 10/0, 99/0"),
        ("pattern.datatype=3", "pattern.layer", "layer 10/3"),
        ("pattern.cell=NONE", "pattern.cell", "LINE, TOP"),
        ("pattern.windows=[[5000,0]]", "pattern.windows", "not inside the layer"),
        ("pattern.windows=[[1500,1800]]", "pattern.windows", "shows no polygon"),
        ("pattern.windows=7", "pattern.windows", "expected [[x, y], ...]"),
        ("imaging.image_size=4096", "pattern.file", "less than the field of view"),
        ("imaging.pixel_size=10", "pattern.file", "under 2 pixels"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(chip: Path, overrides: str, key: str, message: str) -> None:
    with pytest.raises(SettingError) as error:
        make_simulator(*layout(chip, overrides))
    assert error.value.key == key and message in error.value.reason


@pytest.mark.parametrize("content", [b"", b"GIF89a" * 50, b"\x00\x06\x00\x02\x02\x58\xff\xff\xff\xff garbage"])
def test_a_corrupt_file_is_refused(tmp_path: Path, content: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "chip.gds"
    path.write_bytes(content)
    with pytest.raises(SettingError) as error:
        make_simulator(*layout(path))
    assert error.value.key in ("pattern.file", "pattern.layer")


def test_a_truncated_file_is_refused(chip: Path, tmp_path: Path) -> None:
    path = tmp_path / "chip.gds"
    path.write_bytes(chip.read_bytes()[:200])
    with pytest.raises(SettingError) as error:
        make_simulator(*layout(path))
    assert error.value.key in ("pattern.file", "pattern.layer")


def test_abutting_polygons_have_no_seam(tmp_path: Path) -> None:
    library = gdstk.Library(unit=1e-6, precision=1e-9)
    top = library.new_cell("TOP")
    for column in range(10):
        for row in range(8):
            left, bottom = column * 0.04, row * 0.05
            top.add(gdstk.rectangle((left, bottom), (left + 0.02, bottom + 0.05), layer=10))
    path = tmp_path / "chip.gds"
    library.write_gds(path)
    for corner in (0, 2):
        simulator = make_simulator(*layout(path, f"pattern.corner={corner}", "pattern.roughness=0"))
        for index in range(5):
            phi = simulator.draw(0, 0, index, "good").phi()
            middle = phi[:, phi.mean(axis=0).argmax()]
            assert middle.min() > 7  # of 10 nm half width


def make_deep(path: Path) -> None:
    library = gdstk.Library()
    cells = [library.new_cell(f"C{i}") for i in range(3000)]
    cells[0].add(gdstk.rectangle((0, 0), (1, 1), layer=10))
    for below, above in pairwise(cells):
        above.add(gdstk.Reference(below))
    library.write_gds(path)


@pytest.mark.parametrize(
    ("make", "name", "message"),
    [
        (make_cyclic, "a.gds", "contain themselves"),
        (make_bomb, "a.oas", "36000000 polygons"),
        (make_deep, "a.gds", "do not fit into"),
    ],
)
def test_layouts_made_to_break_the_reader(
    tmp_path: Path, make: Callable[[Path], None], name: str, message: str
) -> None:
    make(tmp_path / name)
    with pytest.raises(SettingError, match=message):
        make_simulator(*layout(tmp_path / name))
