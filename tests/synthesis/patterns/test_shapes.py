"""Places for defects on drawn shapes are those that a look at every single pixel finds."""

import numpy as np
import pytest
from conftest import make_simulator

from sem_lightning.synthesis.field import FieldOfView
from sem_lightning.synthesis.patterns.shapes import find_sites


def look_along(ray: np.ndarray) -> tuple[float, float] | None:
    """Pixels to the edge along a ray from inside, and the half width of what lies beyond; ``None`` at the border."""
    outside = np.flatnonzero(ray < 0)
    if len(outside) == 0:
        return None
    start = int(outside[0])
    again = np.flatnonzero(ray[start:] > 0)
    beyond = ray[start : start + int(again[0])] if len(again) else ray[start:]
    inner, outer = float(ray[start - 1]), float(ray[start])
    return start - 1 + inner / (inner - outer), float(-beyond.min())


def look_at_every_pixel(field: np.ndarray, pitch: float) -> list[tuple[float, float, float, float]]:
    """Row, column and width of the middles of what runs down, and the half width of what lies beside."""
    run = max(1, round(0.75 * pitch))
    found = []
    for row in range(run, field.shape[0] - run):
        line = field[row]
        for column in range(field.shape[1]):
            here = line[column]
            if not (here > 0 and here >= line[column - 1] and here > line[(column + 1) % len(line)]):
                continue
            if any(abs(field[row + step, column] - here) >= np.float32(0.3) * here for step in (-run, run)):
                continue
            left, right = look_along(line[column::-1]), look_along(line[column:])
            if left is not None and right is not None and left[0] + right[0] < 2.5 * pitch:
                near, far = left[0], right[0]
                found.append((float(row), column + (far - near) / 2, near + far, min(left[1], right[1])))
    return found


@pytest.mark.parametrize("kind", ["line", "space"])
@pytest.mark.parametrize("seed", range(6))
def test_sites_are_what_a_look_at_every_pixel_finds(seed: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    across = np.cos(np.arange(40) * rng.uniform(0.4, 1.2) + rng.uniform(0, 6)) * 4
    phi = (across + 0.3 * rng.standard_normal((31, 40))).round(1).astype(np.float32)  # exact zeros among them
    phi[5], phi[9, 3:20], phi[14, :30] = 2.0, 0.0, -1.0
    view = FieldOfView(31, 40, 1.0)
    sites = find_sites(phi, kind, 4.0, view)
    wanted = phi if kind == "line" else -phi
    down, level = (look_at_every_pixel(field, 4.0) for field in (wanted, wanted.T))
    expected = [(column - 19.5, row - 15.0, 0.0, width, width / 2 + reach) for row, column, width, reach in down]
    expected += [(row - 19.5, column - 15.0, 90.0, width, width / 2 + reach) for row, column, width, reach in level]
    assert len(sites) == len(expected) > 0
    assert sites.numbers.tolist() == [list(each) for each in expected]


@pytest.mark.parametrize(("angle", "size"), [(45.0, (60, 90)), (135.0, (90, 60))])
@pytest.mark.parametrize("kind", ["line", "space"])
def test_slanted_sites_lie_in_the_middle_of_slanted_lines(angle: float, size: tuple[int, int], kind: str) -> None:
    view = FieldOfView(*size, 2.0)
    across, _ = view.axes(3.0, -5.0, angle)
    phi = np.asarray(8 - np.abs((across + 500) % 24 - 12), np.float32)  # lines of 16 nm, spaces of 8
    assert not len(find_sites(phi, kind, 24.0, view))
    sites = find_sites(phi, kind, 24.0, view, oblique=True)
    assert len(sites) > 200
    for site in (sites[number] for number in range(len(sites))):
        there = view.axes(site.x, site.y, angle)[0]
        place = np.unravel_index(np.abs(there).argmin(), there.shape)
        from_middle = (across[place] - there[place] + 500) % 24 - (12 if kind == "line" else 0)
        assert site.angle == angle and abs((from_middle + 12) % 24 - 12) < 1.5
        assert site.width == pytest.approx(16 if kind == "line" else 8, abs=1.5) and view.contains(site.x, site.y)


def test_geometry_is_the_same_to_the_last_bit_wherever_its_arrays_lie() -> None:
    simulator = make_simulator("pattern=freeform", "imaging.image_size=192")
    elsewhere = []
    for index in range(8):
        scene = simulator.draw(0, 0, index, "good")
        first = scene.pattern.phi(scene.view).tobytes()
        for again in range(10):
            elsewhere.append(np.empty(997 * (again + 1) + index, np.uint8))
            assert scene.pattern.phi(scene.view).tobytes() == first


def test_an_image_without_edges_has_no_sites() -> None:
    view = FieldOfView(20, 30, 1.0)
    for level in (-1.0, 0.0, 1.0):
        for kind in ("line", "space"):
            assert not len(find_sites(np.full((20, 30), level, np.float32), kind, 4.0, view))
