"""Noise has the statistics of electrons and of the detector."""

import numpy as np
import pytest

from sem_lightning.synthesis.noise import Detection, count_electrons
from sem_lightning.synthesis.sampling import normal

QUIET = {
    "dose": None,
    "frames": 1,
    "gaussian": 0.0,
    "salt_pepper": 0.0,
    "contrast": 1.0,
    "brightness": 0.0,
    "gamma": 1.0,
    "bits": 8,
    "key": 1,
}

PAIRS = ((np.s_[:, 1:], np.s_[:, :-1]), (np.s_[1:], np.s_[:-1]))  # pixels and their neighbours, along and across


def detect(grey: float, **changes: float) -> np.ndarray:
    flat = np.full((512, 512), grey, np.float32)
    return Detection(**(QUIET | changes)).render(flat)  # type: ignore[arg-type]


@pytest.mark.parametrize("dose", [5.0, 50.0, 500.0])
@pytest.mark.parametrize("brightness", [0.1, 0.5, 1.0])
def test_photon_noise_has_variance_mean_over_dose(dose: float, brightness: float) -> None:
    flat = np.full((512, 512), brightness, np.float32)
    image = count_electrons(flat, dose, normal(3, 0, flat.shape), 3).astype(np.float64)
    assert image.mean() == pytest.approx(brightness, rel=0.01)
    assert image.var() == pytest.approx(brightness / dose, rel=0.02)


def test_no_dose_means_no_photon_noise() -> None:
    assert detect(0.4).std() == 0


def test_gaussian_noise_has_its_sigma() -> None:
    assert detect(0.5, gaussian=0.05).astype(float).std() == pytest.approx(0.05 * 255, rel=0.01)


def test_salt_and_pepper_hit_their_share_of_pixels_half_white_half_black() -> None:
    image = detect(0.5, salt_pepper=0.02)
    white, black = np.mean(image == 255), np.mean(image == 0)
    assert white == pytest.approx(0.01, rel=0.1) and black == pytest.approx(0.01, rel=0.1)


def test_contrast_turns_around_mid_grey_and_brightness_shifts() -> None:
    assert detect(0.6, contrast=1.5)[0, 0] == round(255 * 0.65)
    assert detect(0.6, brightness=-0.1)[0, 0] == round(255 * 0.5)
    assert detect(0.9, contrast=2.0)[0, 0] == 255


def test_frames_average_the_noise_away() -> None:
    for changes in ({"dose": 40.0}, {"gaussian": 0.08}):
        one, sixteen = (detect(0.5, bits=16, frames=frames, **changes).astype(float) for frames in (1, 16))
        assert one.std() / sixteen.std() == pytest.approx(4, rel=0.02)


def test_gamma_bends_the_response_between_black_and_white() -> None:
    assert detect(0.25, gamma=0.5)[0, 0] == round(255 * 0.5)
    assert detect(1.0, gamma=0.5)[0, 0] == 255 and detect(0.0, gamma=0.5)[0, 0] == 0


def test_the_detector_smears_electrons_along_the_scan_line_alone() -> None:
    sharp, image = (detect(0.5, dose=100.0, bits=16, smear=smear).astype(float) - 32768 for smear in (0.0, 0.7))
    along, across = (np.mean(image[a] * image[b]) / image.var() for a, b in PAIRS)
    weights = np.exp(-(np.arange(-3, 4) ** 2) / (2 * 0.7**2))
    weights /= weights.sum()
    assert along == pytest.approx(weights[1:] @ weights[:-1] / (weights @ weights), abs=0.02)
    assert abs(across) < 0.01
    assert image.var() / sharp.var() == pytest.approx(weights @ weights, rel=0.03)


def test_sixteen_bits_resolve_what_eight_round_away() -> None:
    fine = detect(0.50007, bits=16)
    assert fine.dtype == np.uint16 and fine[0, 0] == round(65535 * 0.50007)
    assert detect(1.2, bits=16).max() == 65535


def test_a_change_in_one_place_leaves_the_noise_elsewhere() -> None:
    flat = np.full((64, 64), 0.3, np.float32)
    changed = flat.copy()
    changed[:8] = 0.9
    detection = Detection(**(QUIET | {"dose": 12.0, "gaussian": 0.02}))  # type: ignore[arg-type]
    assert np.array_equal(detection.render(flat)[8:], detection.render(changed)[8:])
    assert not np.array_equal(detection.render(flat)[:8], detection.render(changed)[:8])
