"""``sem-fit``: estimate the simulator's settings from real images without labels."""

import re
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import MISSING, DictConfig
from rich.console import Console
from rich.table import Table

from sem_lightning.commands.app import config_folder, run_command
from sem_lightning.commands.provenance import describe_environment
from sem_lightning.commands.settings import build, one_of
from sem_lightning.data.images import ImageError, read_gray
from sem_lightning.errors import SettingError, UserError
from sem_lightning.files import write_atomically, write_json
from sem_lightning.fitting.likeness import Likeness, compare
from sem_lightning.fitting.lines import NotMeasuredError
from sem_lightning.fitting.microscope import (
    Estimate,
    Microscope,
    distance_from_edges,
    estimate,
    find_direction,
    find_family,
    find_polarity,
    is_saturated,
    pool,
)
from sem_lightning.fitting.page import Pair, write_page
from sem_lightning.fitting.settings_file import LENGTHS, choose_scale, make_ranges, to_yaml
from sem_lightning.inspection.data_bar import crop_data_bar
from sem_lightning.inspection.find import find_images
from sem_lightning.inspection.pixel_size import read_pixel_size
from sem_lightning.synthesis.field import Float32
from sem_lightning.synthesis.imaging import POLARITIES, Imaging
from sem_lightning.synthesis.noise import Noise
from sem_lightning.synthesis.patterns.line_space import LineSpace
from sem_lightning.synthesis.patterns.routing import Routing

EXIT_SOME_UNUSED = 3
_LEAST_SIDE = 48  # pixels
_LARGEST_SIDE = 1024  # pixels: of larger images the middle is measured, which says as much
_FAMILIES = ("line_space", "routing")
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_WHY = {
    "line_space": {"imaging.jitter": "the lines do not run down the image, so scan lines do not show it"},
    "routing": {
        "pattern.roughness": "wires have few straight edges; it keeps the range of wires.roughness",
        "imaging.jitter": "wires have few straight edges",
    },
}
_SATURATED = ("imaging.dark", "imaging.contrast", "imaging.bloom", "noise.dose", "noise.gaussian", "noise.salt_pepper")
_NEVER = "drift, vibration, charging, shadows, asymmetry, defocus apart from the beam: one image does not tell them"


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

    def __post_init__(self) -> None:
        one_of("family", self.family, ("auto", *_FAMILIES))
        one_of("polarity", self.polarity, ("auto", *POLARITIES))
        one_of("data_bar", self.data_bar, ("auto", "keep"))
        if not _NAME.fullmatch(self.name):
            raise SettingError("name", f"found {self.name!r}, expected letters, digits, - and _")
        if self.pixel_size is not None and not 0 < self.pixel_size < float("inf"):
            raise SettingError("pixel_size", f"found {self.pixel_size:g}, expected nm above 0")
        if self.output and (Path(self.output).suffix != ".yaml" or Path(self.output).parent.name != "microscope"):
            raise SettingError("output", f"found {self.output!r}, expected .../microscope/NAME.yaml")


@dataclass(frozen=True)
class Usable:
    """An image that shows something to measure."""

    path: Path
    image: Float32
    family: str
    polarity: str
    polarity_seen: bool
    pixel_size: float | None


def main() -> None:
    """Entry point of ``sem-fit``."""
    run_command("fit", FitSettings, fit)


