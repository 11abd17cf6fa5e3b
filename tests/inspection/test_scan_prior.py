"""What a pattern does not tell of a transform follows from what scans do."""

import cv2
import numpy as np

from sem_lightning.inspection.levels import Level
from sem_lightning.inspection.scan_prior import with_scan_prior

TRUE = np.array([[1.01, 0.0, 3.0], [0.0, 1.01, -2.0]])


def shear_of(matrix: np.ndarray) -> float:
    return float(matrix[0, 1] + matrix[1, 0])


def pair_of(reference: np.ndarray, matrix: np.ndarray) -> Level:
    """An image that shows the reference as a transform says, with noise of its own."""
    rng = np.random.default_rng(5)
    image = cv2.warpAffine(reference, matrix, reference.shape[::-1], flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    noisy = [(each + rng.normal(0, 0.1, each.shape)).astype(np.float32) for each in (image, reference)]
    return Level.of(noisy[0], noisy[1], 2.0, None)


def test_shear_along_lines_is_taken_back_and_the_rest_stays() -> None:
    rows = np.arange(256, dtype=np.float32)[:, None]
    lines = np.broadcast_to(0.5 + 0.4 * np.sin(rows / 4), (256, 256)).astype(np.float32)
    slid = TRUE.copy()
    slid[0, :2] += (0.02, 0.03)  # lines along x look the same wherever their columns lie
    found = with_scan_prior(pair_of(lines, TRUE), slid)
    assert abs(shear_of(found)) < 0.003 < 0.03 == shear_of(slid)
    assert abs(found[0, 0] - found[1, 1]) < 0.003
    assert np.abs(found[1] @ [127, 127, 1] - TRUE[1] @ [127, 127, 1]) < 0.05


def test_shear_that_the_pattern_shows_stays() -> None:
    blobs = cv2.GaussianBlur(np.random.default_rng(1).random((256, 256), dtype=np.float32), (0, 0), 4)
    blobs = (blobs - blobs.min()) / np.ptp(blobs)
    sheared = TRUE + np.array([[0, 0.02, 0], [0, 0, 0]])
    found = with_scan_prior(pair_of(blobs, sheared), sheared)
    assert abs(shear_of(found) - 0.02) < 0.004


def test_nothing_to_see_changes_nothing() -> None:
    flat = np.full((64, 64), 0.5, np.float32)
    assert np.array_equal(with_scan_prior(Level.of(flat, flat, 2.0, None), TRUE), TRUE)
