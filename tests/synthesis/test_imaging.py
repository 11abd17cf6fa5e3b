"""Image formation does to a known geometry what the scene says."""

import dataclasses

import numpy as np
import pytest
from conftest import make_simulator

from sem_lightning.synthesis.beam import Beam
from sem_lightning.synthesis.field import FieldOfView
from sem_lightning.synthesis.imaging import Exposure
from sem_lightning.synthesis.scan import Scan
from sem_lightning.synthesis.simulator import Simulator
from sem_lightning.synthesis.texture import OPERATIONS, Grain

VIEW = FieldOfView(128, 128, 0.5)
PLAIN = Grain("open", 2.0, 0.0, key=1)
STILL = Scan(100.0, 0.0, 0.0, 0.0, (), 0.0, 20.0, 0.0, key=1)
SHARP = Beam(0.0, 0.0, 0.0, 0.0, 8.0)
EDGE = np.broadcast_to((np.arange(128, dtype=np.float32) - 63.5) * np.float32(0.5), (128, 128)).copy()


def expose(**changes: object) -> np.ndarray:
    exposure = Exposure("bright", 0.2, 0.4, 0.0, 1.0, 1.0, 0.0, 0.0, 10.0, SHARP, PLAIN, STILL)
    return dataclasses.replace(exposure, **changes).render(EDGE, (), VIEW)  # type: ignore[arg-type]


def test_levels_and_polarity() -> None:
    bright, dark = expose(), expose(polarity="dark")
    assert bright[0, 0] == pytest.approx(0.2) and bright[0, -1] == pytest.approx(0.6)
    assert np.allclose(bright + dark, 0.8)


@pytest.mark.parametrize("beam", [0.7, 1.5, 3.0])
def test_beam_sigma_is_recovered_from_an_edge(beam: float) -> None:
    spread = np.diff(expose(beam=dataclasses.replace(SHARP, sigma=beam))[64]).astype(np.float64)
    spread /= spread.sum()
    position = (np.arange(127) - 63) * VIEW.pixel_size
    pixel = VIEW.pixel_size**2 / 12  # the anti-aliased edge is one pixel wide
    assert np.sqrt(np.sum(spread * position**2) - pixel) == pytest.approx(beam, rel=0.03)


def test_edge_bloom_decays_with_its_own_length_on_each_side() -> None:
    bloom = expose(bloom=0.3, bloom_inside=2.0, bloom_outside=1.0) - expose()
    inside, outside = bloom[0, 64:], bloom[0, 63::-1]
    assert inside[0] == pytest.approx(0.3 * np.exp(-0.25 / 2.0), rel=1e-3)
    assert inside[8] / inside[0] == pytest.approx(np.exp(-4 / 2.0), rel=1e-2)
    assert outside[8] / outside[0] == pytest.approx(np.exp(-4 / 1.0), rel=1e-2)


def test_asymmetry_lights_the_edges_that_face_left() -> None:
    line = 5 - np.abs(EDGE)  # one line in the middle of the image
    exposure = Exposure("bright", 0.2, 0.4, 0.3, 2.0, 2.0, 0.5, 0.0, 10.0, SHARP, PLAIN, STILL)
    row = exposure.render(line, (), VIEW)[64]
    left, right = row[64 - 11], row[63 + 11]  # half a pixel outside either edge
    assert left - 0.2 == pytest.approx(3 * (right - 0.2), rel=0.05)
    dark = dataclasses.replace(exposure, polarity="dark").render(line, (), VIEW)[64]
    assert dark[63 + 11] > dark[64 - 11]  # the walls of a trench face the other way


def test_narrow_spaces_lie_in_shadow() -> None:
    def ground(space: float) -> float:
        exposure = Exposure("bright", 0.2, 0.4, 0.0, 1.0, 1.0, 0.0, 0.5, 10.0, SHARP, PLAIN, STILL)
        image = exposure.render(np.abs(EDGE) - np.float32(space / 2), (), VIEW)
        assert image[64, 0] == pytest.approx(0.6)  # walls keep their brightness
        return float(image[64, 64])

    assert ground(4) < ground(12) < ground(40) == pytest.approx(0.2)
    assert ground(4) > 0.1  # no more than the shadow takes


@pytest.mark.parametrize("operation", OPERATIONS)
def test_grain_has_mean_one_and_the_amplitude_that_was_asked_for(operation: str) -> None:
    relief = Grain(operation, 2.0, 0.05, key=3).render(VIEW)
    assert relief.dtype == np.float32
    assert relief.mean() == pytest.approx(1.0, abs=1e-4)
    assert relief.std() == pytest.approx(0.05, rel=1e-2)


def test_grain_size_sets_how_far_the_texture_correlates() -> None:
    def neighbours(size: float) -> float:
        relief = Grain("open", size, 0.05, key=3).render(VIEW) - 1
        return float(np.mean(relief[:, 3:] * relief[:, :-3]) / np.mean(relief**2))

    assert neighbours(1.0) < 0.1 < 0.3 < neighbours(4.0)


def test_uneven_light_is_a_ramp_towards_its_direction() -> None:
    flat = expose()
    for direction in (0.0, 90.0):
        gain = expose(uneven=0.4, uneven_direction=direction) / flat
        along = gain if direction == 0 else gain.T
        assert np.allclose(along[:, -1] - along[:, 0], 0.4 * 127 / 128, atol=1e-5)
        assert gain.mean() == pytest.approx(1.0, abs=1e-5)


def test_uneven_light_moves_no_other_number_of_a_scene() -> None:
    even, uneven = (make_simulator(f"imaging.uneven={value}").draw(0, 0, 5, "gap") for value in ("0", "[0.1,0.6]"))
    assert 0.1 <= uneven.exposure.uneven <= 0.6 and even.exposure.uneven == 0
    exposure = dataclasses.replace(uneven.exposure, uneven=0.0, uneven_direction=0.0)
    assert dataclasses.replace(uneven, exposure=exposure) == even


def test_drawn_numbers_stay_in_their_ranges(simulator: Simulator) -> None:
    for index in range(100):
        exposure = simulator.imaging.draw(np.random.default_rng(index), "bright")
        for name in ("dark", "contrast", "bloom", "shadow"):
            low, high = getattr(simulator.imaging, name)
            assert low <= getattr(exposure, name) <= high
