"""Contact holes measure as their scene says."""

import cv2
import numpy as np
import pytest

from sem_lightning.synthesis.field import FieldOfView, coverage
from sem_lightning.synthesis.patterns.contact_hole import Holes
from sem_lightning.synthesis.roughness import Roughness

VIEW = FieldOfView(240, 240, 0.5)


def make_holes(sigma: float = 0.0, **changes: float) -> Holes:
    numbers = {
        "pitch": 20.0,
        "row_pitch": 22.0,
        "stagger": 0.0,
        "cd": 10.0,
        "ellipticity": 1.0,
        "ellipse_angle": 0.0,
        "angle": 0.0,
        "phase_across": 0.0,
        "phase_along": 0.0,
        "placement": 0.0,
        "key": 3,
    } | changes
    return Holes(roughness=Roughness(sigma, 6.0, 0.7), **numbers)  # type: ignore[arg-type]


def whole_holes(phi: np.ndarray) -> list[tuple[float, float, float]]:
    """x, y (nm from the middle) and area (nm2) of the holes that the border does not cut."""
    _, ids, stats, centres = cv2.connectedComponentsWithStats((phi > 0).astype(np.uint8))
    found = []
    for number in range(1, len(stats)):
        x, y, width, height, _ = stats[number]
        if x > 1 and y > 1 and x + width < 239 and y + height < 239:
            inside = cv2.dilate((ids == number).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
            area = float(coverage(phi, 0.5)[inside].sum()) * 0.25
            found.append((*((centres[number] - 119.5) * 0.5), area))
    return found


def test_round_holes_have_their_cd_and_their_places() -> None:
    holes = whole_holes(make_holes().phi(VIEW))
    assert len(holes) == 25
    for x, y, area in holes:
        assert np.sqrt(4 * area / np.pi) == pytest.approx(10, abs=0.05)
        assert x / 20 == pytest.approx(round(x / 20), abs=0.02) and y / 22 == pytest.approx(round(y / 22), abs=0.02)


def test_staggered_rows_lie_between() -> None:
    for x, y, _ in whole_holes(make_holes(stagger=0.5).phi(VIEW)):
        row = round(y / 22)
        assert x / 20 - 0.5 * (row % 2) == pytest.approx(round(x / 20 - 0.5 * (row % 2)), abs=0.02)


@pytest.mark.parametrize("angle", [0.0, 30.0])
def test_ellipses_keep_their_area_and_point_where_they_should(angle: float) -> None:
    phi = make_holes(ellipticity=1.5, ellipse_angle=angle).phi(VIEW)
    assert np.median([area for *_, area in whole_holes(phi)]) == pytest.approx(np.pi * 25, rel=0.02)
    y, x = np.mgrid[-19:20, -19:20]  # around the middle hole
    inside = phi[120 - 19 : 120 + 20, 120 - 19 : 120 + 20] > 0
    inside &= x**2 + y**2 < 18**2
    moments = np.cov(x[inside], y[inside])
    direction = np.degrees(0.5 * np.arctan2(2 * moments[0, 1], moments[0, 0] - moments[1, 1]))
    assert direction == pytest.approx(angle, abs=3)


def test_placement_error_and_roughness_have_their_sigma() -> None:
    errors, sizes = [], []
    for key in range(12):
        for x, y, _ in whole_holes(make_holes(placement=0.8, key=key).phi(VIEW)):
            errors += [x - 20 * round(x / 20), y - 22 * round(y / 22)]
        sizes += [area for *_, area in whole_holes(make_holes(sigma=0.4, key=key).phi(VIEW))]
    assert np.std(errors) == pytest.approx(0.8, rel=0.1)
    assert np.std(sizes) > 1 and np.mean(sizes) == pytest.approx(np.pi * 25, rel=0.03)


@pytest.mark.parametrize("stagger", [0.0, 0.5])
def test_sites_are_holes_and_the_walls_between(stagger: float) -> None:
    holes = make_holes(stagger=stagger, angle=12.0, placement=0.5)
    phi, rng = holes.phi(VIEW), np.random.default_rng(0)
    for kind in ("hole", "between_holes"):
        for _ in range(40):
            site = holes.draw_site(rng, kind, VIEW)
            assert site is not None
            if VIEW.contains(site.x, site.y, 2.0):
                depth = phi[round(site.y * 2 + 119.5), round(site.x * 2 + 119.5)]
                expected = site.width / 2 if kind == "hole" else -site.width / 2
                assert depth == pytest.approx(expected, abs=0.6)
