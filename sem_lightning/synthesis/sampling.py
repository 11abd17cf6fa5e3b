"""Random numbers for pixels, ten times as fast as NumPy's, each a function of a key.

A key seeds Doty-Humphrey's SFC64 generator; 16 of its bits choose one entry of a table of the inverse cumulative normal
distribution (65,536 quantiles, the middles of as many equally likely intervals: mean 0, variance 1 to 10^-4, largest
4.3). Poisson numbers come from these normal ones.
"""

import math
import threading
from statistics import NormalDist

import cv2
import numpy as np
import numpy.typing as npt

from sem_lightning.synthesis.field import Float32

# From this mean on the expansion in `poisson` is within 0.003 of the true distribution (total variation).
_EXPANSION_FROM = 4.0
_LARGEST_INVERTED = 24  # a mean of 4 exceeds it once in 10^12
_WORD = (1 << 64) - 1
_LEVELS = 1 << 16
_WARM_UP = 12
_KEYS = 1 << 53


def _normal_quantiles() -> Float32:
    places = (np.arange(_LEVELS // 2) + 0.5) / _LEVELS
    inverse = NormalDist().inv_cdf
    lower = np.array([inverse(place) for place in places])
    quantiles = np.concatenate([lower, -lower[::-1]])
    return np.asarray(quantiles / quantiles.std(), np.float32)


_NORMAL = _normal_quantiles().reshape(1, -1)


def draw_key(rng: np.random.Generator) -> int:
    """A seed for a later stream; below 2^53, so that JSON readers keep it exact."""
    return int(rng.random() * _KEYS)


class _Bits(threading.local):
    """One generator for each thread, set to the state of a key; ten times as fast as a new generator."""

    def __init__(self) -> None:
        self.generator = np.random.SFC64(0)
        self.state = self.generator.state


_BITS = _Bits()


def _mix(number: int) -> int:
    """SplitMix64's finaliser (Steele, Lea, Flood 2014)."""
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & _WORD
    return number ^ (number >> 31)


def random_words(key: int, stream: int, count: int) -> npt.NDArray[np.uint16]:
    """Independent 16-bit numbers that depend only on key and stream.

    Args:
        key: Seed, from 0.
        stream: Number of the key's stream; each effect has its own.
        count: Number of values.

    Returns:
        uint16 [count].
    """
    start = (key * 0x9E3779B97F4A7C15 + stream * 0xD1342543DE82EF95 + 1) & _WORD
    words = _BITS.state["state"]["state"]
    words[0], words[1], words[2], words[3] = _mix(start), _mix(start ^ 0x9E3779B97F4A7C15), start, 1
    _BITS.generator.state = _BITS.state
    # SFC64's seeding also discards its first numbers
    drawn: npt.NDArray[np.uint64] = _BITS.generator.random_raw(_WARM_UP - (-count // 4))
    return drawn.view(np.uint16)[4 * _WARM_UP : 4 * _WARM_UP + count]


def normal(key: int, stream: int, shape: tuple[int, ...]) -> Float32:
    """Standard normal numbers: float32 of that shape."""
    words = random_words(key, stream, math.prod(shape))
    return np.asarray(cv2.LUT(words, _NORMAL), np.float32).reshape(shape)


def uniform(key: int, stream: int, shape: tuple[int, ...]) -> Float32:
    """Uniform numbers in (0, 1), in steps of 2^-16: float32 of that shape."""
    words = random_words(key, stream, math.prod(shape))
    return ((words + np.float32(0.5)) * np.float32(1 / _LEVELS)).reshape(shape)


def poisson(z: Float32, mean: Float32, key: int, stream: int) -> Float32:
    """Poisson numbers from normal ones.

    For means above 4 the Cornish-Fisher expansion of the Poisson quantile with continuity correction turns a normal
    number ``z`` into ``mean + sqrt(mean) z + (z^2 - 1) / 6 - (z^3 + 2 z) / (72 sqrt(mean))`` (Johnson, Kemp and Kotz,
    Univariate Discrete Distributions, 4.6), rounded; mean and variance are within 0.03 and 0.2 %. Smaller means
    invert the distribution itself. Each number depends only on its mean and its position in the streams.

    Args:
        z: float32 normal numbers, any shape.
        mean: float32 of the same shape, not negative.
        key: Seed of the numbers for small means.
        stream: Number of their stream.

    Returns:
        float32 of the same shape, whole numbers.
    """
    # OpenCV's fused passes; the terms are those above, in an order that needs few of them. NumPy's clip takes half of
    # the time of its maximum with a scalar.
    least = float(mean.min(initial=math.inf))
    root = np.asarray(cv2.sqrt(mean), np.float32).reshape(mean.shape)
    square = np.asarray(cv2.multiply(z, z, scale=1 / 6), np.float32).reshape(mean.shape)
    # -(z^3 + 2 z) / (72 root) = -(z / root / 12) (square + 1/3); counts of means below 1 are replaced below
    divisor = root if least >= 1 else np.clip(root, 1, math.inf)
    last: Float32 = np.asarray(cv2.divide(z, divisor, scale=-1 / 12), np.float32).reshape(mean.shape)
    last *= square + np.float32(1 / 3)
    root *= z
    root += last
    root += square
    root += mean
    root -= np.float32(1 / 6)
    counts = np.rint(root, out=root)
    np.clip(counts, 0, math.inf, out=counts)
    if least < _EXPANSION_FROM:
        few = np.flatnonzero(mean < _EXPANSION_FROM)
        counts.flat[few] = _invert_poisson(uniform(key, stream, mean.shape).flat[few], mean.flat[few])
    return counts


def _invert_poisson(share: Float32, mean: Float32) -> Float32:
    """The smallest counts whose cumulative probability exceeds ``share``, for means below 4."""
    counts = np.zeros_like(mean)
    probability = np.exp(-mean)
    cumulative = probability.copy()
    for count in range(1, _LARGEST_INVERTED + 1):
        above = share >= cumulative
        if not above.any():
            break
        counts += above
        probability *= mean * np.float32(1 / count)
        cumulative += probability
    return counts
