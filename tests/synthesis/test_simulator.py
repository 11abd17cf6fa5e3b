"""Draw, then render: scenes are plain numbers, and the same numbers give the same bytes."""

import dataclasses
import json
import math

import numpy as np
import pytest
from conftest import make_simulator
from hypothesis import given
from hypothesis import strategies as st

from sem_lightning.errors import SettingError
from sem_lightning.synthesis.defects.defect import SETTINGS_TYPES
from sem_lightning.synthesis.imaging import Imaging
from sem_lightning.synthesis.noise import Noise
from sem_lightning.synthesis.patterns.pattern import PatternSettings
from sem_lightning.synthesis.processing import ProcessingSettings
from sem_lightning.synthesis.ranges import Limits, parse_range
from sem_lightning.synthesis.simulator import Scene, Simulator, render

FLAGS = ("above", "log", "optional", "by_severity", "by_key")
ANY = {"low": -1e9, "high": 1e9, "why": "", **dict.fromkeys(FLAGS, False)}


def test_a_scene_survives_json_and_renders_the_same_bytes(simulator: Simulator) -> None:
    for index, label in enumerate(simulator.classes * 5):
        scene = simulator.draw(3, 1, index, label)
        again = Scene.from_dict(json.loads(json.dumps(scene.to_dict())))
        assert again == scene
        one, other = render(scene), render(again)
        assert one.image.tobytes() == other.image.tobytes()
        assert one.mask.tobytes() == other.mask.tobytes()
        assert [each.box for each in one.instances] == [each.box for each in other.instances]


def test_shapes_and_types(simulator: Simulator) -> None:
    sample = render(simulator.draw(0, 0, 1, "gap"))
    assert sample.image.shape == sample.mask.shape == (128, 128)
    assert sample.image.dtype == sample.mask.dtype == np.uint8
    assert set(np.unique(sample.mask)) == {0, 1}


@pytest.mark.parametrize("key", [(1, 0, 0), (0, 1, 0), (0, 0, 1)])
def test_seed_split_and_index_each_change_the_image(simulator: Simulator, key: tuple[int, int, int]) -> None:
    first = render(simulator.draw(0, 0, 0, "good")).image
    assert not np.array_equal(first, render(simulator.draw(*key, "good")).image)
    assert np.array_equal(first, render(simulator.draw(0, 0, 0, "good")).image)


def test_a_twin_differs_only_around_the_defect() -> None:
    simulator = make_simulator("imaging.charging=0", "imaging.shadow=0")  # these reach further
    for index in range(30):
        scene = simulator.draw(0, 0, index, "gap")
        sample, twin = render(scene), render(scene.without_defects())
        assert twin.scene.label == "good" and not twin.mask.any()
        x, y, width, height = sample.instances[0].box
        margin = 14  # bloom and beam carry the defect's trace a little further
        far = np.ones_like(sample.mask, bool)
        far[max(0, y - margin) : y + height + margin, max(0, x - margin) : x + width + margin] = False
        assert np.array_equal(sample.image[far], twin.image[far])
        assert not np.array_equal(sample.image, twin.image)


def test_polarity_swaps_dark_and_bright() -> None:
    bright = make_simulator("noise=none", "imaging.bloom=0", "imaging.polarity=bright")
    dark = make_simulator("noise=none", "imaging.bloom=0", "imaging.polarity=dark")
    scene = bright.draw(0, 0, 0, "good")
    inside = scene.phi() > 2
    assert render(scene).image[inside].mean() > render(dark.draw(0, 0, 0, "good")).image[inside].mean() + 20


@pytest.mark.parametrize("bits", [8, 16])
def test_negatives_are_dark_patterns_inverted_and_move_no_other_number(bits: int) -> None:
    pattern = ("pattern=routing", "pattern.polarity=bright", f"noise.bits={bits}")
    usual, some = make_simulator(*pattern), make_simulator(*pattern, "processing.negative=0.3")
    scenes = [some.draw(0, 0, index, "gap") for index in range(200)]
    negatives = [scene for scene in scenes if scene.processing.negative]
    assert 40 <= len(negatives) <= 80
    assert all(usual.draw(0, 0, n, "gap") == scene for n, scene in enumerate(scenes) if scene not in negatives)
    scene = negatives[0]
    assert scene.exposure.polarity == "dark" and Scene.from_dict(json.loads(json.dumps(scene.to_dict()))) == scene
    processing = dataclasses.replace(scene.processing, negative=False)
    as_taken = dataclasses.replace(scene, processing=processing)
    assert np.array_equal(render(scene).image, 2**bits - 1 - render(as_taken).image)
    bright = dataclasses.replace(scene.exposure, polarity="bright")
    assert dataclasses.replace(as_taken, exposure=bright) == usual.draw(0, 0, scene.index, "gap")


