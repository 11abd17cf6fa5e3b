"""What an image shows, and what it measures, by the keys of the configuration."""

import cv2
import numpy as np

from sem_lightning.data.images import middle
from sem_lightning.fitting.lines import NotMeasuredError, measure_lines
from sem_lightning.fitting.microscope import Values
from sem_lightning.fitting.noise import measure_graininess
from sem_lightning.fitting.orientation import Orientation, find_orientation, refine, upright
from sem_lightning.fitting.wires import measure_wires
from sem_lightning.inspection.polarity import LARGEST, VISIBLE, bright_pieces, bright_share, guess_polarity
from sem_lightning.metrology import noise_level
from sem_lightning.synthesis.field import Float32

_FLAT = 1e-3  # standard deviation of an image, of full scale, below which there is nothing on it
_SATURATED = 0.02  # share of the pixels at black or at white from which on levels and noise are not theirs
_LEAST_STRENGTH = 1.5  # of gradients, over those of noise
_STRAIGHT = 0.78  # share of the variance, from which on lines have no ends
_BLURS = (2.0, 1.0)  # pixels: the second for fine lines, of which the first leaves little
_ONE_WAY = 0.4  # coherence, from which on wires have one main direction
_ALONG_ROWS = 10.0  # degrees from level, within which lines and uneven rows look alike
_AGREE = 8.0  # degrees by which quarters of an image may differ
_ROUTED = 0.85  # share of the tracks' length that routing fills when no wire is left out


def find_family(image: Float32, told: str | None = None) -> str:
    """``line_space`` or ``routing``; ``told`` is which of both somebody knows.

    Raises:
        NotMeasuredError: The image shows nothing or more than one pattern, or, where nobody tells, neither of both.
    """
    if float(image.std()) < _FLAT:
        raise NotMeasuredError("one flat colour; there is nothing to measure")
    whole = find_orientation(image)
    if whole.strength < _LEAST_STRENGTH:
        raise NotMeasuredError("no pattern of lines or wires: nothing but noise")
    if told is None and whole.family is None:
        raise NotMeasuredError(
            f"no pattern of lines or wires (gradients have one direction to {whole.coherence:.0%}, two to "
            f"{whole.cross:.0%}); holes and free shapes are not fitted: choose pattern settings by hand"
        )
    rows, columns = image.shape[0] // 2, image.shape[1] // 2
    quarters = [np.ascontiguousarray(image[r : r + rows, c : c + columns]) for r in (0, rows) for c in (0, columns)]
    angles = [there.angle for part in quarters if is_straight(part, there := find_orientation(part))]
    if len(angles) >= 3 and max(abs((angle - angles[0] + 90) % 180 - 90) for angle in angles) > _AGREE:
        raise NotMeasuredError("several patterns in one image; cut out one of them")
    if told is not None:
        return told
    return "line_space" if is_straight(image, whole) and len(angles) == len(quarters) else "routing"


def is_straight(image: Float32, orientation: Orientation) -> bool:
    """Whether an image shows lines without ends: the mean along them keeps most of its variance, noise aside."""
    if orientation.family != "line_space" or orientation.strength < _LEAST_STRENGTH:
        return False
    turned = upright(image, refine(image, orientation.angle))
    noise = noise_level(image) ** 2 / (4 * np.pi)
    for blur in _BLURS:
        smooth = np.asarray(cv2.GaussianBlur(turned, (0, 0), blur), np.float32)
        if float(smooth.mean(axis=0).var()) > _STRAIGHT * max(float(smooth.var()) - noise / blur**2, 1e-9):
            return True
    return False


def find_direction(image: Float32) -> str:
    """Which way most wires run: ``vertical``, ``horizontal`` or ``either``."""
    found = find_orientation(image)
    if found.coherence < _ONE_WAY:
        return "either"
    return "vertical" if abs(found.angle) < 45 else "horizontal"


def find_polarity(image: Float32, family: str) -> tuple[str, bool]:
    """Which the feature is, and whether the image says so; else what is usual for such patterns."""
    found = guess_polarity([bright_share(image)])
    return found or ("bright" if family == "line_space" else "dark"), found is not None


def wire_pieces(image: Float32) -> float:
    """`bright_pieces` of an image of wires, 0 of any other: noise tears the rims of lines into what looks like ends."""
    pieces = bright_pieces(image)
    try:
        return pieces if abs(pieces) >= VISIBLE and find_family(middle(image, LARGEST)) == "routing" else 0.0
    except NotMeasuredError:
        return 0.0


def is_saturated(image: Float32) -> bool:
    """Whether so many pixels are black or white that levels and noise cannot be seen."""
    return bool(np.mean(image <= 0) > _SATURATED or np.mean(image >= 1) > _SATURATED)


def measure(image: Float32, family: str, polarity: str) -> Values:
    """What an image measures, by the keys of the configuration; lengths in pixels.

    Raises:
        NotMeasuredError: It does not show the pattern.
    """
    values: Values = {}
    if family == "line_space":
        lines = measure_lines(image, find_orientation(image).angle, polarity)
        model, phi = lines.model, lines.phi
        values |= {
            "pattern.pitch": lines.pitch,
            "pattern.duty": model.cd / lines.pitch,
            "pattern.angle": lines.angle,
            "pattern.roughness": 3 * lines.sigma / model.cd,
            "pattern.correlation_length": lines.correlation_length,
            "pattern.edge_correlation": lines.edge_correlation,
        }
        if lines.jitter is not None:
            values["imaging.jitter"] = lines.jitter
        along_rows = abs(abs(lines.angle) - 90) < _ALONG_ROWS
    else:
        wires = measure_wires(image, polarity)
        model, phi = wires.model, wires.phi
        full = wires.cd / wires.pitch * _ROUTED
        values |= {
            "pattern.pitch": wires.pitch,
            "pattern.duty": wires.cd / wires.pitch,
            "pattern.empty": 1 - wires.cover / full,
        }
        along_rows = False
    graininess = measure_graininess(image, phi)
    if not along_rows:
        values["imaging.streaks"] = graininess.streaks
    return values | {
        "imaging.dark": model.dark,
        "imaging.contrast": model.contrast,
        "imaging.bloom": model.bloom,
        "imaging.bloom_inside": model.bloom_inside,
        "imaging.bloom_outside": model.bloom_outside,
        "imaging.beam": model.beam,
        "imaging.grain_amplitude": graininess.grain,
        "noise.dose": graininess.dose,
        "noise.smear": graininess.smear,
        "noise.gaussian": graininess.gaussian,
        "noise.salt_pepper": graininess.salt_pepper,
    }


def distance_from_edges(image: Float32, family: str, polarity: str) -> Float32:
    """Signed distance to the nearest edge, positive in the feature, [H, W], pixels.

    Raises:
        NotMeasuredError: The image does not show the pattern.
    """
    if family == "line_space":
        return measure_lines(image, find_orientation(image).angle, polarity).phi
    return measure_wires(image, polarity).phi