def fit(config: DictConfig) -> None:
    """Measure every image, write the configuration and the report; images that cannot be used are named."""
    settings: FitSettings = build(config, "")
    usable, unused = _open(settings)
    family, polarity = _agree(usable, settings)
    base = settings.lines if family == "line_space" else replace(settings.wires, direction=_direction(usable))
    imaging = replace(settings.imaging, pixel_size=1.0, polarity=polarity)
    microscope = Microscope(base, imaging, settings.noise, polarity)
    found: list[dict[str, Estimate]] = []
    measured: list[Usable] = []
    for item in usable:
        try:
            found.append(_without_guesses(item, estimate(item.image, family, microscope)))
            measured.append(item)
            print(f"{item.path}: measured")
        except NotMeasuredError as error:
            unused.append(f"{item.path}: {error}")
    if not found:
        _fail(unused)
    pixel_size = _pixel_size(settings, measured)
    nm = pixel_size or 1.0
    ranges = make_ranges(family, microscope, found, nm)
    pooled = pool(found)
    missing = [f"{key}: {why}" for key, why in _WHY[family].items() if key not in pooled]
    missing += [f"{key}: pixels are black or white in all images" for key in _SATURATED if key not in pooled]
    missing.append(_NEVER)
    output = Path(settings.output or f"conf/microscope/{settings.name}.yaml").expanduser()
    report = Path(settings.report or f"outputs/fit/{settings.name}").expanduser()
    remarks = {key: _in_words(key, each, nm) for key, each in pooled.items()}
    header = _header(settings, measured, pixel_size, choose_scale(family, found))
    output.parent.mkdir(parents=True, exist_ok=True)
    text = to_yaml(header, family, ranges, remarks)
    write_atomically(output, lambda path: path.write_text(text, encoding="utf-8"))
    likeness = _report(report, settings.name, measured, microscope, found, pooled, ranges, missing, pixel_size)
    _print(pooled, missing, nm, pixel_size, likeness)
    folder = output.parent.parent.resolve()
    found_by_itself = folder in (config_folder().resolve(), Path("conf").resolve())
    print(f"{output} and {report / 'report.html'}; use it with:")
    print(f"  sem-train {'' if found_by_itself else f'--config-dir {output.parent.parent} '}microscope={output.stem}")
    if unused:
        for problem in unused:
            print(f"error: {problem}", file=sys.stderr)
        sys.exit(EXIT_SOME_UNUSED)


def _open(settings: FitSettings) -> tuple[list[Usable], list[str]]:
    """The images that show a pattern, and why each other one does not.

    Raises:
        UserError: None does.
    """
    usable, unused = [], []
    for path in find_images(settings.images):
        try:
            image = read_gray(path)
            if settings.data_bar == "auto":
                image = crop_data_bar(image)
            image = _middle(image)
            if min(image.shape) < _LEAST_SIDE:
                raise NotMeasuredError(
                    f"{image.shape[1]} x {image.shape[0]} pixels; at least {_LEAST_SIDE} each are needed"
                )
            family = find_family(image) if settings.family == "auto" else settings.family
            polarity, seen = find_polarity(image, family)
            size = settings.pixel_size or (read_pixel_size(path) if path.suffix.lower() in (".tif", ".tiff") else None)
            usable.append(Usable(path, image, family, polarity, seen, size))
        except ImageError as error:
            unused.append(str(error))
        except NotMeasuredError as error:
            unused.append(f"{path}: {error}")
    if not usable:
        _fail(unused)
    return usable, unused


def _middle(image: Float32) -> Float32:
    height, width = (min(n, _LARGEST_SIDE) for n in image.shape)
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return np.ascontiguousarray(image[top : top + height, left : left + width])


def _fail(unused: list[str]) -> None:
    raise UserError(f"nothing could be estimated, and nothing was written: {'; '.join(unused)}")


def _agree(usable: list[Usable], settings: FitSettings) -> tuple[str, str]:
    """The family and polarity of all images.

    Raises:
        SettingError: They differ.
    """
    families = {item.family for item in usable}
    if len(families) > 1:
        example = {family: next(item.path for item in usable if item.family == family) for family in sorted(families)}
        raise SettingError(
            "images", f"show different patterns ({', '.join(f'{path}: {name}' for name, path in example.items())}); "
            "fit each kind on its own, or say which it is with family="
        )  # fmt: skip
    family = families.pop()
    if settings.polarity != "auto":
        return family, settings.polarity
    votes = [item.polarity for item in usable if item.polarity_seen] or [item.polarity for item in usable]
    polarity = max(POLARITIES, key=votes.count)
    if not any(item.polarity_seen for item in usable):
        print(f"polarity: {polarity} features assumed, as is usual; the images look the same either way (polarity=...)")
    return family, polarity


def _direction(usable: list[Usable]) -> str:
    found = {find_direction(item.image) for item in usable}
    return found.pop() if len(found) == 1 else "either"


def _without_guesses(item: Usable, found: dict[str, Estimate]) -> dict[str, Estimate]:
    if not is_saturated(item.image):
        return found
    print(f"{item.path}: more than 2 % of the pixels are black or white, so its levels and noise are not used")
    return {key: each for key, each in found.items() if key not in _SATURATED}


