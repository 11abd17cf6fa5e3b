"""At what sizes an image is viewed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sem_lightning.inference.inversion import Inversion
from sem_lightning.inference.views import View, make_views


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
def test_only_the_second_view_enlarges(shape: tuple[int, int], taken: list[float]) -> None:
    views = make_views(np.zeros(shape, np.float32), 128, (1, 1.5, 2, 4))
    assert [view.scale for view in views] == taken
    assert [view.enlarged for view in views] == [view.image.size > shape[0] * shape[1] for view in views]
    second = 0.5 if shape[0] * shape[1] < 192**2 else 1
    weights = [part * scale**0.5 for part, scale in zip([1, second, 1, 1], taken, strict=False)]
    assert [view.weight for view in views] == pytest.approx(weights)


def test_the_inverted_image_is_viewed_and_the_image_itself_counts_half_beside_it() -> None:
    image = np.random.default_rng(0).random((80, 80), np.float32)
    usual, alone, both = (views_of(image, inversion) for inversion in Inversion)
    inverted, itself = both[:2], both[2:]
    for one, single, negative, other in zip(usual, alone, inverted, itself, strict=True):
        assert negative.image == pytest.approx(1 - one.image, abs=1e-6) and np.array_equal(one.image, other.image)
        assert np.array_equal(single.image, negative.image)
        assert one.scale == single.scale == negative.scale == other.scale
        assert one.weight == single.weight == negative.weight == 2 * other.weight


def views_of(image: np.ndarray, inversion: Inversion) -> list[View]:
    return make_views(image, 64, (1, 1.5), inversion)


@given(st.integers(32, 600), st.floats(0.3, 3), st.sampled_from([(1.0,), (1.0, 2.0), (1.0, 1.5, 3.0)]))
def test_every_view_has_its_pixels_and_the_images_aspect(side: int, aspect: float, scales: tuple[float, ...]) -> None:
    image = np.zeros((max(1, round(side * aspect**0.5)), max(1, round(side / aspect**0.5))), np.float32)
    views = make_views(image, 64, scales)
    assert views[0].scale == 1
    for each in views:
        scale, view = each.scale, each.image
        assert view.size == pytest.approx((64 * scale) ** 2, rel=0.05)
        assert view.shape[0] / view.shape[1] == pytest.approx(image.shape[0] / image.shape[1], rel=0.06)
        enlarged = 64 * scale / image.size**0.5
        assert scale == 1 or enlarged <= (1.5 if scale == scales[1] else 1)
