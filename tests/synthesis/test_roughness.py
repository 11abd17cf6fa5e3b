"""Rough edges have the spectrum that was asked for."""

import numpy as np
import pytest

from sem_lightning.synthesis.field import FieldOfView
from sem_lightning.synthesis.roughness import Roughness


def draw(sigma: float = 1.0, xi: float = 20.0, hurst: float = 0.5, rho: float = 0.0, lines: int = 400) -> np.ndarray:
    return Roughness(sigma, xi, hurst).edges(0, lines, 512, 1.0, rho).astype(np.float64)


@pytest.mark.parametrize("sigma", [0.3, 1.0, 2.5])
def test_sigma(sigma: float) -> None:
    assert draw(sigma).std() == pytest.approx(sigma, rel=0.03)


@pytest.mark.parametrize("xi", [5.0, 15.0, 40.0])
def test_correlation_length(xi: float) -> None:
    # For H = 1/2 the spectrum is a Lorentzian, so the autocorrelation is exp(-distance / xi).
    edges = draw(xi=xi).reshape(-1, 512)
    lag = round(xi)
    correlation = np.mean(edges[:, lag:] * edges[:, :-lag]) / np.mean(edges**2)
    assert correlation == pytest.approx(np.exp(-lag / xi), abs=0.05)


def tail_slope(profiles: np.ndarray) -> float:
    spectrum = np.mean(np.abs(np.fft.rfft(profiles * np.hanning(512))) ** 2, axis=0)
    band = slice(40, 120)  # well above 1 / (2 pi xi)
    return float(np.polyfit(np.log(np.arange(257)[band]), np.log(spectrum[band]), 1)[0])


@pytest.mark.parametrize("hurst", [0.3, 0.8])
def test_spectrum_falls_with_the_roughness_exponent(hurst: float) -> None:
    assert tail_slope(draw(hurst=hurst).reshape(-1, 512)) == pytest.approx(-(1 + 2 * hurst), abs=0.15)


@pytest.mark.parametrize("hurst", [0.3, 0.8])
def test_a_cut_through_the_field_has_the_spectrum_of_an_edge(hurst: float) -> None:
    field = Roughness(1.5, 20.0, hurst).field(1, FieldOfView(512, 512, 1.0)).astype(np.float64)
    assert field.std() == pytest.approx(1.5, rel=0.1)  # one field, few correlation lengths wide
    for cut in (field, field.T):
        assert tail_slope(cut) == pytest.approx(-(1 + 2 * hurst), abs=0.2)


@pytest.mark.parametrize("rho", [-0.5, 0.0, 0.7])
def test_width_roughness_follows_the_correlation_of_the_edges(rho: float) -> None:
    edges = draw(rho=rho)
    assert np.std(edges[:, 1] - edges[:, 0]) == pytest.approx(np.sqrt(2 * (1 - rho)), rel=0.05)
    assert np.std(edges[:, 1]) == pytest.approx(1.0, rel=0.03)


def test_contours_close() -> None:
    profiles = Roughness(1.0, 8.0, 0.7).profiles(0, 200, 64, 1.0)
    inside, seam = profiles[:, 1:] - profiles[:, :-1], profiles[:, 0] - profiles[:, -1]
    assert seam.std() == pytest.approx(inside.std(), rel=0.15)
