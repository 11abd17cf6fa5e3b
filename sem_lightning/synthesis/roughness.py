"""Roughness with a given spectrum.

The power spectral density is that of Palasantzas, Phys. Rev. B 48, 14472 (1993):
``PSD(f) ~ sigma^2 * 2 xi / (1 + (2 pi f xi)^2)^(1/2 + H)``. Edges are synthesised in Fourier space: Gaussian
amplitudes of that variance, transformed back (Thorsos, J. Acoust. Soc. Am. 83, 78 (1988)).
"""

import functools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sem_lightning.synthesis.field import FieldOfView, Float32
from sem_lightning.synthesis.ranges import Range, Settings, ranged
from sem_lightning.synthesis.sampling import normal

_MAX_PERIOD = 1 << 15


@dataclass(frozen=True)
class Roughness:
    """The statistics of rough edges, with all numbers drawn.

    Attributes:
        sigma: Standard deviation of one edge, nm (fabs quote 3 sigma).
        correlation_length: xi, nm.
        hurst: Roughness exponent H, in (0, 1].
    """

    sigma: float
    correlation_length: float
    hurst: float

    def profiles(self, key: int, count: int, length: int, step: float) -> Float32:
        """Independent displacements along closed contours, each periodic over its length.

        Args:
            key: Seed.
            count: Number of profiles.
            length: Samples of each, even.
            step: Distance between samples, nm.

        Returns:
            float32 [count, length], nm.
        """
        amplitude = self._amplitudes(length, step)
        parts = normal(key, 0, (count, 2 * len(amplitude)))
        spectrum = parts.view(np.complex64) * (amplitude * np.float32(self.sigma))
        return np.asarray(np.fft.irfft(spectrum, n=length), np.float32)

    def edges(self, key: int, lines: int, length: int, step: float, edge_correlation: float) -> Float32:
        """Displacements of both edges of some lines from their straight positions.

        Args:
            key: Seed.
            lines: Number of lines.
            length: Samples along each edge.
            step: Distance between samples, nm.
            edge_correlation: rho between the two edges of a line: ``sigma_LWR^2 = 2 sigma^2 (1 - rho)``.

        Returns:
            float32 [lines, 2, length], nm: left and right edge, both positive towards larger coordinates.
        """
        # The transform is periodic; a margin of four correlation lengths makes the ends independent.
        period = _fast_length(length + 4 * self.correlation_length / step)
        edges = self.profiles(key, 2 * lines, period, step)[:, :length].reshape(lines, 2, length)
        edges[:, 1] *= np.float32(np.sqrt(1 - edge_correlation**2))
        edges[:, 1] += np.float32(edge_correlation) * edges[:, 0]
        return edges

    def field(self, key: int, view: FieldOfView) -> Float32:
        """A displacement for every pixel; along any straight edge it has the spectrum of this roughness.

        A cut through a field of spectral density ``1 / (1 + (2 pi f xi)^2)^(1 + H)`` in two dimensions has the
        Palasantzas density in one: integrate over the other frequency.

        Returns:
            float32 [H, W], nm.
        """
        height, width = (
            _fast_length(min(n + 4 * self.correlation_length / view.pixel_size, 3 * n)) for n in view.shape
        )
        across = np.fft.rfftfreq(width, view.pixel_size)
        along = np.fft.fftfreq(height, view.pixel_size)[:, None]
        density = (1 + (2 * np.pi * self.correlation_length) ** 2 * (across**2 + along**2)) ** (-1 - self.hurst)
        weight = np.full(density.shape, 2.0)
        weight[:, 0] = weight[:, -1] = 1.0
        amplitude = np.sqrt(density / np.sum(weight * density)) * (height * width * self.sigma / np.sqrt(2))
        parts = normal(key, 0, (height, 2 * len(across))).view(np.complex64)
        field = np.fft.irfft2(parts * np.asarray(amplitude, np.float32), s=(height, width))
        return np.ascontiguousarray(field[: view.height, : view.width], np.float32)

    def _amplitudes(self, period: int, step: float) -> Float32:
        """Standard deviation of the parts of each Fourier coefficient, for a unit sigma."""
        turns, weight = _frequencies(period, step)
        density = (1 + (turns * self.correlation_length) ** 2) ** (-0.5 - self.hurst)
        variance = density / np.add.reduce(weight * density)
        # irfft divides by the period; a complex coefficient shares its variance between two parts.
        return np.asarray(period * np.sqrt(variance / weight), np.float32)


@functools.lru_cache(maxsize=64)
def _frequencies(period: int, step: float) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """2 pi f of each Fourier coefficient, 1/nm, and the number of frequencies it represents; read-only."""
    turns = np.asarray(2 * np.pi * np.fft.rfftfreq(period, step), np.float64)
    weight = np.full(len(turns), 2.0)  # every coefficient represents a frequency and its negative ...
    weight[0] = weight[-1] = 1.0  # ... except the mean and the Nyquist frequency, which are real
    turns.flags.writeable = weight.flags.writeable = False
    return turns, weight


def _fast_length(number: float) -> int:
    """The next even number for a fast Fourier transform, with a limit of 32,768."""
    least = min(number, _MAX_PERIOD)
    power = 1 << max(1, math.ceil(math.log2(max(least, 2) / 5)))
    return next(n for n in (power * 5 // 2, power * 3, power * 4, power * 5) if n >= least and n % 2 == 0)


@dataclass
class RoughnessSettings(Settings):
    """The keys of every rough pattern."""

    correlation_length: Range = ranged("nm", low=0, above=True, log=True, why="roughness of no length is pixel noise")
    hurst: Range = ranged("", low=0, above=True, high=1, why="a roughness exponent lies between jagged and smooth")

    def draw_roughness(self, rng: np.random.Generator, sigma: float) -> Roughness:
        """Draw the roughness of one pattern."""
        return Roughness(sigma, self.draw_value(rng, "correlation_length"), self.draw_value(rng, "hurst"))
