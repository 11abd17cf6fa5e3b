"""Which images can be judged: those that show a pattern, and no others."""

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from sem_lightning.io.gray_image import open_image
from sem_lightning.metrology.usability import (
    DEFOCUSED,
    FAULTS,
    NO_PATTERN,
    PARTLY_BLANK,
    SATURATED,
    TOO_SMALL,
    find_fault,
)
from sem_lightning.synthesis.field import Float32
from sem_lightning.synthesis.simulator import Simulator

sys.path.insert(0, str(Path(__file__).parents[1] / "reliability"))
from no_pattern_pictures import pictures

SHARED = Path(__file__).parents[3] / "shared"
EXPECTED = {
    "black": {NO_PATTERN},
    "white": {SATURATED},
    "grey": {NO_PATTERN},
    "tiny": {TOO_SMALL},
    "lower part blank": {PARTLY_BLANK},
    "upper part blank": {PARTLY_BLANK},
    "side blank": {PARTLY_BLANK},
    "last row repeated": {PARTLY_BLANK},
    "part dark noise": {PARTLY_BLANK},
    "column noise": {NO_PATTERN},
}


def simulate(*presets: str, index: int = 0) -> Float32:
    image = Simulator.compose(*presets).sample(index, seed=5, split=2).image
    return np.asarray(image / 255, np.float32)


def test_pictures_without_a_pattern_are_told() -> None:
    for kind, picture in pictures(seed=77, each=2):
        if kind == "data bar over nothing":
            continue  # cut off where a file is opened
        fault = find_fault(np.asarray(picture / 255, np.float32))
        assert fault in EXPECTED.get(kind, set(FAULTS)), kind


@pytest.mark.parametrize("pattern", ["line_space", "any_line_space", "contact_hole", "freeform", "maze", "routing"])
@pytest.mark.parametrize("noise", ["none", "typical", "high"])
def test_images_with_a_pattern_are_judged(pattern: str, noise: str) -> None:
    defect = ["defect=contact_hole"] if pattern == "contact_hole" else []
    assert find_fault(simulate(f"pattern={pattern}", f"noise={noise}", *defect, index=1)) is None


def test_a_fine_pattern_in_a_large_image_is_seen() -> None:
    """It is gone at a quarter of the size."""
    fine = simulate("imaging.image_size=512", "pattern.pitch=7", "noise=low")
    large = np.pad(fine, 256, mode="symmetric")
    assert find_fault(large) is None
    blurred = np.rint(cv2.GaussianBlur(large, (0, 0), 8) * 255) / 255
    assert find_fault(blurred.astype(np.float32)) is not None


def test_even_rows_of_a_drawing_are_no_blank_scan() -> None:
    drawing = np.full((128, 128), 0.6, np.float32)
    drawing[24:60, 20:100:12] = drawing[30:34, 20:100] = 0.3
    for image in (drawing, cv2.GaussianBlur(drawing, (0, 0), 2)):
        assert find_fault(np.asarray(image, np.float32)) is None
        assert find_fault(np.ascontiguousarray(image.T, np.float32)) is None
    noise = np.random.default_rng(0).normal(0, 0.02, (60, 128))
    drawing[:60] += noise.astype(np.float32)
    assert find_fault(drawing) == PARTLY_BLANK  # the same rows below others that were scanned


def test_white_lines_are_no_blank_columns() -> None:
    lines = np.where(np.arange(128) % 16 < 8, 1.0, 0.4) + np.random.default_rng(0).normal(0, 0.05, (128, 128))
    lines = np.where(np.arange(128) % 16 < 8, 1.0, cv2.GaussianBlur(lines, (0, 0), 0.5))
    assert find_fault(np.clip(lines, 0, 1).astype(np.float32)) is None


def test_a_dark_shape_at_the_border_is_part_of_the_pattern() -> None:
    """Its edge is as blurred as any other; the end of a signal is sudden."""
    image = np.full((128, 128), 0.7)
    image[:20] = image[40:90, 60:70] = 0.02
    noise = np.random.default_rng(0).normal(0, 0.01, image.shape)
    blurred = cv2.GaussianBlur(image, (0, 0), 2) + noise
    assert find_fault(np.clip(blurred, 0, 1).astype(np.float32)) is None
    image[:20] = 0.7
    image = cv2.GaussianBlur(image, (0, 0), 2)
    image[:20] = 0.02
    assert find_fault(np.clip(image + noise, 0, 1).astype(np.float32)) == PARTLY_BLANK


