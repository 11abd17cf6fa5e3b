"""Rough edges have the spectrum that was asked for."""

import numpy as np
import pytest

from sem_lightning.synthesis.roughness import rough_edges


def draw(sigma: float = 1.0, xi: float = 20.0, hurst: float = 0.5, rho: float = 0.0, lines: int = 400) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rough_edges(rng, lines, 512, 1.0, sigma, xi, hurst, rho).astype(np.float64)


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


def test_spectrum_falls_with_the_roughness_exponent() -> None:
    def tail_slope(hurst: float) -> float:
        spectrum = np.mean(np.abs(np.fft.rfft(draw(hurst=hurst).reshape(-1, 512) * np.hanning(512))) ** 2, axis=0)
        band = slice(40, 120)  # well above 1 / (2 pi xi)
        return float(np.polyfit(np.log(np.arange(257)[band]), np.log(spectrum[band]), 1)[0])

    for hurst in (0.3, 0.8):
        assert tail_slope(hurst) == pytest.approx(-(1 + 2 * hurst), abs=0.15)


@pytest.mark.parametrize("rho", [-0.5, 0.0, 0.7])
def test_width_roughness_follows_the_correlation_of_the_edges(rho: float) -> None:
    edges = draw(rho=rho)
    assert np.std(edges[:, 1] - edges[:, 0]) == pytest.approx(np.sqrt(2 * (1 - rho)), rel=0.05)
    assert np.std(edges[:, 1]) == pytest.approx(1.0, rel=0.03)
