"""Differences: noise, tone and focus are no places; what was planted is one, where it was planted."""

import cv2
import numpy as np
import pytest

from sem_lightning.inspection.brightness import match_brightness
from sem_lightning.inspection.difference import compare, least_log_odds, least_score
from sem_lightning.inspection.places import find_places
from sem_lightning.synthesis.field import Float32

SHOWN = np.ones((160, 160), bool)


def stripes(noise: float, seed: int, blur: float = 1.5) -> Float32:
    """Lines of a pitch of 20 pixels, with noise."""
    lines = ((np.arange(160) % 20) < 10).astype(np.float32)[None].repeat(160, axis=0) * 0.5 + 0.2
    rng = np.random.default_rng(seed)
    noisy = cv2.GaussianBlur(lines, (0, 0), blur) + rng.normal(0, noise, lines.shape)
    return np.clip(noisy, 0, 1).astype(np.float32)


def test_noise_alone_has_the_scores_of_a_normal_distribution() -> None:
    scores = compare(stripes(0.05, 1), stripes(0.05, 2), SHOWN)
    inside = scores[8:-8, 8:-8]
    assert 0.7 < float(np.std(inside)) < 1.5
    assert find_places(scores, 6.0) == ()


@pytest.mark.parametrize("sign", [1, -1])
def test_a_planted_spot_is_the_strongest_place(sign: int) -> None:
    image = stripes(0.05, 1)
    image[80:86, 63:69] += np.float32(0.3 * sign)
    (place, *others) = find_places(compare(np.clip(image, 0, 1), stripes(0.05, 2), SHOWN), 6.0)
    assert others == []
    assert place.brighter is (sign > 0)
    assert abs(place.middle[0] - 65.5) < 3 and abs(place.middle[1] - 82.5) < 3
    assert 4 <= place.width <= 20 and 4 <= place.height <= 20


@pytest.mark.parametrize("gamma", [0.6, 1.0, 1.5])
@pytest.mark.parametrize("gain", [0.5, 1.0])
def test_another_tone_curve_is_no_difference(gamma: float, gain: float) -> None:
    other = np.asarray(stripes(0.02, 2) ** gamma * gain + 0.1, np.float32)
    assert find_places(compare(stripes(0.02, 1), other, SHOWN), 6.0) == ()


@pytest.mark.parametrize("blurs", [(1.0, 2.5), (2.5, 1.0)])
def test_another_focus_is_no_difference(blurs: tuple[float, float]) -> None:
    image, reference = stripes(0.02, 1, blurs[0]), stripes(0.02, 2, blurs[1])
    assert find_places(compare(image, reference, SHOWN), 6.0) == ()


def test_thin_lines_count_in_the_tone_curve() -> None:
    reference = np.full((160, 160), 0.6, np.float32)
    reference[:, 80:83] = 0.3
    image = np.full((160, 160), 0.6, np.float32)
    image[:, 80:83] = 0.1
    assert match_brightness(reference, image, SHOWN) == pytest.approx(image, abs=0.01)


def test_nothing_is_compared_where_the_reference_shows_nothing() -> None:
    shown = SHOWN.copy()
    shown[:, :60] = False
    image = stripes(0.05, 1)
    image[80:86, 20:26] = 1
    scores = compare(image, stripes(0.05, 2), shown)
    assert not scores[:, :60].any() and find_places(scores, 6.0) == ()
    assert not compare(image, image, np.zeros_like(shown)).any()


def test_fewer_false_places_need_higher_scores() -> None:
    for least in (least_score, least_log_odds):
        limits = [least(false_places, 65_536) for false_places in (0.001, 0.01, 0.1, 1, 5)]
        assert limits == sorted(limits, reverse=True)
        assert least(0.1, 1e6) > least(0.1, 1e5)
