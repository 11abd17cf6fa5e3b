"""The whole configuration space: whatever validates also renders, and its label, masks and boxes agree."""

import dataclasses
import functools
import json

import numpy as np
from conftest import make_simulator
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from sem_lightning.errors import SettingError, UserError
from sem_lightning.synthesis.simulator import Sample, Scene, Simulator, render

GROUPS = ("pattern", "defect", "imaging", "noise")
PAIRS = (
    ("line_space", "basic"),
    ("line_space", "line_space"),
    ("any_line_space", "full"),
    ("routing", "basic"),
    ("routing", "full"),
    ("freeform", "basic"),
    ("freeform", "full"),
    ("maze", "full"),
    ("contact_hole", "contact_hole"),
)
PATTERN = {
    "line_space": (
        ["pitch", "duty", "angle", "phase", "walk", "taper", "bend", "bend_length", "roughness", "edge_correlation"]
    ),
    "any_line_space": (["pitch", "duty", "angle", "walk", "taper", "bend", "roughness", "correlation_length", "hurst"]),
    "routing": (
        ["pitch", "duty", "wire_length", "tip_to_tip", "wide", "jog", "branch", "pad", "via", "corner", "roughness"]
    ),
    "freeform": (["pitch", "duty", "wire_length", "widest", "fill", "bundle", "comb", "plate", "dummy", "corner"]),
    "maze": (["pitch", "duty", "wire_length", "turn", "branch", "rail", "empty", "corner", "roughness"]),
    "contact_hole": (["pitch", "row_pitch", "duty", "ellipticity", "ellipse_angle", "angle", "placement", "roughness"]),
}
IMAGING = [
    "pixel_size",
    "dark",
    "contrast",
    "bloom",
    "bloom_inside",
    "bloom_outside",
    "asymmetry",
    "shadow",
    "shadow_range",
    "grain_size",
    "grain_amplitude",
    "beam",
    "defocus",
    "astigmatism",
    "aperture",
    "line_time",
    "jitter",
    "drift",
    "vibration",
    "vibration_frequency",
    "charging",
    "charging_length",
    "streaks",
    "uneven",
]
NOISE = ["dose", "frames", "smear", "gaussian", "salt_pepper", "contrast", "brightness", "gamma"]
# Each is scaled to about the size of what it is multiplied with, so that a good part of the space validates.
FACTORS = st.sampled_from([0.0, 0.3, 0.7, 0.9, 1.1, 1.5, 3.0])


@functools.cache
def plain(*options: str) -> Simulator:
    """The configured simulator, whose ranges are then scaled."""
    return make_simulator(*(f"{group}={option}" for group, option in zip(GROUPS, options, strict=True)))


def scaled(simulator: Simulator, group: str, name: str, factor: float) -> str:
    """An override that multiplies the configured range of a key."""
    kind = group.partition(".")[2]
    owner = simulator.defect.types[kind] if kind else getattr(simulator, group)
    low, high = getattr(owner, name) or (1, 100)
    if (low, high) == (0.0, 0.0):
        high = 0.1
    if name == "frames":
        return f"{group}.{name}={max(1, round(factor * 4))}"
    return f"{group}.{name}=[{low * factor},{high * factor}]"


def check(simulator: Simulator, sample: Sample) -> None:
    scene, size = sample.scene, simulator.imaging.image_size
    bits = simulator.noise.bits
    assert sample.image.shape == sample.mask.shape == (size, size)
    assert sample.image.dtype == (np.uint8 if bits == 8 else np.uint16)
    assert np.isfinite(scene.phi()).all() and set(np.unique(sample.mask)) <= {0, 1}
    assert bool(scene.defects) == (scene.label != "good") == bool(sample.instances)
    union = np.zeros_like(sample.mask)
    for instance in sample.instances:
        x, y, width, height = instance.box
        assert x >= 0 and y >= 0 and x + width <= size and y + height <= size
        assert instance.label == scene.label and 0 <= instance.severity <= 1
        assert instance.mask.shape == (height, width)
        union[y : y + height, x : x + width] |= instance.mask
    assert np.array_equal(union, sample.mask)
    if scene.label != "good" and scene.exposure.scan.maps(scene.view, scene.detection.frames) is None:
        assert sample.mask.any()  # a scan that shakes may carry the very smallest out of sight
    again = Scene.from_dict(json.loads(json.dumps(scene.to_dict())))
    assert again == scene and render(again).image.tobytes() == sample.image.tobytes()


@settings(
    max_examples=25,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(data=st.data())
def test_whatever_validates_also_renders(data: st.DataObject) -> None:
    pattern, defect = data.draw(st.sampled_from(PAIRS))
    imaging = data.draw(st.sampled_from(["cdsem", "review_sem", "low_dose", "ideal", "paper"]))
    noise = data.draw(st.sampled_from(["none", "low", "typical", "high", "extreme", "paper"]))
    size = data.draw(st.sampled_from([64, 96, 128, 150]))
    base = [
        f"pattern={pattern}",
        f"defect={defect}",
        f"imaging={imaging}",
        f"noise={noise}",
        f"imaging.image_size={size}",
    ]
    extra = [
        f"processing={data.draw(st.sampled_from(['none', 'shared']))}",
        f"noise.bits={data.draw(st.sampled_from([8, 16]))}",
    ]
    extra += [
        f"defect.count=[1,{data.draw(st.integers(1, 4))}]",
        f"defect.border={data.draw(st.sampled_from([0, 0.5, 1]))}",
    ]
    reference = plain(pattern, defect, imaging, noise)
    keys = [("pattern", name) for name in PATTERN[pattern]]
    keys += [("imaging", name) for name in IMAGING if name != "pixel_size"] + [("noise", name) for name in NOISE]
    for kind, kind_settings in reference.defect.types.items():
        keys += [(f"defect.{kind}", field.name) for field in dataclasses.fields(kind_settings)]
    chosen = data.draw(st.lists(st.tuples(st.sampled_from(keys), FACTORS), max_size=6, unique_by=lambda pair: pair[0]))
    overrides = [scaled(reference, group, name, factor) for (group, name), factor in chosen]
    if data.draw(st.booleans()):
        overrides.append(f"imaging.pixel_size={data.draw(st.sampled_from([0.5, 0.8, 1.3, 2]))}")
    try:
        simulator = make_simulator(*base, *extra, *overrides)
    except SettingError as error:
        assert error.key.partition(".")[0] in ("pattern", "defect", "imaging", "noise", "processing") and error.reason
        event("refused")
        return
    event("validates")
    for index in range(2):
        label = data.draw(st.sampled_from(simulator.classes))
        try:
            scene = simulator.draw(0, 0, index, label)
        except UserError as error:
            assert "found no place" in str(error)
            event("no place")
            continue
        check(simulator, render(scene))
