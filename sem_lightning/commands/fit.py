"""``sem-fit``: estimate the simulator's settings from real images without labels."""

import re
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from omegaconf import MISSING, DictConfig
from rich.console import Console
from rich.table import Table

from sem_lightning.commands.app import EXIT_SOME_UNUSABLE, config_folder, run_command
from sem_lightning.commands.provenance import describe_environment
from sem_lightning.commands.settings import build, one_of
from sem_lightning.errors import SettingError, UserError
from sem_lightning.files import check_writable, printable
from sem_lightning.fitting.estimate import Estimate, align, estimate
from sem_lightning.fitting.fitted import Fitted
from sem_lightning.fitting.likeness import Likeness, compare
from sem_lightning.fitting.lines import NotMeasuredError
from sem_lightning.fitting.measure import distance_from_edges, is_saturated
from sem_lightning.fitting.microscope import Microscope
from sem_lightning.fitting.page import Pair
from sem_lightning.fitting.settings_file import choose_scale, make_ranges
from sem_lightning.fitting.usable import (
    Usable,
    common_direction,
    common_family,
    common_pixel_size,
    common_polarity,
    open_images,
)
from sem_lightning.inspection.find import find_images
from sem_lightning.inspection.pixel_size import LARGEST
from sem_lightning.synthesis.field import Float32
from sem_lightning.synthesis.imaging import Imaging
from sem_lightning.synthesis.noise import Noise
from sem_lightning.synthesis.patterns.line_space import LineSpace
from sem_lightning.synthesis.patterns.pattern import POLARITIES
from sem_lightning.synthesis.patterns.routing import Routing

_TRIES = 5  # images simulated likewise, of which one has to show the pattern
_UNLIKE, _FEWEST_PATCHES = 0.98, 64  # share told apart from which on, of so many, nothing of the images is met
_NEEDED, _GUESS = ("pattern.pitch", "pattern.duty"), 0.4  # without which there is no fit; uncertainty that is too much
_OURS = ("metal",)  # that come with the package
_FAMILIES = ("line_space", "routing")
_NAME = re.compile(r"[A-Za-z0-9_-]+")
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
    "tell them"
)


@dataclass
class FitSettings:
    """``conf/fit.yaml``."""

    lines: LineSpace = MISSING
    wires: Routing = MISSING
    imaging: Imaging = MISSING
    noise: Noise = MISSING
    images: str = MISSING
    name: str = MISSING
    output: str | None = MISSING
    report: str | None = MISSING
    family: str = MISSING
    polarity: str = MISSING
    pixel_size: float | None = MISSING
    data_bar: str = MISSING
    overwrite: bool = MISSING

    def __post_init__(self) -> None:
        one_of("family", self.family, ("auto", *_FAMILIES))
        one_of("polarity", self.polarity, ("auto", *POLARITIES))
        one_of("data_bar", self.data_bar, ("auto", "keep"))
        if not _NAME.fullmatch(self.name):
            raise SettingError("name", f"found {self.name!r}, expected letters, digits, - and _")
        if self.name in _OURS and self.output is None:
            raise SettingError("name", f"{self.name} comes with the package; choose another, or give output=")
        for key, usual in (("polarity", "auto"), ("pixel_size", 1.0)):
            if getattr(self.imaging, key) != usual:
                raise SettingError(f"imaging.{key}", f"is not asked for here; use {key}=")
        if self.pixel_size is not None and not 0 < self.pixel_size <= LARGEST:
            raise SettingError("pixel_size", f"found {self.pixel_size:g}, expected above 0 to {LARGEST:g} nm")
        if self.output and (Path(self.output).suffix != ".yaml" or Path(self.output).parent.name != "microscope"):
            raise SettingError("output", f"found {self.output!r}, expected .../microscope/NAME.yaml")


def main() -> None:
    """Entry point of ``sem-fit``."""
    run_command("fit", FitSettings, fit)


def fit(config: DictConfig) -> None:
    """Measure every image, write the configuration and the report; images that cannot be used are named."""
    settings: FitSettings = build(config, "")
    output = Path(settings.output or f"conf/microscope/{settings.name}.yaml").expanduser()
    report = Path(settings.report or f"outputs/fit/{settings.name}").expanduser()
    _check_places(settings, output, report)
    paths = find_images(settings.images)
    usable, unused = open_images(paths, settings.family, settings.pixel_size, settings.data_bar == "auto")
    if not usable:
        _fail(unused)
    microscope, family, pixel_size = _choose_microscope(settings, usable)
    measured = _measure(usable, family, microscope, unused)
    if not measured:
        _fail(unused)
    found = align([each.found for each in measured])
    ranges, narrowed = make_ranges(family, microscope, found, pixel_size or 1.0)
    scale = choose_scale(family, found, microscope.imaging.image_size)
    used = [each.path for each in measured]
    fitted = Fitted(settings.name, family, microscope.polarity, pixel_size, used, found, ranges, narrowed, scale)
    pairs = [each.pair for each in measured]
    likeness = compare([pair.real for pair in pairs], [pair.simulated for pair in pairs])
    if settings.family == "auto" and _is_unlike(likeness) and not any(each.saturated for each in measured):
        raise UserError(
            f"a classifier tells {likeness.accuracy:.1%} of {likeness.patches} patches from simulated ones, so "
            f"{family} is not what the images show, and nothing was written; where it is, say so with family={family}"
        )
    missing = _not_estimated(fitted, measured)
    fitted.write_report(report, pairs, likeness, missing, describe_environment())
    fitted.write_settings(output)
    _print(fitted, missing, likeness)
    if _is_unlike(likeness):
        print("so the configuration does not look like the images: see the report before you use it")
    folder = output.parent.parent.resolve()
    found_by_itself = folder in (config_folder().resolve(), Path("conf").resolve())
    print(f"{output} and {report / 'report.html'}; use it with:")
    print(f"  sem-train {'' if found_by_itself else f'--config-dir {output.parent.parent} '}microscope={output.stem}")
    if unused:
        for problem in unused:
            print(f"error: {printable(problem)}", file=sys.stderr)
        sys.exit(EXIT_SOME_UNUSABLE)


