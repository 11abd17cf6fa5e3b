"""A place of a pair as one grey picture, for a network that compares."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from sem_lightning.inspection.brightness import match_brightness, sample
from sem_lightning.synthesis.field import Float32

SIDE = 64  # pixels of a place's surroundings
_SMOOTHING = 0.8  # pixels, of the difference
_DARKEST, _BRIGHTEST = 1.0, 99.0  # percentiles of the image that become 0.1 and 0.9
_MIDDLE = np.float32(0.5)
_SCORE_RANGE = 16.0  # scores from -8 to 8 are shown
_UNSHOWN = np.float32(0.5)
_NORMAL_MEDIAN = 0.6745  # of a standard normal distribution's absolute value
_LEAST_NOISE, _MOST_NOISE = 0.12, 3.0  # of the contrast; the former is the median of simulated low noise


@dataclass(frozen=True, eq=False)
class PairPictures:
    """The four pictures of a pair from which places are cut, float32 [H, W] in [0, 1] each.

    Attributes:
        image: The image, its contrast stretched.
        reference: The registered reference with the image's brightness, stretched in the same way.
        difference: Their difference, slightly smoothed; 0.5 is none.
        scores: The scores of `sem_lightning.inspection.difference.compare`; 0.5 is 0.
        noise: Standard deviation of the noise as a share of the contrast, of the image or the reference, whichever is
            noisier, from 0.12 to 3.
    """

    image: Float32
    reference: Float32
    difference: Float32
    scores: Float32
    noise: float

    @staticmethod
    def of(image: Float32, reference: Float32, shown: npt.NDArray[np.bool_], scores: Float32) -> "PairPictures":
        """From an image, its registered reference, where that shows something, and their scores, [H, W] each."""
        low, high = np.percentile(image, [_DARKEST, _BRIGHTEST])
        smooth, seen = (np.asarray(cv2.GaussianBlur(each, (0, 0), 1.0), np.float32) for each in (reference, image))
        matched = match_brightness(smooth, seen, shown)

        def stretched(pixels: Float32) -> Float32:
            return np.asarray(np.clip((pixels - low) / max(high - low, 1e-3) * 0.8 + 0.1, 0, 1), np.float32)

        bright, known = stretched(image), np.where(shown, stretched(matched), _UNSHOWN)
        difference = np.where(shown, cv2.GaussianBlur(bright, (0, 0), _SMOOTHING) - known, 0) / 2 + _MIDDLE
        return PairPictures(
            bright,
            known.astype(np.float32),
            np.clip(difference, 0, 1).astype(np.float32),
            np.clip(scores / _SCORE_RANGE + _MIDDLE, 0, 1).astype(np.float32),
            max(_noise_of(image, seen, shown), _noise_of(reference, smooth, shown)),
        )

    def at(self, x: float, y: float) -> Float32:
        """The surroundings of (x, y): float32 [2 SIDE, 2 SIDE], image and reference above difference and scores."""
        return np.block(
            [
                [cut(self.image, x, y), cut(self.reference, x, y)],
                [cut(self.difference, x, y), cut(self.scores, x, y)],
            ]
        )


def _noise_of(pixels: Float32, smooth: Float32, shown: npt.NDArray[np.bool_]) -> float:
    """Noise as a share of the contrast, from differences of neighbouring pixels, of which few lie on edges."""
    steps = np.diff(pixels, axis=1)[shown[:, 1:]]
    levels = smooth[shown]
    if not len(steps):
        return _LEAST_NOISE
    noise = float(np.median(np.abs(steps[sample(len(steps))]))) / _NORMAL_MEDIAN / math.sqrt(2)
    low, high = np.percentile(levels[sample(len(levels))], [5, 95])
    return float(np.clip(noise / max(float(high - low), 1e-3), _LEAST_NOISE, _MOST_NOISE))


def cut(pixels: Float32, x: float, y: float) -> Float32:
    """[SIDE, SIDE] pixels around (x, y); beyond the border the border is repeated."""
    left, top = round(x) - SIDE // 2, round(y) - SIDE // 2
    rows = np.clip(np.arange(top, top + SIDE), 0, pixels.shape[0] - 1)
    columns = np.clip(np.arange(left, left + SIDE), 0, pixels.shape[1] - 1)
    return np.asarray(pixels[rows].take(columns, axis=1))
