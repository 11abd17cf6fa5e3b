"""The line/space pattern measures as its scene says."""

import numpy as np
import pytest

from sem_lightning.synthesis.field import FieldOfView, coverage
from sem_lightning.synthesis.patterns.line_space import Lines
from sem_lightning.synthesis.roughness import Roughness

VIEW = FieldOfView(256, 256, 1.0)


def make_lines(sigma: float = 0.0, xi: float = 20.0, **changes: float) -> Lines:
    numbers = {
        "pitch": 16.0,
        "cd": 7.3,
        "angle": 0.0,
        "phase": 3.7,
        "walk": 0.0,
        "taper": 0.0,
        "bend": 0.0,
        "bend_length": 100.0,
        "bend_phase": 0.0,
        "edge_correlation": 0.0,
        "key": 5,
    } | changes
    return Lines(roughness=Roughness(sigma, xi, 0.5), **numbers)  # type: ignore[arg-type]


def crossings(row: np.ndarray) -> np.ndarray:
    """Sub-pixel positions at which a row of phi changes its sign."""
    i = np.flatnonzero((row[:-1] > 0) != (row[1:] > 0))
    positions: np.ndarray = i + row[i] / (row[i] - row[i + 1])
    return positions


def test_smooth_lines_have_their_cd_and_pitch() -> None:
    edges = crossings(make_lines().phi(VIEW)[100])
    assert np.diff(edges[::2]) == pytest.approx(16.0, abs=1e-3)
    assert set(np.round(np.diff(edges), 2)) == {7.3, 8.7}


def test_pitch_walking_makes_spaces_alternate() -> None:
    edges = crossings(make_lines(walk=1.5).phi(VIEW)[100])
    assert sorted(set(np.round(np.diff(edges), 2))) == pytest.approx([8.7 - 1.5, 7.3, 8.7 + 1.5])


def test_tapered_lines_widen_downwards() -> None:
    phi = make_lines(taper=0.2).phi(VIEW)
    widths = [coverage(phi[row : row + 1], 1.0).mean() * 16 for row in (0, 128, 255)]
    assert widths == pytest.approx([7.3 * 0.8, 7.3, 7.3 * 1.2], abs=0.1)


def test_bent_lines_swing_together() -> None:
    phi = make_lines(bend=12.0, bend_length=200.0).phi(VIEW)
    middles = []
    for row in range(5, 250):
        left = np.flatnonzero((phi[row, :-1] <= 0) & (phi[row, 1:] > 0))
        edges = left + phi[row, left] / (phi[row, left] - phi[row, left + 1])
        middles.append(np.angle(np.mean(np.exp(2j * np.pi * edges / 16))) / (2 * np.pi) * 16)
    path = np.unwrap(middles, period=16)
    expected = 12 * np.sin(2 * np.pi * (np.arange(5, 250) - 127.5) / 200)
    assert np.std(path - path.mean() - (expected - expected.mean())) < 0.1


@pytest.mark.parametrize("kind", ["line", "space"])
@pytest.mark.parametrize(
    "changes", [{}, {"angle": 33.0}, {"walk": 1.5, "taper": 0.15}, {"bend": 10.0, "bend_length": 220.0}]
)
def test_sites_lie_in_the_middle_of_lines_and_spaces(kind: str, changes: dict[str, float]) -> None:
    lines = make_lines(**changes)
    phi = lines.phi(VIEW)
    rng = np.random.default_rng(0)
    for _ in range(50):
        site = lines.draw_site(rng, kind, VIEW)
        assert site is not None
        if VIEW.contains(site.x, site.y, 2.0):
            depth = phi[round(site.y + 127.5), round(site.x + 127.5)] * (1 if kind == "line" else -1)
            assert depth == pytest.approx(site.width / 2, abs=1.0)


@pytest.mark.parametrize("angle", [0.0, 17.0, 45.0, 90.0, -30.0])
def test_share_of_lines_is_the_duty_at_every_angle(angle: float) -> None:
    share = coverage(make_lines(angle=angle, cd=8.0).phi(VIEW), 1.0).mean()
    assert share == pytest.approx(0.5, abs=0.02)


def test_angle_turns_the_lines() -> None:
    upright = make_lines(sigma=1.0).phi(VIEW)
    lying = make_lines(sigma=1.0, angle=90.0).phi(VIEW)
    # at 90 degrees `across` runs down the image and `along` to the left
    assert np.allclose(lying, np.rot90(upright, k=-1), atol=0.02)


def test_distance_is_continuous_across_rough_lines() -> None:
    phi = make_lines(sigma=1.2, angle=20.0).phi(VIEW)
    assert np.abs(np.diff(phi, axis=1)).max() < 1.6
    assert np.abs(np.diff(phi, axis=0)).max() < 2.0


def test_measured_edges_have_the_roughness_that_was_asked_for() -> None:
    sigma, xi = 1.0, 15.0
    tall = FieldOfView(512, 128, 1.0)
    deviations = []
    for key in range(20):
        lines = make_lines(sigma=sigma, xi=xi, key=key)
        rows = [crossings(row) for row in lines.phi(tall)]
        for k in range(-3, 4):  # well inside the image
            for side in (-1, 1):
                nominal = lines.phase + k * lines.pitch + side * lines.cd / 2 + 63.5
                deviations.append([row[np.argmin(np.abs(row - nominal))] - nominal for row in rows])
    found = np.array(deviations)
    assert found.std() == pytest.approx(sigma, rel=0.04)
    for lag in (5, 15):
        correlation = np.mean(found[:, lag:] * found[:, :-lag]) / np.mean(found**2)
        assert correlation == pytest.approx(np.exp(-lag / xi), abs=0.06)


def test_pixel_size_changes_the_sampling_only() -> None:
    coarse = make_lines().phi(FieldOfView(64, 64, 2.0))
    fine = make_lines().phi(FieldOfView(128, 128, 1.0))
    between = fine.reshape(64, 2, 64, 2).mean(axis=(1, 3))
    assert np.abs(between - coarse).max() < 0.51  # the ridges in the middle of lines and spaces are cut
