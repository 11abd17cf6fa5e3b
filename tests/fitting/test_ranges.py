"""The configuration that a fit leaves holds what was measured, and can be drawn."""

import dataclasses
import functools

import pytest
from conftest import make_simulator
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sem_lightning.errors import NotMeasuredError
from sem_lightning.fitting.estimate import Estimate
from sem_lightning.fitting.microscope import Microscope
from sem_lightning.fitting.settings_file import make_ranges
from sem_lightning.synthesis.field import FieldOfView

Numbers = tuple[float, float, float, float, float]  # of an image
MEASURED = st.tuples(
    st.floats(6, 60), st.floats(0.2, 0.8), st.floats(0, 0.25), st.floats(0, 0.9), st.floats(0.01, 0.3)
)  # pitch, duty, roughness, correlation of edges, uncertainty


@functools.cache
def microscope() -> Microscope:
    simulator = make_simulator()
    return Microscope(simulator.pattern, simulator.imaging, simulator.noise, "bright")


@settings(deadline=None)  # the first is slow
@given(st.lists(MEASURED, min_size=1, max_size=3))
@example([(60, 0.5, 0.05, 0.2, 0.01), (24, 0.5, 0.05, 0.2, 0.01), (10, 0.5, 0.05, 0.2, 0.01)])
@example([(20, 0.25, 0.1, 0.2, 0.01), (20, 0.75, 0.1, 0.2, 0.01)])
@example([(20, 0.5, 0.3, 0.0, 0.3)])
def test_what_was_measured_is_in_its_range(images: list[Numbers]) -> None:
    lines = microscope()
    names = ("pitch", "duty", "roughness", "edge_correlation")
    estimates = [
        {f"pattern.{name}": Estimate(value, unsure * max(value, 0.1)) for name, value in zip(names, each, strict=True)}
        for *each, unsure in images
    ]
    try:
        ranges, narrowed = make_ranges("line_space", lines, estimates, 1.0)
    except NotMeasuredError as error:
        assert ("fit each kind on its own" in str(error)) == (len(images) > 1)
        return
    written = ranges["pattern"]
    for each in estimates:
        for name in names:
            low, high = written[name] if isinstance(written[name], list) else [written[name]] * 2
            value, near = each[f"pattern.{name}"].value, 1e-3 * max(high, 0.1)
            assert low - near <= value <= high + near or (name == "roughness" and "pattern.roughness" in narrowed)
    for field in dataclasses.fields(lines.pattern):  # what nobody measured is as it was
        if field.name not in names:
            value = getattr(lines.pattern, field.name)
            ends = isinstance(value, tuple)
            assert written[field.name] == pytest.approx(value[0] if ends and value[0] == value[1] else value)
    size = lines.imaging.image_size
    view = FieldOfView(size, size, ranges["imaging"]["pixel_size"])
    dataclasses.replace(lines.pattern, **written).check(view)


def test_a_single_image_keeps_all_but_what_is_too_rough() -> None:
    lines = microscope()
    found = {"pattern.pitch": 20.0, "pattern.duty": 0.5, "pattern.roughness": 0.25, "pattern.edge_correlation": 0.1}
    sure = {key: Estimate(value, 0.02 * value) for key, value in found.items()}
    unsure = sure | {"pattern.roughness": Estimate(0.25, 0.2)}
    (certain, untouched), (doubtful, narrowed) = (
        make_ranges("line_space", lines, [each], 1.0) for each in (sure, unsure)
    )
    assert not untouched and "pattern.roughness" in narrowed and "pattern.pitch" not in narrowed
    assert doubtful["pattern"]["pitch"] == certain["pattern"]["pitch"]
    assert doubtful["pattern"]["phase"] == certain["pattern"]["phase"] and doubtful["pattern"]["phase"][1] == 1
