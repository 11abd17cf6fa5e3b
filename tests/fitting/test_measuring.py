"""What a fit measures is what the simulator drew."""

import dataclasses

import numpy as np
import pytest
from conftest import make_simulator
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from sem_lightning.errors import NotMeasuredError
from sem_lightning.fitting.estimate import estimate
from sem_lightning.fitting.lines import measure_lines
from sem_lightning.fitting.measure import find_polarity, is_saturated, measure
from sem_lightning.fitting.microscope import Microscope
from sem_lightning.fitting.two_sample_test import compare
from sem_lightning.metrology.orientation import find_orientation, turned_back, upright
from sem_lightning.metrology.pattern_family import find_direction, find_family
from sem_lightning.synthesis.field import Float32
from sem_lightning.synthesis.patterns.routing import Routing

STEADY = (
    "imaging.defocus=0", "imaging.astigmatism=0", "imaging.drift=0", "imaging.vibration=0", "imaging.charging=0",
    "imaging.asymmetry=0", "imaging.shadow=0", "noise.contrast=1", "noise.brightness=0",
)  # fmt: skip


def microscope(*overrides: str) -> Microscope:
    simulator = make_simulator(*STEADY, *overrides)
    polarity = simulator.polarity
    assert polarity is not None
    return Microscope(simulator.pattern, simulator.imaging, simulator.noise, polarity)


@settings(
    max_examples=8, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate]
)  # shrinking takes minutes
@given(angle=st.floats(-89, 90), pitch=st.floats(16, 30), duty=st.floats(0.4, 0.6), number=st.integers(0, 99))
@example(angle=28.707159410272624, pitch=26.21853186063239, duty=0.5862925875535233, number=34)  # a line half looked at
@example(angle=-37.4489, pitch=28.4143, duty=0.5738, number=80)  # a last line, of which angles show more or less
def test_lines_of_any_direction_are_measured(angle: float, pitch: float, duty: float, number: int) -> None:
    lines = microscope("pattern.roughness=0.03", "noise=low", "imaging.beam=1.2", "imaging.bloom=0.1")
    made = lines.with_values({"pattern.pitch": pitch, "pattern.duty": duty, "pattern.angle": angle})
    image = made.simulate((160, 176), number)
    assert find_family(image) == "line_space"
    found = measure_lines(image, find_orientation(image).angle, "bright")
    assert abs((found.angle - angle + 90) % 180 - 90) < 0.4
    assert found.pitch == pytest.approx(pitch, rel=0.01)
    assert found.model.cd == pytest.approx(duty * pitch, abs=1.2)
    inside = made.draw((160, 176), number).phi() > 1
    seen = found.phi != 0
    assert np.mean((found.phi > 0)[inside & seen]) > 0.99


def test_an_image_turned_upright_and_back_is_the_same() -> None:
    rng = np.random.default_rng(0)
    image = np.cumsum(np.cumsum(rng.normal(size=(90, 120)), axis=0), axis=1).astype(np.float32)
    for angle in (0.0, 90.0, 33.0, -61.0):
        back = turned_back(upright(image, angle), angle, (90, 120))
        seen = back != 0
        assert seen.mean() > 0.3
        assert np.corrcoef(back[seen], image[seen])[0, 1] > 0.97


@pytest.mark.parametrize(
    ("key", "values", "tolerance"),
    [
        ("noise.dose", (40.0, 300.0), 0.15),
        ("noise.gaussian", (0.02, 0.05), 0.2),
        ("noise.smear", (0.4, 0.7), 0.15),
        ("imaging.dark", (0.15, 0.3), 0.05),
        ("imaging.contrast", (0.2, 0.45), 0.12),
        ("imaging.beam", (1.0, 2.0), 0.15),
        ("imaging.streaks", (0.01, 0.02), 0.25),
        ("imaging.jitter", (0.3, 0.6), 0.3),
        ("noise.salt_pepper", (0.003, 0.01), 0.3),
        ("pattern.roughness", (0.06, 0.12), 0.25),
    ],
)
def test_a_measure_follows_what_it_measures(key: str, values: tuple[float, float], tolerance: float) -> None:
    """Each by itself, others at one value: both ends are found, so it is not a constant that is found."""
    still = microscope(
        "pattern.pitch=24", "pattern.roughness=0.06", "imaging.dark=0.2", "imaging.contrast=0.35", "imaging.bloom=0.15",
        "imaging.beam=1.3", "imaging.grain_amplitude=0", "noise.dose=200", "noise.gaussian=0.02", "noise.salt_pepper=0",
        "imaging.jitter=0.1", "imaging.streaks=0",
    )  # fmt: skip
    for value in values:
        found = [
            measure(still.with_values({key: value}).simulate((256, 256), n), "line_space", "bright") for n in range(3)
        ]
        assert np.mean([each[key] for each in found]) == pytest.approx(value, rel=tolerance)


