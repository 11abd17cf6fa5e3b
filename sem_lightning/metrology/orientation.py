"""Finds the orientation of edges in an image, and from it the kind of pattern."""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from sem_lightning.metrology.edges import noise_level
from sem_lightning.synthesis.field import Float32

_SMOOTHING = 2.0  # pixels, before gradients are computed
LINES_FROM = 0.75  # coherence of gradients from which they have one direction
_WIRES_FROM = 0.45  # coherence of doubled angles from which they have two perpendicular directions
_FINE_STEPS = (0.4, 0.08, 0.016)  # degrees


@dataclass(frozen=True)
class Orientation:
    """The directions of an image's edges.

    Attributes:
        angle: Angle of the edges, degrees; 0 is vertical, as in ``pattern.angle``.
        coherence: 1 if all edges are parallel, 0 if they have random directions (structure tensor:
            Bigun and Granlund, ICCV 1987).
        cross: The same for edges in two perpendicular directions.
        strength: Power of the gradients relative to that of noise.
    """

    angle: float
    coherence: float
    cross: float
    strength: float

    @property
    def family(self) -> str | None:
        """``line_space``, ``routing``, or ``None`` for neither."""
        if self.coherence >= LINES_FROM:
            return "line_space"
        return "routing" if self.cross >= _WIRES_FROM else None


def find_orientation(image: Float32) -> Orientation:
    """The orientation of an image, float32 [H, W] in [0, 1]."""
    smooth = cv2.GaussianBlur(image, (0, 0), _SMOOTHING)
    x = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=1 / 8).astype(np.float64)
    y = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=1 / 8).astype(np.float64)
    # power of the gradient of blurred white noise per axis
    noise = noise_level(image) ** 2 / (8 * math.pi * _SMOOTHING**4)
    power = float(np.mean(x * x + y * y))
    signal = max(power - 2 * noise, 1e-12)
    double = complex(np.mean(x * x - y * y), np.mean(2 * x * y))
    # the fourfold angle is weighted by the power of gradients, so that noise counts little
    squared = (x + 1j * y) ** 4 / np.maximum(x * x + y * y, 1e-12)
    angle = math.degrees(math.atan2(double.imag, double.real)) / 2
    return Orientation(
        angle,
        min(abs(double) / signal, 1.0),
        min(float(abs(np.mean(squared))) / signal, 1.0),
        signal / max(noise, 1e-9),
    )


def upright(image: Float32, angle: float) -> Float32:
    """The largest rectangle in an image, turned so that lines of this angle are vertical."""
    if angle == 0:
        return image
    if abs(angle) == 90:
        return np.ascontiguousarray(np.rot90(image))
    return _turned(image, angle, *_inscribed(image.shape[0], image.shape[1], abs(math.radians(angle))))


def _turned(image: Float32, angle: float, rows: int, columns: int) -> Float32:
    """A rectangle of this size around the middle of an image, turned so that lines of this angle are vertical."""
    matrix = _from_upright(image.shape, (rows, columns), angle)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(image, matrix, (columns, rows), flags=flags), np.float32)


def turned_back(part: Float32, angle: float, shape: tuple[int, int]) -> Float32:
    """Turn a result of `upright` back into an image of this shape; 0 outside."""
    if angle == 0:
        return part
    if angle == 90:
        return np.ascontiguousarray(np.rot90(part, -1))
    matrix = _from_upright(shape, (part.shape[0], part.shape[1]), angle)
    return np.asarray(cv2.warpAffine(part, matrix, shape[::-1], flags=cv2.INTER_LINEAR), np.float32)


def _from_upright(
    shape: tuple[int, ...], part: tuple[int, int], angle: float
) -> "np.ndarray[tuple[int, int], np.dtype[np.float64]]":
    """The transform from (x, y) in the turned part to the image, both around their middles."""
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    matrix = np.array([[cos, -sin, 0.0], [sin, cos, 0.0]])
    middle, inner = np.array(shape[1::-1]) / 2 - 0.5, np.array(part[::-1]) / 2 - 0.5
    matrix[:, 2] = middle - matrix[:, :2] @ inner
    return matrix


def _inscribed(height: int, width: int, turn: float) -> tuple[int, int]:
    """Rows and columns of the largest rectangle inside a turned image."""
    turn = min(turn, math.pi - turn)
    if turn > math.pi / 4:
        rows, columns = _inscribed(width, height, math.pi / 2 - turn)
        return rows, columns
    cos, sin = math.cos(turn), math.sin(turn)
    long, short = max(height, width), min(height, width)
    if short <= 2 * sin * cos * long:
        half = short / 2
        inner_long, inner_short = half / sin, half / cos
    else:
        double = cos * cos - sin * sin
        inner_long, inner_short = (long * cos - short * sin) / double, (short * cos - long * sin) / double
    inner = (inner_short, inner_long) if width >= height else (inner_long, inner_short)
    return int(inner[0]) - 2, int(inner[1]) - 2


def refine(image: Float32, angle: float) -> float:
    """The angle near a first guess at which the mean along the lines has maximum contrast; degrees."""
    smooth = np.asarray(cv2.GaussianBlur(image, (0, 0), 1.0), np.float32)
    for step in _FINE_STEPS:
        tried = angle + step * np.arange(-5, 6)
        # All angles use one rectangle size that fits at each of them, because the contrast also depends on the fraction
        # of a period at the border.
        sizes = [_inscribed(image.shape[0], image.shape[1], abs(math.radians(each))) for each in tried]
        rows, columns = (min(lengths) for lengths in zip(*sizes, strict=True))
        contrast = [float(_turned(smooth, each, rows, columns).mean(axis=0).var()) for each in tried]
        angle = float(tried[int(np.argmax(contrast))])
    return 90 - (90 - angle) % 180  # above -90, up to 90