def test_a_pattern_under_column_noise_is_seen() -> None:
    columns = np.random.default_rng(0).normal(0, 0.06, (1, 256)).astype(np.float32)
    for pattern in ("pattern=routing", "pattern=line_space"):
        image = simulate("imaging.image_size=256", pattern, "noise=low")
        assert find_fault(np.clip(image + columns, 0, 1)) is None
    assert find_fault(np.clip(np.full((256, 256), 0.5, np.float32) + columns, 0, 1)) == NO_PATTERN


def test_enlarged_pixels_are_no_repeated_rows() -> None:
    image = simulate("pattern=routing", "noise=typical")
    assert find_fault(np.ascontiguousarray(np.kron(image, np.ones((3, 3))), np.float32)) is None


def test_large_shapes_are_seen_through_noise() -> None:
    image = np.full((128, 128), 0.6, np.float32)
    cv2.ellipse(image, (40, 30), (30, 20), 20, 0, 360, 0.3, -1)
    cv2.ellipse(image, (100, 100), (40, 22), 70, 0, 360, 0.3, -1)
    noise = np.random.default_rng(0).normal(0, 0.25, image.shape)
    assert find_fault(np.clip(cv2.GaussianBlur(image, (0, 0), 1.5) + noise, 0, 1).astype(np.float32)) is None


def test_an_empty_tile_beside_a_pattern_is_no_fault() -> None:
    rng = np.random.default_rng(0)
    field = rng.normal(0.4, 0.05, (768, 768)).astype(np.float32)
    field[:256, :256] = simulate("imaging.image_size=256", "noise=low")
    assert find_fault(np.clip(field, 0, 1)) is None


def test_blur_and_saturation_are_named() -> None:
    image = simulate("imaging.image_size=256", "pattern=routing", "noise=low")
    assert find_fault(np.asarray(cv2.GaussianBlur(image, (0, 0), 24), np.float32)) == DEFOCUSED
    white = np.clip(image * 255 + 255 - np.quantile(image * 255, 0.02), 0, 255)
    assert find_fault(np.asarray(np.rint(white) / 255, np.float32)) in (SATURATED, PARTLY_BLANK)


def test_brightness_and_depth_of_a_file_do_not_matter() -> None:
    """12 bits in a file of 16 use a sixteenth of the range."""
    image = simulate("pattern=routing", "noise=typical")
    assert find_fault(image) is None
    faint = np.asarray(np.rint(image * 4095) / 65535, np.float32)
    assert find_fault(faint) is None


@pytest.mark.parametrize("white", [255, 1023, 4095])
def test_a_file_that_uses_little_of_its_range_is_judged_by_what_it_uses(white: int) -> None:
    """8, 10 and 12 bits in a file of 16; a dark image of a few grey levels is none."""
    image = simulate("pattern=line_space", "noise=typical")
    assert find_fault(np.asarray(np.rint(image * white) / 65535, np.float32)) is None
    noise = np.random.default_rng(0).normal(0.4, 0.1, (128, 128)).clip(0, 1)
    assert find_fault(np.asarray(np.rint(noise * white) / 65535, np.float32)) is not None


def test_small_training_images_are_not_too_small() -> None:
    image = simulate("imaging.image_size=24", "pattern.pitch=8", "noise=low")
    assert find_fault(image) == TOO_SMALL
    assert find_fault(image, smallest=24) is None
    assert find_fault(np.zeros((24, 24), np.float32), smallest=24) == NO_PATTERN


@pytest.mark.skipif(not (SHARED / "cases/no_pattern").is_dir(), reason="the files are not part of the project")
def test_files_of_others() -> None:
    for path in sorted((SHARED / "cases/no_pattern").glob("*.png")):
        assert find_fault(open_image(path).pixels) is not None, path.name
    for path in [*(SHARED / "real_sem").glob("*.tif"), *(SHARED / "design_sem").glob("*_sem.png")]:
        assert find_fault(open_image(path).pixels) is None, path.name
