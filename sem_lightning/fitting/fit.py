"""Estimates the simulator's settings from real images without labels."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from sem_lightning.errors import NotMeasuredError, SettingError, UserError
from sem_lightning.fitting.estimate import Estimate, align, estimate
from sem_lightning.fitting.fit_report import Pair
from sem_lightning.fitting.fit_result import FitResult
from sem_lightning.fitting.fit_settings import FitSettings
from sem_lightning.fitting.input_checks import (
    UsableImage,
    common_direction,
    common_family,
    common_pixel_size,
    common_polarity,
    open_images,
)
from sem_lightning.fitting.measure import distance_from_edges, is_saturated
from sem_lightning.fitting.microscope import Microscope
from sem_lightning.fitting.settings_file import choose_scale, make_ranges
from sem_lightning.fitting.two_sample_test import TwoSampleTest, compare
from sem_lightning.io.atomic import check_writable, printable
from sem_lightning.io.find import find_images
from sem_lightning.provenance import describe_environment
from sem_lightning.synthesis.field import Float32

_TRIES = 5  # images simulated with the estimates, of which one must be measurable
_UNLIKE, _FEWEST_PATCHES = 0.98, 64  # accuracy on at least so many patches above which the fit is rejected
_NEEDED, _GUESS = ("pattern.pitch", "pattern.duty"), 0.4  # keys that a fit needs; their largest relative uncertainty
_WHY = {
    "line_space": {
        "imaging.jitter": "the lines do not run down the image, so they do not show how rows were shifted",
        "imaging.streaks": "the lines run along the rows, so uneven rows do not show",
    },
    "routing": {
        "pattern.roughness": "wires have few straight edges; it keeps the range of wires.roughness",
        "imaging.jitter": "wires have few straight edges",
    },
}
_SATURATED = (
    "imaging.dark",
    "imaging.contrast",
    "imaging.bloom",
    "imaging.bloom_inside",
    "imaging.bloom_outside",
    "imaging.beam",
    "imaging.grain_amplitude",
    "noise.dose",
    "noise.smear",
    "noise.gaussian",
    "noise.salt_pepper",
)
_NEVER = (
    "drift, vibration, charging, shadows, asymmetry, uneven light, defocus apart from the beam: one image does not "
    "determine them"
)


@dataclass(frozen=True)
class FitOutcome:
    """The outcome of a fit.

    Attributes:
        result: The estimates.
        test: Two-sample test between patches of the images and simulated ones.
        missing: Keys without an estimate, and the reasons.
        unused: Images that could not be used, and the reasons.
        settings_file: The written configuration.
        report: Folder of the report.
    """

    result: FitResult
    test: TwoSampleTest
    missing: list[str]
    unused: list[str]
    settings_file: Path
    report: Path

    @property
    def is_unlike(self) -> bool:
        """Whether simulated images differ so much from the real ones that the configuration is of no use."""
        return _is_unlike(self.test)


def fit(settings: FitSettings, say: Callable[[str], object] = lambda line: None) -> FitOutcome:
    """Measure every image, then write the configuration and the report.

    Args:
        settings: See ``conf/fit.yaml``.
        say: Called with each remark.

    Raises:
        UserError: No image could be measured, or the simulator cannot make such images; nothing was written.
    """
    output = Path(settings.output or f"conf/microscope/{settings.name}.yaml").expanduser()
    report = Path(settings.report or f"outputs/fit/{settings.name}").expanduser()
    _check_places(settings, output, report)
    paths = find_images(settings.images)
    usable, unused = open_images(paths, settings.family, settings.pixel_size, settings.data_bar == "auto")
    if not usable:
        _fail(unused)
    microscope, family, pixel_size = _choose_microscope(settings, usable, say)
    measured = _measure(usable, family, microscope, unused, say)
    if not measured:
        _fail(unused)
    found = align([each.found for each in measured])
    ranges, narrowed = make_ranges(family, microscope, found, pixel_size or 1.0)
    scale = choose_scale(family, found, microscope.imaging.image_size)
    used = [each.path for each in measured]
    result = FitResult(settings.name, family, microscope.polarity, pixel_size, used, found, ranges, narrowed, scale)
    pairs = [each.pair for each in measured]
    test = compare([pair.real for pair in pairs], [pair.simulated for pair in pairs])
    if settings.family == "auto" and _is_unlike(test) and not any(each.saturated for each in measured):
        raise UserError(
            f"a classifier separates {test.accuracy:.1%} of {test.patches} patches from simulated ones, so "
            f"the images do not show {family}, and nothing was written; if they do, use family={family}"
        )
    missing = _not_estimated(result, measured)
    result.write_report(report, pairs, test, missing, describe_environment())
    result.write_settings(output)
    return FitOutcome(result, test, missing, unused, output, report)


def _check_places(settings: FitSettings, output: Path, report: Path) -> None:
    """Check before measuring that the outputs can be written and overwrite nothing."""
    if output.is_dir():
        raise SettingError("output", f"{output} is a folder; name a file")
    if output.exists() and not settings.overwrite:
        key = "output" if settings.output else "name"
        raise SettingError(key, f"{output} exists; choose another, or replace it with overwrite=true")
    check_writable("output", output.parent)
    check_writable("report", report)


def _is_unlike(test: TwoSampleTest) -> bool:
    return test.patches >= _FEWEST_PATCHES and test.accuracy >= _UNLIKE


def _fail(unused: list[str]) -> None:
    raise UserError(f"nothing could be estimated, and nothing was written: {printable('; '.join(unused))}")


@dataclass(frozen=True)
class _Measured:
    """The measurements of one image: informative estimates, the keys that were tried, and images to compare."""

    path: Path
    found: dict[str, Estimate]
    tried: set[str]
    pair: Pair
    saturated: bool


def _measure(
    usable: list[UsableImage], family: str, microscope: Microscope, unused: list[str], say: Callable[[str], object]
) -> list[_Measured]:
    """Measure every image. ``unused`` collects the reasons for images that cannot be measured."""
    measured = []
    for item in usable:
        saturated = is_saturated(item.image)
        try:
            estimates = estimate(item.image, family, microscope)
            found = _without_guesses(item.path, estimates, microscope, saturated, say)
            pair = _simulate_likewise(item.image, family, microscope, estimates)
        except NotMeasuredError as error:
            unused.append(f"{item.path}: {error}")
            continue
        measured.append(_Measured(item.path, found, set(estimates), pair, saturated))
        say(f"{printable(item.path)}: measured")
    return measured


def _choose_microscope(
    settings: FitSettings, usable: list[UsableImage], say: Callable[[str], object]
) -> tuple[Microscope, str, float | None]:
    """Values that are not measured; the family of the pattern; and the files' pixel size in nm, if known."""
    family, pixel_size = common_family(usable), common_pixel_size(usable)
    polarity, seen = common_polarity(usable)
    if settings.polarity != "auto":
        polarity = settings.polarity
    elif not seen:
        say(f"polarity: {polarity} features assumed, as is usual; the images do not determine it (polarity=...)")
    wires = replace(settings.wires, direction=common_direction(usable), polarity=polarity)
    imaging = replace(settings.imaging, polarity=polarity)
    base = settings.lines if family == "line_space" else wires
    return Microscope(base, imaging, settings.noise, polarity), family, pixel_size


