"""At what sizes an image is looked at."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sem_lightning.inference.views import Looks


@pytest.mark.parametrize(
    ("shape", "taken"),
    [
        ((60, 60), [1]),
        ((128, 128), [1, 1.5]),  # enlarged by half
        ((127, 127), [1]),
        ((211, 211), [1, 1.5]),
        ((255, 255), [1, 1.5, 255 / 128]),  # as it is
        ((256, 256), [1, 1.5, 2]),
        ((281, 281), [1, 1.5, 2]),
        ((480, 480), [1, 1.5, 2, 3.75]),  # as it is
        ((500, 520), [1, 1.5, 2, 509 / 128]),
        ((256, 1024), [1, 1.5, 2, 4]),
        ((2000, 2000), [1, 1.5, 2, 4]),
    ],
)
def test_only_the_second_look_enlarges(shape: tuple[int, int], taken: list[float]) -> None:
    looks = Looks(128, (1, 1.5, 2, 4)).of(np.zeros(shape, np.float32))
    assert [look.times for look in looks] == taken
    second = 0.5 if shape[0] * shape[1] < 192**2 else 1
    weights = [part * times**0.5 for part, times in zip([1, second, 1, 1], taken, strict=False)]
    assert [look.weight for look in looks] == pytest.approx(weights)


def test_a_negative_is_looked_at_and_the_image_itself_counts_half_beside_it() -> None:
    image = np.random.default_rng(0).random((80, 80), np.float32)
    usual, both = (Looks(64, (1, 1.5), negative).of(image) for negative in (False, True))
    negatives, itself = both[:2], both[2:]
    for one, negative, other in zip(usual, negatives, itself, strict=True):
        assert negative.image == pytest.approx(1 - one.image, abs=1e-6) and np.array_equal(one.image, other.image)
        assert one.times == negative.times == other.times
        assert one.weight == negative.weight == 2 * other.weight


@given(st.integers(32, 600), st.floats(0.3, 3), st.sampled_from([(1.0,), (1.0, 2.0), (1.0, 1.5, 3.0)]))
def test_every_look_has_its_pixels_and_the_images_aspect(side: int, aspect: float, scales: tuple[float, ...]) -> None:
    image = np.zeros((max(1, round(side * aspect**0.5)), max(1, round(side / aspect**0.5))), np.float32)
    looks = Looks(64, scales).of(image)
    assert looks[0].times == 1
    for each in looks:
        scale, look = each.times, each.image
        assert look.size == pytest.approx((64 * scale) ** 2, rel=0.05)
        assert look.shape[0] / look.shape[1] == pytest.approx(image.shape[0] / image.shape[1], rel=0.06)
        enlarged = 64 * scale / image.size**0.5
        assert scale == 1 or enlarged <= (1.5 if scale == scales[1] else 1)
