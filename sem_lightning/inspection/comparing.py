"""Compares an image with each of its references, or with itself."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from sem_lightning.inspection.compared_reference import ComparedReference
from sem_lightning.inspection.inspection import Registration
from sem_lightning.inspection.references import SELF
from sem_lightning.inspection.registration import Shift, find_periods, register, register_near
from sem_lightning.io.gray_image import GrayImage
from sem_lightning.metrology.usability import find_fault
from sem_lightning.synthesis.field import Float32

_SAME_SIZE = 0.005  # relative difference of pixel sizes that are equal
_LARGEST_RATIO = 4.0  # of pixel sizes
_ASKEW = 0.5  # sine of the angle from which two periods have different directions


@dataclass(frozen=True)
class ComparedReferences:
    """What came of the references of an image.

    Attributes:
        fault: Why none of them could be compared; ``None`` if one was.
        compared: Those that could be.
        registration: Of the first one that was compared, or else of the last one that was tried; ``None`` if none was.
        remarks: One line for each reference that was scaled or not used.
    """

    fault: str | None
    compared: tuple[ComparedReference, ...] = ()
    registration: Registration | None = None
    remarks: tuple[str, ...] = ()


def compare_references(image: GrayImage, names: Sequence[str], references: Sequence[GrayImage]) -> ComparedReferences:
    """Register each reference on the image and compare the two.

    Args:
        image: An image without a fault.
        names: Of the references.
        references: As many of them, at least one.
    """
    compared: list[ComparedReference] = []
    refused: list[tuple[str, str]] = []
    remarks: list[str] = []
    registration = None
    for name, reference in zip(names, references, strict=True):
        fault = _find_reference_fault(image, reference)
        if fault is None:
            pixels, said = _at_pixel_size(reference, image)
            remarks += [f"{name}: {each}" for each in said]
            registration = register(image.pixels, pixels)
            fault = registration.fault
            if fault is None:
                compared.append(ComparedReference.of(name, image.pixels, pixels, registration))
        if fault is not None:
            refused.append((name, fault))
    if not compared:
        return ComparedReferences(refused[0][1], (), registration, tuple(remarks))
    remarks += [f"{name}: not used, {fault}" for name, fault in refused]
    return ComparedReferences(None, tuple(compared), compared[0].registration, tuple(remarks))


def compare_self(image: GrayImage) -> ComparedReferences:
    """Compare an image without a fault with itself, shifted by its own periods."""
    compared = []
    for shift in _neighbours(find_periods(image.pixels)):
        registration = register_near(image.pixels, image.pixels, shift)
        if registration.fault is None and math.hypot(*registration.shift) > math.hypot(*shift) / 2:
            compared.append(ComparedReference.of(SELF, image.pixels, image.pixels, registration))
    if not compared:
        return ComparedReferences("no period")
    return ComparedReferences(None, tuple(compared), compared[0].registration)


def _find_reference_fault(image: GrayImage, reference: GrayImage) -> str | None:
    """Why a reference cannot be used, before it is registered."""
    if image.pixels.shape == reference.pixels.shape and np.array_equal(image.pixels, reference.pixels):
        return "same image"
    fault = find_fault(reference.pixels)
    if fault is not None:
        return f"reference {fault}"
    if image.pixel_size and reference.pixel_size:
        ratio = reference.pixel_size / image.pixel_size
        if not 1 / _LARGEST_RATIO <= ratio <= _LARGEST_RATIO:
            return "other magnification"
    return None


def _at_pixel_size(reference: GrayImage, image: GrayImage) -> tuple[Float32, list[str]]:
    """The reference at the image's pixel size, and what was done."""
    if not image.pixel_size or not reference.pixel_size:
        return reference.pixels, []
    ratio = reference.pixel_size / image.pixel_size
    if abs(ratio - 1) <= _SAME_SIZE:
        return reference.pixels, []
    how = cv2.INTER_AREA if ratio < 1 else cv2.INTER_CUBIC
    scaled = cv2.resize(reference.pixels, None, fx=ratio, fy=ratio, interpolation=how)
    return np.asarray(scaled, np.float32), [
        f"scaled from {reference.pixel_size:.4g} to {image.pixel_size:.4g} nm a pixel"
    ]


def _neighbours(periods: Sequence[Shift]) -> list[Shift]:
    """Shifts to the cells that a cell is compared with: two on either side, and one in a second direction.

    A cell at the border has neighbours on one side only. With two of them it differs from one if that one has a defect,
    and from both if it has a defect itself.
    """
    if not periods:
        return []
    (x, y), chosen = periods[0], []
    for steps in (1, -1, 2, -2):
        chosen.append((steps * x, steps * y))
    askew = ((a, b) for a, b in periods if abs(a * y - b * x) > _ASKEW * math.hypot(a, b) * math.hypot(x, y))
    for a, b in itertools.islice(askew, 1):
        chosen += [(a, b), (-a, -b)]
    return chosen
