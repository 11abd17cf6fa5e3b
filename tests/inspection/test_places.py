"""Places and peaks of a difference."""

import numpy as np

from sem_lightning.inspection.places import find_peaks, find_places
from sem_lightning.synthesis.field import Float32


def bumps(*middles: tuple[int, int, float], side: int = 96, width: float = 3.0) -> Float32:
    y, x = np.mgrid[:side, :side]
    total = np.zeros((side, side))
    for column, row, height in middles:
        total += height * np.exp(-((x - column) ** 2 + (y - row) ** 2) / (2 * width**2))
    return total.astype(np.float32)


def test_peaks_lie_on_the_bumps_in_the_order_of_their_height() -> None:
    scores = bumps((30, 40, 6.0), (60, 20, -9.0), (80, 80, 3.0))
    peaks = find_peaks(scores, 3.5, 16)
    assert [peak.middle for peak in peaks] == [(60, 20), (30, 40)]
    assert [peak.brighter for peak in peaks] == [False, True]
    assert [round(peak.score) for peak in peaks] == [9, 6]
    assert 6 <= peaks[0].width <= 9  # the full width at half of its height, 2.35 standard deviations


def test_a_low_limit_joins_places_and_keeps_peaks_apart() -> None:
    scores = bumps((30, 40, 8.0), (44, 40, 7.0), width=5.0)
    assert len(find_places(scores, 3.5)) == 1
    assert [round(peak.middle[1]) for peak in find_peaks(scores, 3.5, 16)] == [40, 40]


def test_peaks_at_the_border_and_the_most_of_them() -> None:
    scores = bumps((0, 0, 9.0), (95, 95, 8.0), (0, 50, 7.0))
    first, second = find_peaks(scores, 3.5, 2)
    assert (first.x, first.y) == (0, 0) and first.width <= 5
    assert (second.x + second.width, second.y + second.height) == (96, 96)
    assert find_peaks(np.zeros((20, 20), np.float32), 3.5, 16) == ()


def test_boxes_that_share_a_pixel_overlap() -> None:
    one, other = find_peaks(bumps((30, 40, 8.0), (60, 40, 7.0)), 3.5, 16)
    assert one.overlaps(one) and not one.overlaps(other) and not other.overlaps(one)
    apart = other.x - (one.x + one.width)
    assert not one.overlaps(other, apart) and one.overlaps(other, apart + 1) and other.overlaps(one, apart + 1)
