"""Registration: known transforms are found, and what shows another place is refused."""

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sem_lightning.inspection.registration import OTHER_PLACE, find_periods, register, warp
from sem_lightning.synthesis.field import Float32
from sem_lightning.synthesis.pairs import Pair, PairSimulator

STEADY = ("imaging.jitter=0", "imaging.vibration=0", "imaging.drift=0", "noise=low", "imaging.image_size=256")
METAL = ("pattern=routing", "pattern=maze", "pattern=freeform")


def as_floats(pixels: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]) -> Float32:
    return np.asarray(pixels, np.float32) / np.float32(np.iinfo(pixels.dtype).max)


def pictures(pair: Pair) -> tuple[Float32, Float32]:
    return as_floats(pair.image.image), as_floats(pair.reference)


def error(matrix: npt.NDArray[np.float64], pair: Pair) -> float:
    y, x = np.nonzero(pair.overlap)
    points = np.stack([x, y, np.ones(len(x))])
    return float(np.sqrt(np.mean(np.sum(((matrix - pair.matrix) @ points) ** 2, axis=0))))


@pytest.fixture(scope="module")
def routing() -> PairSimulator:
    return PairSimulator.compose("pattern=routing", "defect=basic", *STEADY)


@pytest.fixture(scope="module")
def routing_pair(routing: PairSimulator) -> Pair:
    return routing.sample(3, "good", seed=4)


def test_known_transforms_are_found() -> None:
    errors = []
    for pattern in METAL:
        simulator = PairSimulator.compose(pattern, "defect=basic", *STEADY)
        for index in range(4):
            pair = simulator.sample(index, seed=5, split=2)
            found = register(*pictures(pair))
            if found.fault is None and not found.periods:
                errors.append(error(found.matrix, pair))
    assert len(errors) >= 10
    assert np.median(errors) < 0.2 and max(errors) < 1.5


@settings(max_examples=8)
@given(gain=st.floats(0.4, 1.0), offset=st.floats(0.0, 0.2), gamma=st.floats(0.6, 1.6))
def test_brightness_contrast_and_gamma_move_nothing(
    routing_pair: Pair, gain: float, offset: float, gamma: float
) -> None:
    image, reference = pictures(routing_pair)
    before = register(image, reference)
    other = np.asarray(
        np.clip(reference, 0, 1) ** gamma * np.float32(gain) + np.float32(offset * (1 - gain)), np.float32
    )
    after = register(image, other)
    corners = np.array([[0, 0, 1], [255, 0, 1], [0, 255, 1], [255, 255, 1]]).T
    assert after.fault is None
    assert np.abs((after.matrix - before.matrix) @ corners).max() < 0.6


def test_another_place_is_refused(routing: PairSimulator) -> None:
    references = [pictures(routing.sample(index, "good", seed=6))[1] for index in range(6)]
    image = pictures(routing.sample(9, "good", seed=6))[0]
    assert {register(image, reference).fault for reference in references} <= {
        OTHER_PLACE, "other magnification", "little overlap"
    }  # fmt: skip


def test_an_inverted_reference_is_named(routing_pair: Pair) -> None:
    image, reference = pictures(routing_pair)
    assert register(image, np.float32(1) - reference).fault == "inverted reference"


def test_a_reference_that_shows_a_third_is_refused(routing_pair: Pair) -> None:
    image, _ = pictures(routing_pair)
    noise = np.random.default_rng(0).normal(0, 0.02, (256, 90)).astype(np.float32)
    part = np.clip(image[:, :90] + noise, 0, 1)
    assert register(image, part).fault == "little overlap"


@pytest.mark.parametrize("scale", [0.9, 1.1])
def test_another_magnification_is_refused(routing_pair: Pair, scale: float) -> None:
    image, _ = pictures(routing_pair)
    noise = np.random.default_rng(0).normal(0, 0.02, image.shape).astype(np.float32)
    other = cv2.resize(image + noise, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC).astype(np.float32)
    assert register(image, other).fault is not None


def test_each_row_is_put_in_its_place(routing_pair: Pair) -> None:
    _, reference = pictures(routing_pair)
    rng = np.random.default_rng(1)
    moved = rng.normal(0, 0.8, 256).astype(np.float32)
    rows = np.repeat(np.arange(256, dtype=np.float32)[:, None], 256, axis=1)
    columns = np.arange(256, dtype=np.float32)[None] - moved[:, None]
    image = cv2.remap(reference, columns, rows, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    image = np.clip(image + rng.normal(0, 0.02, image.shape), 0, 1).astype(np.float32)
    found = register(image, reference)
    assert found.fault is None
    assert np.corrcoef(found.row_shifts, moved)[0, 1] > 0.9
    assert np.std(found.row_shifts - moved) < 0.3


def test_the_reference_is_warped_by_the_matrix(routing_pair: Pair) -> None:
    image, reference = pictures(routing_pair)
    moved, shown = warp(reference, routing_pair.matrix, image.shape)
    assert shown.mean() == pytest.approx(routing_pair.overlap.mean(), abs=0.05)
    smooth = [cv2.GaussianBlur(each, (0, 0), 1.5)[shown] for each in (image, moved)]
    assert np.corrcoef(smooth[0], smooth[1])[0, 1] > 0.9


def test_lines_fit_a_pitch_further_and_it_is_said() -> None:
    simulator = PairSimulator.compose("pattern=line_space", "defect=basic", *STEADY)
    pair = simulator.sample(0, "good", seed=2)
    found = register(*pictures(pair))
    assert found.fault is None and found.periods
    assert np.hypot(*found.shift) < 0.25 * 256 + 2


def test_an_array_repeats_itself_and_blots_do_not() -> None:
    simulator = PairSimulator.compose("pattern=contact_hole", "defect=contact_hole", *STEADY)
    pair = simulator.sample(0, "good", seed=2)
    pitch = pair.image.scene.pattern.pitch / pair.image.scene.view.pixel_size  # type: ignore[attr-defined]
    shortest = find_periods(pictures(pair)[0])[0]
    assert 0.8 * pitch < np.hypot(*shortest) < 1.25 * pitch
    blots = cv2.GaussianBlur(np.random.default_rng(0).random((256, 256), np.float32), (0, 0), 8)
    assert find_periods((blots > np.median(blots)).astype(np.float32)) == []


@pytest.mark.parametrize("in_reference", [False, True])
def test_a_large_defect_is_no_other_place(in_reference: bool) -> None:
    simulator = PairSimulator.compose("pattern=routing", "defect=basic", "imaging.image_size=192", "noise=low")
    pair = simulator.sample(3, "good", seed=0)
    image, reference = pictures(pair)
    cv2.circle(reference if in_reference else image, (96, 96), 20, 1.0, -1)
    found = register(image, reference)
    assert found.fault is None and error(found.matrix, pair) < 1.5
    other = pictures(simulator.sample(4, "good", seed=0))[1]
    assert register(image, other).fault is not None