def _pixel_size(settings: FitSettings, measured: list[Usable]) -> float | None:
    sizes = {item.pixel_size for item in measured}
    if len(sizes) > 1:
        listed = ", ".join(sorted(f"{size:g} nm" if size else "unknown" for size in sizes))
        raise SettingError("pixel_size", f"the images differ ({listed}); fit each size on its own, or give pixel_size=")
    return sizes.pop()


def _in_words(key: str, each: Estimate, nm: float) -> str:
    group, name = key.split(".")
    factor = nm if name in LENGTHS.get(group, ()) else 1.0
    return f"{each.value * factor:.4g} +- {each.sigma * factor:.2g}"


def _header(settings: FitSettings, measured: list[Usable], pixel_size: float | None, scale: float) -> list[str]:
    size = f"{pixel_size:g} nm" if pixel_size else "unknown: 1 nm here stands for a pixel of the files"
    lines = [
        f"{settings.name}: what sem-fit estimated from {len(measured)} image{'s' * (len(measured) > 1)}, "
        f"{measured[0].path.name}{' and others' * (len(measured) > 1)}.",
        "Beside each range: the estimate and its standard uncertainty; without one, the image does not tell.",
        f"Pixel size of the files: {size}.",
        f"  python train.py microscope={settings.name}",
    ]
    if scale > 1:
        lines.append(f"A training pixel is {scale:.3g} pixels of the files, so that enough of the pattern is seen.")
    if not pixel_size:
        lines.append("To predict: sem-predict pixel_size=1 ckpt=... images=...  (tiles at the training's scale)")
    return lines


def _report(
    folder: Path,
    name: str,
    measured: list[Usable],
    microscope: Microscope,
    found: list[dict[str, Estimate]],
    pooled: dict[str, Estimate],
    ranges: dict[str, dict[str, Any]],
    missing: list[str],
    pixel_size: float | None,
) -> Likeness:
    """Write ``report.html`` and ``fit.json``; returns how far real and simulated images are apart."""
    nm = pixel_size or 1.0
    family = measured[0].family
    pairs = []
    for number, (item, estimates) in enumerate(zip(measured, found, strict=True)):
        likewise = microscope.with_values({key: each.value for key, each in estimates.items()})
        image = likewise.simulate((item.image.shape[0], item.image.shape[1]), 1000 + number)
        phis = (distance_from_edges(each, family, microscope.polarity) for each in (item.image, image))
        pairs.append(Pair(item.image, next(phis), image, next(phis)))
    likeness = compare([pair.real for pair in pairs], [pair.simulated for pair in pairs])
    rows = []
    for key in sorted(pooled):
        group, key_name = key.split(".")
        cells = [_in_words(key, each[key], nm) if key in each else "" for each in found]
        low, high = ranges[group][key_name]
        rows.append([key, _in_words(key, pooled[key], nm), *cells, f"{low:g} to {high:g}"])
    folder.mkdir(parents=True, exist_ok=True)
    environment = describe_environment()
    facts = {
        "name": name,
        "family": family,
        "polarity": microscope.polarity,
        "unit": "nm" if pixel_size else "pixels of the files",
        "images": [item.path.name for item in measured],
        "rows": rows,
        "missing": missing,
        "facts": " ".join(["python", *environment["command"]]),
    }
    write_page(folder / "report.html", pairs, likeness, facts)
    content = {
        "family": family,
        "polarity": microscope.polarity,
        "pixel_size": pixel_size,
        "likeness": {"accuracy": likeness.accuracy, "right": likeness.right, "patches": likeness.patches},
        "images": [
            {"path": str(item.path), "pixels": {key: [each.value, each.sigma] for key, each in estimates.items()}}
            for item, estimates in zip(measured, found, strict=True)
        ],
        "ranges": ranges,
        "not_estimated": missing,
    }
    write_json(folder / "fit.json", content | environment)
    return likeness


def _print(
    pooled: dict[str, Estimate], missing: list[str], nm: float, pixel_size: float | None, likeness: Likeness
) -> None:
    table = Table("key", f"estimate ({'lengths in nm' if pixel_size else 'lengths in pixels'})")
    for key in sorted(pooled):
        table.add_row(key, _in_words(key, pooled[key], nm))
    Console().print(table)
    for line in missing:
        print(f"not estimated: {line}")
    print(f"a classifier tells {likeness.accuracy:.3f} of {likeness.patches} patches from simulated ones (0.5: none)")
