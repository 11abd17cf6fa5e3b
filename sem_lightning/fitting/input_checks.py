"""Checks which images can be measured, and finds their common properties."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sem_lightning.errors import NotMeasuredError, SettingError
from sem_lightning.fitting.measure import find_polarity
from sem_lightning.fitting.two_sample_test import PATCH
from sem_lightning.io.data_bar import crop_data_bar
from sem_lightning.io.images import ImageError, center_crop, read_gray
from sem_lightning.io.pixel_size import read_pixel_size
from sem_lightning.metrology.pattern_family import find_direction, find_family
from sem_lightning.metrology.usability import find_fault
from sem_lightning.polarity import POLARITIES
from sem_lightning.synthesis.field import Float32

_LEAST_SIDE = 2 * PATCH
_LARGEST_SIDE = 1024  # pixels; only the middle of larger images is measured
_LEAST_SPAN = 0.07  # of full scale; images of less contrast are not simulated
_SAME_SIZE = 1e-3  # relative difference of equal pixel sizes, because TIFF stores fractions


@dataclass(frozen=True)
class UsableImage:
    """An image that can be measured.

    Attributes:
        path: The file.
        image: float32 [H, W] in [0, 1], without its data bar.
        family: ``line_space`` or ``routing``.
        polarity: ``bright`` or ``dark``: brightness of the feature.
        polarity_seen: Whether the image determines the polarity.
        pixel_size: nm, if known.
    """

    path: Path
    image: Float32
    family: str
    polarity: str
    polarity_seen: bool
    pixel_size: float | None


def open_image(path: Path, family: str, pixel_size: float | None, crop: bool) -> UsableImage:
    """Read an image and find its pattern.

    Args:
        path: The file.
        family: Its pattern, or ``auto``.
        pixel_size: nm; ``None`` takes that of its tags.
        crop: Whether its data bar is cropped.

    Raises:
        ImageError: The file cannot be read.
        NotMeasuredError: The image shows no measurable pattern.
    """
    image = read_gray(path)
    if crop:
        image = crop_data_bar(image)
    image = np.ascontiguousarray(center_crop(image, _LARGEST_SIDE))
    height, width = image.shape
    if min(image.shape) < _LEAST_SIDE:
        raise NotMeasuredError(f"{width} x {height} pixels; at least {_LEAST_SIDE} along each side are needed")
    darkest, brightest = np.percentile(image, [0.5, 99.5])
    if 0 < brightest - darkest < _LEAST_SPAN:
        raise NotMeasuredError(
            f"grey levels take up {brightest - darkest:.1%} of full scale (12 bits in a file of 16?); stretch them to "
            f"{_LEAST_SPAN:.0%} at least"
        )
    fault = find_fault(image)
    if fault is not None:
        raise NotMeasuredError(f"{fault}; there is nothing to measure")
    family = find_family(image, None if family == "auto" else family)
    polarity, seen = find_polarity(image, family)
    pixel_size = read_pixel_size(path) if pixel_size is None else pixel_size
    return UsableImage(path, image, family, polarity, seen, pixel_size)


def open_images(
    paths: Sequence[Path], family: str, pixel_size: float | None, crop: bool
) -> tuple[list[UsableImage], list[str]]:
    """The images that show a pattern, and the reasons for the other ones; see `open_image`."""
    usable, unused = [], []
    for path in paths:
        try:
            usable.append(open_image(path, family, pixel_size, crop))
        except ImageError as error:
            unused.append(str(error))
        except NotMeasuredError as error:
            unused.append(f"{path}: {error}")
    return usable, unused


def common_family(usable: Sequence[UsableImage]) -> str:
    """The pattern family of all images.

    Raises:
        SettingError: They differ.
    """
    examples = {item.family: item.path for item in reversed(usable)}
    if len(examples) > 1:
        listed = ", ".join(f"{path}: {family}" for family, path in sorted(examples.items()))
        raise SettingError(
            "images", f"show different patterns ({listed}); fit each kind on its own, or say which it is with family="
        )
    return usable[0].family


def common_polarity(usable: Sequence[UsableImage]) -> tuple[str, bool]:
    """The polarity of most images, and whether any image determines it."""
    seen = [item.polarity for item in usable if item.polarity_seen]
    votes = seen or [item.polarity for item in usable]
    return max(POLARITIES, key=votes.count), bool(seen)


def common_direction(usable: Sequence[UsableImage]) -> str:
    """The direction of wires."""
    found = {find_direction(item.image) for item in usable}
    return found.pop() if len(found) == 1 else "either"


def common_pixel_size(usable: Sequence[UsableImage]) -> float | None:
    """The pixel size of the files in nm, if known.

    Raises:
        SettingError: They differ.
    """
    first = usable[0].pixel_size
    for item in usable:
        size = item.pixel_size
        if (size is None) != (first is None) or (
            size is not None and first is not None and not math.isclose(size, first, rel_tol=_SAME_SIZE)
        ):
            words = [f"{path}: {f'{each:.6g} nm' if each else 'unknown'}" for path, each in
                     ((usable[0].path, first), (item.path, size))]  # fmt: skip
            raise SettingError(
                "pixel_size", f"the images differ ({', '.join(words)}); fit each size on its own, or give pixel_size="
            )
    return first
