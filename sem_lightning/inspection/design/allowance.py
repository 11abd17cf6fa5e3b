"""What an image may show of a design: slow changes of brightness, and edges that lie a little elsewhere."""

import math

import cv2
import numpy as np
import scipy.ndimage

from sem_lightning.inspection.design.microscope import Bools, Microscope, Outline, measure_profile
from sem_lightning.synthesis.field import Float32

_SLOW = 24  # a side holds so many standard deviations of the blur whose result is slow change of brightness
_LEAST_SLOW = 20.0  # pixels, the least of it
_CLIPPED = 2.0  # standard deviations beyond which a difference does not count as slow change
_ROUNDS = 4
_FEWEST = 100  # pixels
_LARGEST_CHARGE = 0.4  # of the contrast of feature and ground, by which one may come nearer to the other
_GLOW = 64  # pixels from the design's border that may be brighter
_SMOOTHING = 1.5  # pixels
_LEAST_CONTRAST = 0.27  # of that contrast, below which a difference is one of brightness, and no place
_LEAST_AT_EDGES = 0.6  # the same within twice what is forgiven from an outline, where rims are brighter or darker


def depth_of(shown: Bools) -> Float32:
    """Distance of each pixel from what the design does not show."""
    known = np.pad(shown, 1).astype(np.uint8)
    return np.asarray(cv2.distanceTransform(known, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1], np.float32)


def match(image: Float32, microscope: Microscope, outline: Outline, shown: Bools, forgiven: float) -> Float32:
    """The design as the microscope shows it, with the image's slow changes of brightness, on feature and ground each.

    Args:
        image: float32 [H, W].
        microscope: See `fit`.
        outline: See `fit`.
        shown: bool [H, W], where the design shows something.
        forgiven: Pixels by which edges may lie elsewhere.
    """
    reference = microscope.render(outline)
    changed = reference.copy()
    depth = depth_of(shown)
    feature = np.clip(outline.phi / forgiven + 0.5, 0, 1)
    sigma = max(max(image.shape) / _SLOW, _LEAST_SLOW)
    for side, share in ((1, feature), (-1, 1 - feature)):
        flat = shown & (side * outline.phi > 2 * forgiven)
        if np.count_nonzero(flat) < _FEWEST:
            continue
        towards = side if microscope.top > microscope.ground else -side  # 1 if this side is the brighter one
        least = -_LARGEST_CHARGE * microscope.contrast
        charge, printed = _charge(image - reference, side * outline.phi > 0, flat, towards, least)
        slow, flat = charge, flat & printed
        if not shown.all():  # the pattern may end where its design does, and shine there
            glow = measure_profile(image - reference - slow, depth, flat & (depth < _GLOW))
            slow = slow + np.interp(depth, *glow).astype(np.float32)
        for _ in range(_ROUNDS if flat.any() else 0):
            rest = image - reference - slow
            spread = float(np.median(np.abs(rest[flat]))) / 0.6745
            slow = slow + _smooth_over(np.clip(rest, -_CLIPPED * spread, _CLIPPED * spread), flat, sigma)
            slow = charge + towards * np.maximum(towards * (slow - charge), least)
        changed += share * slow
    return changed


def _charge(rest: Float32, part: Bools, flat: Bools, towards: int, least: float) -> tuple[Float32, Bools]:
    """The median of what remains on each connected part, as islands charge, each to a brightness of its own.

    Returns:
        float32 and bool [H, W]: the medians, and which parts do not look like the other side, as if not printed.
    """
    count, numbers = cv2.connectedComponents(part.astype(np.uint8), connectivity=8)
    medians = np.zeros(count)
    found = np.unique(numbers[flat])
    medians[found] = scipy.ndimage.median(rest, np.where(flat, numbers, -1), found)
    printed = towards * medians >= least
    return (medians * printed)[numbers].astype(np.float32), printed[numbers]


def _smooth_over(values: Float32, part: Bools, sigma: float) -> Float32:
    """Values of some pixels, blurred over these."""
    height, width = values.shape
    factor = max(1.0, sigma / 8)
    sides = max(round(width / factor), 1), max(round(height / factor), 1)
    total, weight = (
        cv2.GaussianBlur(cv2.resize(each, sides, interpolation=cv2.INTER_AREA), (0, 0), sigma / factor)
        for each in (np.where(part, values, np.float32(0)), part.astype(np.float32))
    )
    return np.asarray(cv2.resize(total / np.maximum(weight, 1e-3), (width, height)), np.float32)


def limit(image: Float32, reference: Float32, outline: Outline, microscope: Microscope, forgiven: float) -> Float32:
    """The image, limited to what the reference shows within some pixels.

    Islands and holes may be smaller than that; what is asked of these is the right side of the middle brightness.
    """
    reach = math.ceil(forgiven)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    lowest, highest = cv2.erode(reference, disc), cv2.dilate(reference, disc)
    middle = (microscope.ground + microscope.top) / 2
    bright, dark = outline.islands, outline.holes
    if microscope.top < microscope.ground:
        bright, dark = dark, bright
    lowest, highest = np.where(bright, middle, lowest), np.where(dark, middle, highest)
    return np.asarray(np.clip(image, lowest, np.maximum(lowest, highest)), np.float32)


def differs(image: Float32, limited: Float32, outline: Outline, microscope: Microscope, forgiven: float) -> Bools:
    """Where an image differs from what is allowed by so much that it is no matter of brightness: bool [H, W]."""
    at_edges = (np.abs(outline.phi) < 2 * forgiven) & ~outline.islands & ~outline.holes
    least = np.where(at_edges, _LEAST_AT_EDGES, _LEAST_CONTRAST) * microscope.contrast
    plain = np.abs(cv2.GaussianBlur(image - limited, (0, 0), _SMOOTHING)) > least
    return cv2.morphologyEx(plain.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0
