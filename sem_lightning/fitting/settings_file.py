"""The configuration that a fit leaves: ranges around the estimates, checked as the commands will check them."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from sem_lightning.errors import SettingError
from sem_lightning.fitting.lines import NotMeasuredError
from sem_lightning.fitting.microscope import Estimate, Microscope
from sem_lightning.synthesis.field import FieldOfView

IMAGE_SIZE = 128  # pixels of the training images
_FEWEST = {"line_space": 3.0, "routing": 4.0}  # pitches that these must show
_WIDTH = 2.0  # standard uncertainties to either side of the estimates
_LEAST_WIDTH = 0.05  # of the value: no two images of a microscope are quite alike
LENGTHS = {
    "pattern": ("pitch", "correlation_length"),
    "imaging": (
        "bloom_inside", "bloom_outside", "shadow_range", "grain_size", "beam", "jitter", "drift", "vibration",
        "charging_length",
    ),
}  # fmt: skip
_DIGITS = 3

Ranges = dict[str, dict[str, Any]]


def choose_scale(family: str, estimates: Sequence[dict[str, Estimate]]) -> float:
    """Pixels of the files for one of the training images: 1, or more where the pattern is too coarse for these."""
    coarsest = max(each["pattern.pitch"].value for each in estimates)
    return max(1.0, _FEWEST[family] * coarsest / IMAGE_SIZE)


def make_ranges(
    family: str, microscope: Microscope, estimates: Sequence[dict[str, Estimate]], pixel_size: float
) -> Ranges:
    """Settings for ``pattern``, ``imaging`` and ``noise``, as the configuration takes them.

    Args:
        family: ``line_space`` or ``routing``.
        microscope: What was not measured.
        estimates: Of each image, lengths in its pixels.
        pixel_size: nm of these.

    Raises:
        NotMeasuredError: The simulator cannot draw such a pattern.
    """
    scale = choose_scale(family, estimates)
    ranges: Ranges = {"pattern": {}, "imaging": {}, "noise": {}}
    for key in sorted(set().union(*estimates)):
        group, name = key.split(".")
        found = [each[key] for each in estimates if key in each]
        margin = max(_LEAST_WIDTH * abs(each.value) for each in found)
        low = min(each.value - max(_WIDTH * each.sigma, margin) for each in found)
        high = max(each.value + max(_WIDTH * each.sigma, margin) for each in found)
        if microscope.is_logarithmic(key):  # never as far down as zero
            low = max(low, min(each.value for each in found) / 3)
        ranges[group][name] = [microscope.clip(key, low), microscope.clip(key, high)]
    # a larger pixel gathers the electrons of several
    for name, power in (("dose", 2), ("gaussian", -1)):
        if name in ranges["noise"]:
            ranges["noise"][name] = [end * scale**power for end in ranges["noise"][name]]
    # what was not measured stays as it was drawn here, whatever the configuration's own defaults
    for field in dataclasses.fields(microscope.pattern):
        value = getattr(microscope.pattern, field.name)
        ranges["pattern"].setdefault(field.name, list(value) if isinstance(value, tuple) else value)
    for name in LENGTHS["imaging"]:
        ranges["imaging"].setdefault(name, list(getattr(microscope.imaging, name)))
    for group, names in LENGTHS.items():
        for name in names:
            if name in ranges[group]:
                ranges[group][name] = [end * pixel_size for end in ranges[group][name]]
    ranges["imaging"] |= {
        "image_size": IMAGE_SIZE, "pixel_size": pixel_size * scale, "polarity": microscope.polarity,
        "defocus": 0, "astigmatism": 0,
    }  # fmt: skip
    ranges["noise"] |= {"frames": 1, "contrast": [0.95, 1.05], "brightness": [-0.02, 0.02], "gamma": 1, "bits": 8}
    ranges = {group: {name: _rounded(value) for name, value in values.items()} for group, values in ranges.items()}
    _check(microscope, ranges, pixel_size * scale)
    return ranges


def _rounded(value: Any) -> Any:
    if isinstance(value, list):
        return [_rounded(each) for each in value]
    return float(f"{value:.{_DIGITS + 1}g}") if isinstance(value, float) else value


def _check(microscope: Microscope, ranges: Ranges, pixel_size: float) -> None:
    """Narrow, in place, ranges that together are too wide for the simulator.

    Raises:
        NotMeasuredError: Even their middles are.
    """
    view = FieldOfView(IMAGE_SIZE, IMAGE_SIZE, pixel_size)
    for _ in range(8):
        try:
            dataclasses.replace(microscope.pattern, **ranges["pattern"]).check(view)
            dataclasses.replace(microscope.imaging, **ranges["imaging"])
            return
        except SettingError as error:
            group = "pattern" if error.key in ranges["pattern"] else "imaging"
            value = ranges[group].get(error.key)
            if not isinstance(value, list) or value[0] == value[1]:
                raise NotMeasuredError(f"the simulator cannot draw what was measured ({error})") from None
            middle, half = (value[0] + value[1]) / 2, (value[1] - value[0]) / 4
            ranges[group][error.key] = [middle - half, middle + half] if half > 0.01 * abs(middle) else [middle] * 2
    raise NotMeasuredError("the simulator cannot draw what was measured: its settings contradict each other")


def to_yaml(header: Sequence[str], family: str, ranges: Ranges, remarks: dict[str, str]) -> str:
    """The text of ``conf/microscope/<name>.yaml``.

    Args:
        header: Lines that say what this is.
        family: Of the pattern.
        ranges: From `make_ranges`.
        remarks: What stands beside some keys.
    """
    lines = ["# @package _global_", *(f"# {line}".rstrip() for line in header)]
    lines += ["defaults:", f"  - override /pattern: {family}", "  - override /imaging: cdsem", ""]
    for group, values in ranges.items():
        lines.append(f"{group}:")
        for name, value in values.items():
            text = f"  {name}: {_plain(value)}"
            remark = remarks.get(f"{group}.{name}")
            lines.append(f"{text:40}# {remark}" if remark else text)
    return "\n".join(lines) + "\n"


def _plain(value: Any) -> str:
    return f"[{', '.join(_plain(each) for each in value)}]" if isinstance(value, list) else f"{value}"