def test_estimates_are_as_good_as_they_say() -> None:
    made = microscope("pattern.pitch=[14,26]", "noise.dose=[40,200]")
    keys = ("pattern.pitch", "pattern.duty", "noise.dose", "imaging.dark", "imaging.beam")
    inside, sigmas = [], []
    for number in range(3):
        rng = np.random.default_rng(number)
        drawn = {key: getattr(made, key.split(".")[0]).draw_value(rng, key.split(".")[1]) for key in keys}
        found = estimate(made.with_values(drawn).simulate((160, 160), 50 + number), "line_space", made)
        inside += [abs(found[key].value - drawn[key]) < 3 * found[key].sigma for key in keys]
        sigmas.append([found[key].sigma for key in keys])
    assert np.mean(inside) >= 0.8
    assert (np.median(sigmas, axis=0) < [0.1, 0.06, 30, 0.05, 0.4]).all()  # and they say something


def test_wires_are_told_from_lines_and_measured() -> None:
    metal = microscope("pattern=routing", "pattern.pitch=20", "pattern.duty=0.5", "pattern.empty=0.3", "noise=low")
    found = []
    for number in range(4):
        image = metal.simulate((256, 256), number)
        assert find_family(image) == "routing"
        assert find_polarity(image, "routing")[0] == "dark"
        found.append(measure(image, "routing", "dark"))
    assert np.median([each["pattern.pitch"] for each in found]) == pytest.approx(20, rel=0.15)
    assert np.median([each["pattern.duty"] for each in found]) == pytest.approx(0.5, rel=0.15)
    assert isinstance(metal.pattern, Routing)
    level = dataclasses.replace(metal, pattern=dataclasses.replace(metal.pattern, direction="horizontal"))
    assert find_direction(level.simulate((256, 256), 0)) == "horizontal"


def noise(shape: tuple[int, int]) -> Float32:
    return np.asarray(np.random.default_rng(0).normal(0.5, 0.1, shape), np.float32)


def test_what_shows_nothing_is_refused() -> None:
    lines = microscope("pattern.pitch=16", "noise=low").simulate((128, 128), 0)
    with pytest.raises(NotMeasuredError, match="one flat colour"):
        find_family(np.full((64, 64), 0.4, np.float32))
    with pytest.raises(NotMeasuredError, match="no pattern of lines or wires"):
        find_family(noise((128, 128)))
    holes = make_simulator("pattern=contact_hole", "defect=contact_hole", "noise=low")
    blank = Microscope(holes.pattern, holes.imaging, holes.noise, "dark")
    with pytest.raises(NotMeasuredError, match="no pattern of lines or wires"):
        find_family(blank.simulate((128, 128), 0))
    halves = np.hstack([lines, np.rot90(lines)])
    with pytest.raises(NotMeasuredError, match="several patterns"):
        find_family(np.ascontiguousarray(halves))
    with pytest.raises(NotMeasuredError, match=r"too few periods|no pitch"):
        measure(microscope("pattern.pitch=60", "noise=low").simulate((128, 90), 0), "line_space", "bright")


def test_saturation_is_seen() -> None:
    image = microscope("pattern.pitch=16", "noise=low").simulate((128, 128), 0)
    assert not is_saturated(image)
    assert is_saturated(np.clip(image * 2.5, 0, 1))


def test_a_classifier_tells_unlike_images_apart_and_no_others() -> None:
    fixed = (
        "pattern.pitch=16", "pattern.duty=0.5", "imaging.dark=0.2", "imaging.contrast=0.3", "imaging.bloom=0.1",
        "imaging.beam=1.2", "imaging.grain_amplitude=0", "noise.gaussian=0.02", "imaging.streaks=0",
    )  # fmt: skip
    quiet, loud = microscope(*fixed, "noise.dose=200"), microscope(*fixed, "noise.dose=60")
    images = [quiet.simulate((256, 256), n) for n in range(8)]
    same = compare(images[:4], images[4:])
    other = compare(images[:4], [loud.simulate((256, 256), n) for n in range(4, 8)])
    assert same.patches == other.patches == 512
    assert same.accuracy < 0.7
    assert other.accuracy > 0.95
    alone = compare(images[:1], images[1:2])
    assert alone.patches == 128


def test_fine_lines_are_lines() -> None:
    fine = microscope("pattern.pitch=8", "pattern.roughness=0.06", "imaging.beam=1.2")
    assert [find_family(fine.simulate((256, 256), number)) for number in range(4)] == ["line_space"] * 4


def test_several_patterns_are_refused_whatever_the_family() -> None:
    lines = microscope("pattern.pitch=24", "noise=low").simulate((256, 128), 0)
    others = microscope("pattern.pitch=40", "noise=low").simulate((256, 128), 0)
    with pytest.raises(NotMeasuredError, match="several pitches"):
        measure(np.ascontiguousarray(np.hstack([lines, others])), "line_space", "bright")
    with pytest.raises(NotMeasuredError, match="several patterns"):
        find_family(np.ascontiguousarray(np.vstack([lines[:128], np.rot90(lines[:128])])), "line_space")
    with pytest.raises(NotMeasuredError, match="nothing but noise"):
        find_family(noise((128, 128)), "routing")