def _check_places(settings: FitSettings, output: Path, report: Path) -> None:
    """Refuse, before anything is measured, what could not be written or would be lost."""
    if output.is_dir():
        raise SettingError("output", f"{output} is a folder; name a file")
    if output.exists() and not settings.overwrite:
        key = "output" if settings.output else "name"
        raise SettingError(key, f"{output} exists; choose another, or replace it with overwrite=true")
    check_writable("output", output.parent)
    check_writable("report", report)


def _is_unlike(likeness: Likeness) -> bool:
    return likeness.patches >= _FEWEST_PATCHES and likeness.accuracy >= _UNLIKE


def _fail(unused: list[str]) -> None:
    raise UserError(f"nothing could be estimated, and nothing was written: {printable('; '.join(unused))}")


@dataclass(frozen=True)
class _Measured:
    """What one image told: estimates, those that say nothing left out; the keys that were tried; images to compare."""

    path: Path
    found: dict[str, Estimate]
    tried: set[str]
    pair: Pair
    saturated: bool


def _measure(usable: list[Usable], family: str, microscope: Microscope, unused: list[str]) -> list[_Measured]:
    """Measure every image; why others cannot be goes into ``unused``."""
    measured = []
    for item in usable:
        saturated = is_saturated(item.image)
        try:
            estimates = estimate(item.image, family, microscope)
            found = _without_guesses(item.path, estimates, microscope, saturated)
            pair = _simulate_likewise(item.image, family, microscope, estimates)
        except NotMeasuredError as error:
            unused.append(f"{item.path}: {error}")
            continue
        measured.append(_Measured(item.path, found, set(estimates), pair, saturated))
        print(f"{printable(item.path)}: measured")
    return measured


def _choose_microscope(settings: FitSettings, usable: list[Usable]) -> tuple[Microscope, str, float | None]:
    """What nobody measures; the family of the pattern; and nm of the files' pixels, where known."""
    family, pixel_size = common_family(usable), common_pixel_size(usable)
    polarity, seen = common_polarity(usable)
    if settings.polarity != "auto":
        polarity = settings.polarity
    elif not seen:
        print(f"polarity: {polarity} features assumed, as is usual; the images look the same either way (polarity=...)")
    wires = replace(settings.wires, direction=common_direction(usable), polarity=polarity)
    imaging = replace(settings.imaging, polarity=polarity)
    base = settings.lines if family == "line_space" else wires
    return Microscope(base, imaging, settings.noise, polarity), family, pixel_size


def _simulate_likewise(image: Float32, family: str, microscope: Microscope, found: dict[str, Estimate]) -> Pair:
    """A real image beside one that is simulated with its estimates.

    Raises:
        NotMeasuredError: None of several such images shows its pattern.
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
    path: Path, found: dict[str, Estimate], microscope: Microscope, saturated: bool
) -> dict[str, Estimate]:
    """The estimates that say more than what is usual does.

    Raises:
        NotMeasuredError: The pattern itself is not among them.
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
        print(f"{name}: does not tell {', '.join(sorted(vague))}")
    if saturated:
        print(f"{name}: more than 2 % of the pixels are black or white, so its levels, rims and noise are not used")
        vague += _SATURATED
    return {key: each for key, each in found.items() if key not in vague}


def _not_estimated(fitted: Fitted, measured: list[_Measured]) -> list[str]:
    """What has no estimate, and why."""
    tried = set().union(*(each.tried for each in measured))
    saturated = all(each.saturated for each in measured)
    missing = [f"{key}: {why}" for key, why in _WHY[fitted.family].items() if key not in tried]
    for key in sorted(tried.difference(fitted.pooled)):
        black = saturated and key in _SATURATED
        why = "pixels are black or white in all images" if black else "the images say less than what is usual does"
        missing.append(f"{key}: {why}")
    return [*missing, _NEVER]


def _print(fitted: Fitted, missing: list[str], likeness: Likeness) -> None:
    table = Table("key", f"estimate ({fitted.unit})")
    for key in sorted(fitted.pooled):
        table.add_row(key, fitted.in_words(key, fitted.pooled[key]))
    Console().print(table)
    for line in missing:
        print(f"not estimated: {line}")
    if fitted.narrowed:
        print(f"narrower than their uncertainty, for the simulator cannot draw all of it: {', '.join(fitted.narrowed)}")
    print(f"a classifier tells {likeness.accuracy:.3f} of {likeness.patches} patches from simulated ones (0.5: none)")


if __name__ == "__main__":
    main()
