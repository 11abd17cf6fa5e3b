"""What images tell about whether their wires are bright or dark."""

import cv2
import numpy as np
import pytest
from conftest import make_simulator

from sem_lightning.metrology.pattern_family import wire_end_balance
from sem_lightning.metrology.polarity_estimate import bright_pieces, polarity_of_ends
from sem_lightning.synthesis.field import Float32
from sem_lightning.synthesis.simulator import render

# hardly brighter than their spaces, with broad rims
RIMS = ("imaging.image_size=256", "imaging.contrast=0.1", "imaging.bloom=0.3", "imaging.bloom_inside=[4,6]",
        "imaging.bloom_outside=[4,6]", "defect=basic")  # fmt: skip


def draw(*rectangles: tuple[int, int, int, int], size: int = 128) -> Float32:
    """Bright rectangles (left, top, right, bottom) on dark ground, blurred, noisy, brighter towards the bottom."""
    image = np.full((size, size), 0.3, np.float32)
    for left, top, right, bottom in rectangles:
        image[top:bottom, left:right] = 0.6
    image = cv2.GaussianBlur(image, (0, 0), 1) + np.linspace(0, 0.2, size, dtype=np.float32)[:, None]
    noise = np.random.default_rng(4).normal(0, 0.04, image.shape)
    return np.asarray(image + noise, np.float32)


@pytest.mark.parametrize(
    ("rectangles", "pieces"),
    [
        ([(20, -9, 40, 200), (60, -9, 80, 200), (100, -9, 120, 200)], 0.0),  # lines across the image
        ([(20, 30, 40, 200), (60, -9, 80, 200), (100, -9, 120, 200)], 0.5),  # one of them ends
        ([(20, 30, 40, 90), (60, 20, 80, 200), (100, -9, 120, 60)], 2.0),
        ([(20, -9, 40, 50), (20, 70, 40, 200), (60, -9, 80, 200), (100, -9, 120, 200)], 1.0),  # a gap
        ([(20, -9, 40, 200), (60, -9, 80, 200), (40, 60, 60, 75), (100, -9, 120, 200)], -1.0),  # a bridge
        ([(30, -9, 50, 200), (50, 60, 200, 80)], -0.5),  # a branch
        ([(30, -9, 50, 60), (30, 60, 200, 80)], 0.0),  # a bend
    ],
)
def test_ends_of_bright_wires_are_counted(rectangles: list[tuple[int, int, int, int]], pieces: float) -> None:
    image = draw(*[(left, max(top, 0), right, bottom) for left, top, right, bottom in rectangles])
    assert bright_pieces(image) == pieces
    assert bright_pieces(1 - image) == -pieces
    assert bright_pieces(np.ascontiguousarray(image.T)) == pieces
    large = cv2.resize(image, (500, 500), interpolation=cv2.INTER_LINEAR)
    assert bright_pieces(np.asarray(large, np.float32)) == pieces


@pytest.mark.parametrize("shape", [(40, 60), (1, 700), (512, 512)])
def test_an_image_without_a_pattern_has_no_pieces(shape: tuple[int, int]) -> None:
    flat = np.full(shape, 0.4, np.float32)
    assert bright_pieces(flat) == 0
    assert bright_pieces(flat + np.random.default_rng(1).normal(0, 0.1, shape).astype(np.float32)) == 0


@pytest.mark.parametrize(("size", "pitch", "duty"), [(512, 8, 0.4), (512, 8, 0.6), (512, 6, 0.5), (1024, 12, 0.6)])
def test_fine_lines_of_large_images_do_not_break(size: int, pitch: int, duty: float) -> None:
    across = np.arange(size, dtype=np.float32) % pitch < duty * pitch
    image = np.tile(np.where(across, 0.6, 0.3).astype(np.float32), (size, 1))
    noisy = cv2.GaussianBlur(image, (0, 0), 1) + np.random.default_rng(2).normal(0, 0.03, image.shape)
    assert abs(bright_pieces(noisy.astype(np.float32))) <= 1


@pytest.mark.parametrize(
    ("pieces", "polarity"),
    [
        ([2.0] * 6 + [0.0] * 9, "bright"),
        ([-3.0] * 6 + [0.0] * 9, "dark"),
        ([-3.0] * 5, None),  # too few images
        ([-3.0] * 6 + [0.0] * 25, None),  # too few of them
        ([-3.0] * 10 + [2.0] * 3, None),  # they do not agree
        ([-3.0] * 12 + [2.0] * 2, "dark"),
        ([-1.0, 1.0] * 20, None),  # a bridge or a gap each
        ([], None),
    ],
)
def test_a_polarity_needs_votes_that_agree(pieces: list[float], polarity: str | None) -> None:
    assert polarity_of_ends(pieces) == polarity


@pytest.mark.parametrize(
    ("overrides", "polarity"),
    [
        (("pattern=routing", "imaging=any", "noise=any", "defect=any"), "dark"),
        (("pattern=routing", "pattern.polarity=bright", "imaging=any", "noise=any", "defect=any"), "bright"),
        (("pattern=any_line_space", "imaging=any", "noise=any", "defect=any"), None),
        (("pattern=line_space", "noise=extreme"), None),
        (("pattern=any_line_space", "imaging=low_dose", "noise=extreme"), None),
        (("pattern=line_space", "pattern.pitch=[14,30]", "noise=high", *RIMS), None),
    ],
)
def test_simulated_metal_shows_its_polarity_and_lines_do_not(overrides: tuple[str, ...], polarity: str | None) -> None:
    simulator = make_simulator(*overrides)
    samples = [render(simulator.draw(5, 0, n, simulator.classes[n % 3])) for n in range(32)]
    images = [sample.image.astype(np.float32) / np.float32(255) for sample in samples]
    if "noise=high" in overrides:  # the pieces of torn rims alone would say the opposite
        assert polarity_of_ends([bright_pieces(image) for image in images]) == "dark"
    assert polarity_of_ends([wire_end_balance(image) for image in images]) == polarity