def _simulate_likewise(image: Float32, family: str, microscope: Microscope, found: dict[str, Estimate]) -> Pair:
    """A real image and one that is simulated with its estimates.

    Raises:
        NotMeasuredError: None of several simulated images shows the pattern.
    """
    phi = distance_from_edges(image, family, microscope.polarity)
    try:
        likewise = microscope.with_values({key: each.value for key, each in found.items()})
    except SettingError as error:
        raise NotMeasuredError(f"the simulator cannot make what was measured ({error})") from None
    for number in range(_TRIES):
        simulated = likewise.simulate((image.shape[0], image.shape[1]), 1000 + number)
        try:
            return Pair(image, phi, simulated, distance_from_edges(simulated, family, microscope.polarity))
        except NotMeasuredError:
            continue
    raise NotMeasuredError("images simulated with what was measured cannot be measured; the pattern shows too little")


def _without_guesses(
    path: Path,
    found: dict[str, Estimate],
    microscope: Microscope,
    saturated: bool,
    say: Callable[[str], object],
) -> dict[str, Estimate]:
    """The estimates that are more precise than the usual range.

    Raises:
        NotMeasuredError: The pitch or duty is not among them.
    """
    for key in _NEEDED:
        each = found[key]
        if each.sigma > _GUESS * each.value:
            raise NotMeasuredError(
                f"the {key.partition('.')[2]} would be a guess ({each.value:.3g} +- {each.sigma:.2g})"
            )
    name = printable(path)
    vague = [
        key for key, each in found.items() if key not in _NEEDED and microscope.is_vague(key, each.value, each.sigma)
    ]
    if vague:
        say(f"{name}: does not determine {', '.join(sorted(vague))}")
    if saturated:
        say(f"{name}: more than 2 % of the pixels are black or white, so its levels, rims and noise are not used")
        vague += _SATURATED
    return {key: each for key, each in found.items() if key not in vague}


def _not_estimated(fitted: FitResult, measured: list[_Measured]) -> list[str]:
    """Keys without an estimate, and the reasons."""
    tried = set().union(*(each.tried for each in measured))
    saturated = all(each.saturated for each in measured)
    missing = [f"{key}: {why}" for key, why in _WHY[fitted.family].items() if key not in tried]
    for key in sorted(tried.difference(fitted.pooled)):
        black = saturated and key in _SATURATED
        why = "pixels are black or white in all images" if black else "the images say less than what is usual does"
        missing.append(f"{key}: {why}")
    return [*missing, _NEVER]
