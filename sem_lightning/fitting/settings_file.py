"""The configuration from a fit: ranges around the estimates, with the checks of the commands."""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import Any

from sem_lightning.errors import NotMeasuredError, SettingError
from sem_lightning.fitting.estimate import Estimate
from sem_lightning.fitting.microscope import LOGARITHMIC, Microscope
from sem_lightning.synthesis.field import FieldOfView

_FEWEST = {"line_space": 3.0, "routing": 4.0}  # pitches that a training image must show
_WIDTH = 2.0  # standard uncertainties on either side of the estimates
_LEAST_WIDTH = 0.05  # of the value, because images of a microscope differ
_LEAST_WIDTHS = {"pattern.angle": 0.5, "pattern.edge_correlation": 0.05}  # least widths in the key's unit
# exponents for pixels that hold several of the files' pixels: they sum electrons and average noise and rows
_BY_SCALE = {
    "noise.dose": 2.0,
    "noise.gaussian": -1.0,
    "noise.smear": -1.0,
    "imaging.streaks": -0.5,
    "imaging.jitter": -0.5,
}
LENGTHS = {
    "pattern": ("pitch", "correlation_length"),
    "imaging": (
        "defocus", "astigmatism", "bloom_inside", "bloom_outside", "shadow_range", "grain_size", "beam", "jitter",
        "drift", "vibration", "charging_length",
    ),
}  # fmt: skip
_DIGITS = 3
# the simulator's checks of a key depend on these keys
_TOGETHER = {
    "duty": ("duty", "pitch"),
    "walk": ("duty", "pitch"),
    "taper": ("duty", "pitch"),
    "roughness": ("roughness", "edge_correlation", "duty"),
}
_NARROWINGS = 5  # by half each; the last one to the estimates
_SMOOTHER = 0.8  # factor for the highest roughness if estimates of several images exclude each other

Ranges = dict[str, dict[str, Any]]


def choose_scale(family: str, estimates: Sequence[dict[str, Estimate]], image_size: int) -> float:
    """Pixels of the files in one pixel of the training images: 1, or more if the pattern is too coarse."""
    coarsest = max(each["pattern.pitch"].value for each in estimates)
    return max(1.0, _FEWEST[family] * coarsest / image_size)


def make_ranges(
    family: str, microscope: Microscope, estimates: Sequence[dict[str, Estimate]], pixel_size: float
) -> tuple[Ranges, list[str]]:
    """Settings for ``pattern``, ``imaging`` and ``noise`` in the form of the configuration.

    Measured keys get a range around the estimates, or a narrower one if the simulator cannot draw all of it.

    Args:
        family: ``line_space`` or ``routing``.
        microscope: Values that were not measured.
        estimates: Estimates of each image, lengths in its pixels.
        pixel_size: nm of these pixels.

    Returns:
        The settings, and the keys whose ranges were narrowed.

    Raises:
        NotMeasuredError: The simulator cannot draw such a pattern.
    """
    scale = choose_scale(family, estimates, microscope.imaging.image_size)
    ranges: Ranges = {"pattern": {}, "imaging": {}, "noise": {}}
    measured: Ranges = {"pattern": {}, "imaging": {}, "noise": {}}
    for key in sorted(set().union(*estimates)):
        group, name = key.split(".")
        found = [each[key] for each in estimates if key in each]
        margin = _LEAST_WIDTHS.get(key, max(_LEAST_WIDTH * abs(each.value) for each in found))
        low = min(each.value - max(_WIDTH * each.sigma, margin) for each in found)
        high = max(each.value + max(_WIDTH * each.sigma, margin) for each in found)
        if key in LOGARITHMIC:  # always above zero
            low = max(low, min(each.value for each in found) / 3)
        ranges[group][name] = [microscope.clip(key, low), microscope.clip(key, high)]
        measured[group][name] = [pick(microscope.clip(key, each.value) for each in found) for pick in (min, max)]
    # keys that were not measured keep the values used here, independent of the configuration's defaults
    for group, values in ranges.items():
        for field in dataclasses.fields(getattr(microscope, group)):
            value = getattr(getattr(microscope, group), field.name)
            values.setdefault(field.name, list(value) if isinstance(value, tuple) else value)
    ranges, measured = (_in_training_pixels(each, scale, pixel_size) for each in (ranges, measured))
    ranges["imaging"]["pixel_size"] = pixel_size * scale
    ranges = {group: {name: _rounded(value) for name, value in values.items()} for group, values in ranges.items()}
    try:
        return ranges, _narrow(microscope, ranges, measured, pixel_size * scale)
    except SettingError as error:
        if len(estimates) == 1:
            raise NotMeasuredError(f"the simulator cannot draw what was measured ({error})") from None
        raise NotMeasuredError(
            f"the images differ too much for one configuration ({error}); fit each kind on its own"
        ) from None


