"""Measures an image, by the keys of the configuration."""

import numpy as np

from sem_lightning.fitting.lines import measure_lines
from sem_lightning.fitting.metal_lines import measure_wires
from sem_lightning.fitting.microscope import Values
from sem_lightning.fitting.noise_model import measure_graininess
from sem_lightning.metrology.orientation import find_orientation
from sem_lightning.metrology.polarity_estimate import bright_share, guess_polarity
from sem_lightning.synthesis.field import Float32

_SATURATED = 0.02  # share of black or white pixels from which levels and noise cannot be measured
_ALONG_ROWS = 10.0  # degrees from horizontal within which lines and uneven rows look alike
_ROUTED = 0.85  # share of the tracks' length that routing fills without omitted wires


def find_polarity(image: Float32, family: str) -> tuple[str, bool]:
    """The polarity, and whether the image determines it; otherwise the usual polarity of such patterns."""
    found = guess_polarity([bright_share(image)])
    return found or ("bright" if family == "line_space" else "dark"), found is not None


def is_saturated(image: Float32) -> bool:
    """Whether too many pixels are black or white to measure levels and noise."""
    return bool(np.mean(image <= 0) > _SATURATED or np.mean(image >= 1) > _SATURATED)


def measure(image: Float32, family: str, polarity: str) -> Values:
    """Measure an image, by the keys of the configuration; lengths in pixels.

    Raises:
        NotMeasuredError: The image does not show the pattern.
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
