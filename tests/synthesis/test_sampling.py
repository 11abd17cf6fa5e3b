"""Fast random numbers follow the distributions they stand for."""

import math

import numpy as np
import pytest

from sem_lightning.synthesis.sampling import normal, poisson, random_words, uniform


def test_keys_and_streams_are_independent_and_repeat() -> None:
    first = random_words(1, 0, 10_000)
    assert np.array_equal(first, random_words(1, 0, 10_000))
    for key, stream in ((2, 0), (1, 1), (1 << 52, 0)):
        other = random_words(key, stream, 10_000)
        assert abs(np.corrcoef(first, other)[0, 1]) < 0.04
    assert np.array_equal(random_words(7, 3, 5), random_words(7, 3, 100)[:5])


def test_words_are_uniform() -> None:
    counts = np.bincount(random_words(3, 0, 1 << 20) >> 8, minlength=256)
    chi2 = float(np.sum((counts - 4096.0) ** 2 / 4096.0))
    assert 170 < chi2 < 360  # 255 degrees of freedom: 4.5 sigma either way


def test_normal_numbers_have_the_moments_of_a_normal_distribution() -> None:
    numbers = normal(5, 0, (2000, 1000)).astype(np.float64)
    assert numbers.mean() == pytest.approx(0, abs=0.003)
    assert numbers.var() == pytest.approx(1, abs=0.004)
    assert np.mean(numbers**3) == pytest.approx(0, abs=0.01)
    assert np.mean(numbers**4) == pytest.approx(3, abs=0.03)
    for z in (-3, -2, -1, 0, 1, 2, 3):
        expected = 0.5 * (1 + math.erf(z / math.sqrt(2)))
        assert np.mean(numbers < z) == pytest.approx(expected, abs=4 * math.sqrt(expected * (1 - expected) / 2e6))
    neighbours = np.corrcoef(numbers[:, :-1].ravel(), numbers[:, 1:].ravel())[0, 1]
    assert abs(neighbours) < 0.003


def test_uniform_numbers_stay_inside_the_unit_interval() -> None:
    numbers = uniform(1, 0, (1000, 1000))
    assert numbers.min() > 0 and numbers.max() < 1 and numbers.mean() == pytest.approx(0.5, abs=0.002)


@pytest.mark.parametrize("mean", [0.1, 1.0, 3.9, 4.1, 8.0, 30.0, 400.0])
def test_poisson_follows_the_true_distribution(mean: float) -> None:
    means = np.full(1_000_000, mean, np.float32)
    counts = poisson(normal(2, 0, means.shape), means, 2, 1).astype(int)
    k = np.arange(counts.max() + 1)
    exact = np.exp(k * math.log(mean) - mean - np.array([math.lgamma(i + 1) for i in k]))
    measured = np.bincount(counts) / len(counts)
    sampling = np.sqrt(exact / len(counts) / (2 * np.pi)).sum()  # what a perfect sampler would show
    assert 0.5 * np.abs(measured - exact).sum() < 0.003 + 1.2 * sampling
    assert counts.min() >= 0
