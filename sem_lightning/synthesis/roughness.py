"""Line-edge roughness with a given spectrum.

The power spectral density is that of Palasantzas, Phys. Rev. B 48, 14472 (1993):
``PSD(f) ~ sigma^2 * 2 xi / (1 + (2 pi f xi)^2)^(1/2 + H)``. Edges are synthesised in Fourier space: Gaussian
amplitudes of that variance, transformed back (Thorsos, J. Acoust. Soc. Am. 83, 78 (1988)).
"""

import numpy as np

from sem_lightning.synthesis.field import Float32


def rough_edges(
    rng: np.random.Generator,
    lines: int,
    length: int,
    step: float,
    sigma: float,
    correlation_length: float,
    hurst: float,
    edge_correlation: float,
) -> Float32:
    """Displacements of both edges of some lines from their straight positions.

    Args:
        rng: Source of the edges.
        lines: Number of lines.
        length: Samples along each edge.
        step: Distance between samples, nm.
        sigma: Standard deviation of one edge, nm (fabs quote 3 sigma).
        correlation_length: xi, nm.
        hurst: Roughness exponent H, in (0, 1].
        edge_correlation: rho between the two edges of a line: ``sigma_LWR^2 = 2 sigma^2 (1 - rho)``.

    Returns:
        float32 [lines, 2, length], nm: left and right edge, both positive towards larger coordinates.
    """
    # The transform is periodic: a margin of four correlation lengths keeps one end from knowing the other.
    period = 1 << int(np.ceil(np.log2(length + 4 * correlation_length / step)))
    amplitude = _amplitudes(period, step, correlation_length, hurst)
    parts = rng.standard_normal((lines, 2, 2 * len(amplitude)), dtype=np.float32)
    spectrum = parts.view(np.complex64) * (amplitude * np.float32(sigma))
    edges = np.asarray(np.fft.irfft(spectrum, n=period)[..., :length], np.float32)
    edges[:, 1] *= np.float32(np.sqrt(1 - edge_correlation**2))
    edges[:, 1] += np.float32(edge_correlation) * edges[:, 0]
    return edges


def _amplitudes(period: int, step: float, correlation_length: float, hurst: float) -> Float32:
    """Standard deviation of each Fourier coefficient, for a unit sigma."""
    frequency = np.fft.rfftfreq(period, step)
    density = (1 + (2 * np.pi * frequency * correlation_length) ** 2) ** (-0.5 - hurst)
    weight = np.full(len(density), 2.0)  # every frequency stands for itself and its negative ...
    weight[0] = weight[-1] = 1.0  # ... but for the mean and the Nyquist frequency, which are real
    variance = density / np.sum(weight * density)
    # irfft divides by the period; a complex coefficient shares its variance between two parts.
    return np.asarray(period * np.sqrt(variance / weight), np.float32)