def _in_training_pixels(ranges: Ranges, scale: float, pixel_size: float) -> Ranges:
    """Convert lengths to nm, and values that depend on the pixel to pixels ``scale`` times as large."""
    changed = {group: dict(values) for group, values in ranges.items()}
    for key, power in _BY_SCALE.items():
        group, name = key.split(".")
        if changed[group].get(name) is not None:
            changed[group][name] = [end * scale**power for end in changed[group][name]]
    for group, names in LENGTHS.items():
        for name in names:
            if name in changed[group]:
                changed[group][name] = [end * pixel_size for end in changed[group][name]]
    return changed


def _rounded(value: Any) -> Any:
    if isinstance(value, list):
        ends = [_rounded(each) for each in value]
        return ends[0] if ends[0] == ends[1] else ends
    return float(f"{value:.{_DIGITS + 1}g}") if isinstance(value, float) else value


def _narrow(microscope: Microscope, ranges: Ranges, measured: Ranges, pixel_size: float) -> list[str]:
    """Narrow ranges in place towards the estimates until the simulator accepts them together.

    Ranges still contain the estimates, except for roughness: its highest values are removed if estimates of several
    images exclude each other. Keys that were not measured do not change.

    Returns:
        The narrowed keys.

    Raises:
        SettingError: Even the estimates cannot be drawn.
    """
    size = microscope.imaging.image_size
    view = FieldOfView(size, size, pixel_size)
    times: Counter[str] = Counter()
    while True:
        group = "pattern"
        try:
            dataclasses.replace(microscope.pattern, **ranges["pattern"]).check(view)
            group = "imaging"
            dataclasses.replace(microscope.imaging, **ranges["imaging"])
            return sorted(times)
        except SettingError as error:
            names = [name for name in _TOGETHER.get(error.key, (error.key,)) if name in measured[group]]
            wide = [name for name in names if times[f"{group}.{name}"] < _NARROWINGS]
            for name in wide:
                times[f"{group}.{name}"] += 1
                kept = 0.5 if times[f"{group}.{name}"] < _NARROWINGS else 0.0
                ends = zip(_both_ends(ranges[group][name]), measured[group][name], strict=True)
                ranges[group][name] = _rounded([estimate + kept * (end - estimate) for end, estimate in ends])
            if not wide:
                low, high = _both_ends(ranges["pattern"]["roughness"])
                if error.key != "roughness" or low == high:
                    raise
                ranges["pattern"]["roughness"] = _rounded([low, max(low, _SMOOTHER * high)])
                times["pattern.roughness"] += 1


def _both_ends(value: Any) -> Any:
    return value if isinstance(value, list) else [value, value]


def to_yaml(header: Sequence[str], family: str, ranges: Ranges, remarks: dict[str, str]) -> str:
    """The text of ``conf/microscope/<name>.yaml``.

    Args:
        header: Comment lines at the top.
        family: Family of the pattern.
        ranges: From `make_ranges`.
        remarks: Comments on some keys.
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
    if value is None:
        return "null"
    return f"[{', '.join(_plain(each) for each in value)}]" if isinstance(value, list) else f"{value}"
