"""Measures how far each row of a registered reference has to move: jitter and drift of the two scans."""

import cv2
import numpy as np
import numpy.typing as npt

from sem_lightning.inspection.brightness import match_brightness, sample
from sem_lightning.synthesis.field import Float32

_SMOOTHING = 1.0  # pixels, before gradients are computed
_SMEARED = 3.5  # pixels that share their noise after that smoothing: 2 sqrt(pi) times its width
_ROUNDS = 2
_LARGEST = 3.0  # pixels; larger shifts of a row are no jitter
_OUTLIER = 3.0  # standard deviations of noise
_NEIGHBOURS = 4.0  # rows; standard deviation of the mean of neighbouring rows
_DRIFT = 1.0  # pixels; standard deviation of shifts that neighbouring rows share
_BLOCKS = (4, 2)  # along each side, for the residual: larger ones where small ones show too few edges
_FEWEST_BLOCKS = 3


def align_rows(image: Float32, moved: Float32, shown: npt.NDArray[np.bool_]) -> tuple[Float32, float]:
    """The shift of each row along itself, and the remaining error of the position.

    Each row's shift is the least-squares solution of ``image - moved = -shift * gradient``, drawn towards the mean of
    its neighbours by as much as noise makes it uncertain.

    Args:
        image: float32 [H, W].
        moved: float32 [H, W], the reference on the image.
        shown: bool [H, W], where it shows something.

    Returns:
        float32 [H], pixels to the right; and the root mean square of the shifts that blocks of the image still
        need; NaN if too few show edges in two directions.
    """
    smooth, reference = _smooth(image), _smooth(moved)
    reference = match_brightness(reference, smooth, shown)
    shifts = np.zeros(len(image), np.float32)
    for _ in range(_ROUNDS):
        measured, variance = _measure_rows(smooth, shift_rows(reference, shifts), shown)
        shifts = np.clip(_shrink(shifts + measured, variance), -_LARGEST, _LARGEST).astype(np.float32)
    moved = shift_rows(reference, shifts)
    residuals = (_residual(smooth, moved, shown, blocks) for blocks in _BLOCKS)
    return shifts, next((each for each in residuals if not np.isnan(each)), float("nan"))


def shift_rows(image: Float32, shifts: Float32) -> Float32:
    """An image [H, W] whose rows are moved to the right by ``shifts`` [H] pixels."""
    height, width = image.shape
    across = np.arange(width, dtype=np.float32)[None] - shifts[:, None]
    down = np.repeat(np.arange(height, dtype=np.float32)[:, None], width, axis=1)
    return np.asarray(cv2.remap(image, across, down, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE), np.float32)


def _smooth(image: Float32) -> Float32:
    """The image smoothed along its rows only, because each row has a shift of its own."""
    return np.asarray(cv2.GaussianBlur(image, (0, 1), sigmaX=_SMOOTHING, sigmaY=0.01), np.float32)


def _gradient(image: Float32, across: bool) -> Float32:
    return np.asarray(cv2.Sobel(image, cv2.CV_32F, int(across), int(not across), ksize=1, scale=0.5), np.float32)


def _differences(image: Float32, reference: Float32, shown: npt.NDArray[np.bool_]) -> tuple[Float32, Float32, float]:
    """The differences, the weight of each pixel (0 where no shift explains it), and the standard deviation of noise."""
    difference = image - reference
    seen = difference[shown]
    spread = max(float(np.median(np.abs(seen[sample(len(seen))]))) / 0.6745 if len(seen) else 1.0, 1e-6)
    steepest = cv2.dilate(np.abs(_gradient(reference, across=True)), np.ones((1, 5), np.uint8))
    explained = np.abs(difference) < _OUTLIER * spread + _LARGEST * steepest
    return difference, (shown & explained).astype(np.float32), spread


def _measure_rows(
    image: Float32, reference: Float32, shown: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The shift that each row still needs, and the variance of its error."""
    difference, weight, spread = _differences(image, reference, shown)
    slope = _gradient(reference, across=True)
    information = np.maximum((weight * slope * slope).sum(axis=1, dtype=np.float64), 1e-9)
    steps = -(weight * slope * difference).sum(axis=1, dtype=np.float64) / information
    return np.clip(steps, -_LARGEST, _LARGEST), _SMEARED * spread**2 / information


def _shrink(shifts: npt.NDArray[np.float64], variance: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Each shift drawn towards the mean of its neighbours by the share of noise in its variance."""
    weight = 1 / variance

    def around(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        column = cv2.GaussianBlur(values.reshape(-1, 1), (1, 0), sigmaX=0.01, sigmaY=_NEIGHBOURS)
        return np.asarray(column, np.float64).ravel()

    width = 2 * np.sqrt(np.pi) * _NEIGHBOURS
    mean = around(weight * shifts) / (around(weight) + 1 / (_DRIFT**2 * width))
    rest = shifts - mean
    jitter = max(float(np.average(rest**2, weights=weight) - np.average(variance, weights=weight)), 0.0)
    return np.asarray(mean + rest * jitter / (jitter + variance), np.float64)


def _residual(image: Float32, reference: Float32, shown: npt.NDArray[np.bool_], blocks: int) -> float:
    """Root mean square of the shifts that blocks still need, of those that show edges in two directions."""
    difference, weight, spread = _differences(image, reference, shown)
    x, y = _gradient(reference, across=True), _gradient(reference, across=False)
    squares = []
    for rows in np.array_split(np.arange(image.shape[0]), blocks):
        for columns in np.array_split(np.arange(image.shape[1]), blocks):
            if not len(rows) or not len(columns):
                continue
            part = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
            slopes = np.stack([x[part].ravel(), y[part].ravel()]) * np.sqrt(weight[part].ravel())
            normal = (slopes @ slopes.T).astype(np.float64)
            if np.linalg.eigvalsh(normal)[0] < 100 * _SMEARED * spread**2:  # an error of a tenth of a pixel
                continue
            step = np.linalg.solve(normal, slopes @ (difference[part].ravel() * np.sqrt(weight[part].ravel())))
            squares.append(float(step @ step))
    return float(np.sqrt(np.mean(squares))) if len(squares) >= _FEWEST_BLOCKS else float("nan")