@pytest.mark.parametrize(
    ("overrides", "polarity"),
    [
        (("pattern=mixed",), None),
        (("pattern=mixed", "processing.negative=0.1"), "either"),
        (("processing.negative=0.1",), "bright"),
        (("imaging.polarity=dark",), "dark"),
        (("imaging.polarity=dark", "processing.negative=0.1"), None),
    ],
)
def test_a_simulator_says_the_polarity_of_its_images(overrides: tuple[str, ...], polarity: str | None) -> None:
    assert make_simulator(*overrides).polarity == polarity


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("pattern.pitch=1.5", "pattern.pitch"),
        ("pattern.pitch=100", "pattern.pitch"),
        ("pattern.pitch=[20,10]", "pattern.pitch"),
        ("pattern.duty=1.2", "pattern.duty"),
        ("pattern.duty=0.1", "pattern.duty"),
        ("pattern.roughness=[0,0.6]", "pattern.roughness"),
        ("pattern.walk=0.8", "pattern.walk"),
        ("pattern.taper=0.8", "pattern.taper"),
        ("pattern.walk=0.8 pattern.duty=0.1 pattern.pitch=40", "pattern.walk"),
        ("pattern.bend=2 pattern.bend_length=5", "pattern.bend"),
        ("pattern=contact_hole", "defect.gap"),
        ("pattern=contact_hole defect=contact_hole pattern.duty=0.8", "pattern.duty"),
        ("pattern=contact_hole defect=contact_hole pattern.arrays=[round]", "pattern.arrays"),
        ("pattern=contact_hole defect=contact_hole pattern.pitch=90", "pattern.pitch"),
        ("pattern=routing pattern.pitch=50", "pattern.pitch"),
        ("pattern=routing pattern.duty=0.1", "pattern.duty"),
        ("pattern=routing pattern.roughness=0.5", "pattern.roughness"),
        ("pattern=routing pattern.direction=up", "pattern.direction"),
        ("pattern=layout pattern.file=/nowhere.gds pattern.layer=1", "pattern.file"),
        ("defect.gap.length=[0.03,0.05]", "defect.gap.length"),
        ("defect.bridge.length=[9,20]", "defect.bridge.length"),
        ("defect.gap.severity=2", "defect.gap.severity"),
        ("defect.count=0", "defect.count"),
        ("defect.count=[3,1]", "defect.count"),
        ("defect.count=1.5", "defect.count"),
        ("defect.border=2", "defect.border"),
        ("~defect.gap ~defect.bridge", "defect"),
        ("+defect.pinhole.size=1", "defect.pinhole"),
        ("imaging.drift=200", "imaging.drift"),
        ("imaging.jitter=20", "imaging.jitter"),
        ("imaging.vibration=30", "imaging.vibration"),
        ("imaging.defocus=20000", "imaging.defocus"),
        ("imaging.grain_size=60", "imaging.grain_size"),
        ("noise.bits=12", "noise.bits"),
        ("noise.frames=1.5", "noise.frames"),
        ("noise.bits=16 processing=shared", "processing.jpeg"),
        ("processing.banner=2", "processing.banner"),
        ("processing.negative=-0.1", "processing.negative"),
        ("processing.banner=1 imaging.image_size=40 pattern.pitch=12", "processing.banner"),
        ("noise.dose=-5", "noise.dose"),
        ("noise.dose=0", "noise.dose"),
        ("noise.gaussian=abc", "noise.gaussian"),
        ("imaging.polarity=both", "imaging.polarity"),
        ("imaging.beam=99", "imaging.beam"),
        ("imaging.image_size=100000", "imaging.image_size"),
        ("imaging.pixel_size=0", "imaging.pixel_size"),
    ],
)
def test_impossible_settings_are_refused_by_name(override: str, key: str) -> None:
    with pytest.raises(SettingError) as error:
        make_simulator(*override.split())
    assert error.value.key == key


def test_every_range_says_why_it_ends() -> None:
    kinds = [*PatternSettings.kinds.values(), *SETTINGS_TYPES.values(), Imaging, Noise, ProcessingSettings]
    for kind in kinds:
        for field in dataclasses.fields(kind):
            limits = field.metadata.get("limits")
            if limits and (limits.low > -math.inf or limits.high < math.inf):
                assert len(limits.why) > 8, f"{kind.__name__}.{field.name}"
    with pytest.raises(SettingError, match="leaves no space"):
        make_simulator("pattern.duty=1.1")
    with pytest.raises(SettingError, match="without electrons there is no image"):
        make_simulator("noise.dose=0")


@given(low=st.floats(-1e6, 1e6), width=st.floats(0, 1e6))
def test_ranges_parse_to_what_was_written(low: float, width: float) -> None:
    limits = Limits(unit="nm", **ANY)  # type: ignore[arg-type]
    assert parse_range("x", low, limits) == (low, low)
    assert parse_range("x", [low, low + width], limits) == (low, low + width)


@pytest.mark.parametrize("value", [None, True, "3", [1], [1, 2, 3], [1, "a"], float("nan"), float("inf"), {}])
def test_what_is_no_range_is_refused(value: object) -> None:
    with pytest.raises(SettingError, match="expected a number or"):
        parse_range("x", value, Limits(unit="nm", **ANY))  # type: ignore[arg-type]
