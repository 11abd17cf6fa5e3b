"""Grain: fine texture of resist and metal, from grey-scale morphology of a random field."""

from dataclasses import dataclass

import cv2
import numpy as np

from sem_lightning.synthesis.field import FieldOfView, Float32
from sem_lightning.synthesis.sampling import random_words

OPERATIONS = {
    "open": cv2.MORPH_OPEN,
    "close": cv2.MORPH_CLOSE,
    "erode": cv2.MORPH_ERODE,
    "dilate": cv2.MORPH_DILATE,
}


@dataclass(frozen=True)
class Grain:
    """One grain texture.

    Attributes:
        operation: ``open`` or ``erode`` (dark grains), ``close`` or ``dilate`` (bright grains).
        size: Diameter of a grain, nm.
        amplitude: Standard deviation, as a share of the local brightness.
        key: Seed of the random field.
    """

    operation: str
    size: float
    amplitude: float
    key: int

    def render(self, view: FieldOfView) -> Float32:
        """Relative brightness of the surface: float32 [H, W], mean 1."""
        pixels = view.height * view.width
        field = random_words(self.key, 0, -(-pixels // 2)).view(np.uint8)[:pixels].reshape(view.shape)
        diameter = max(2, round(self.size / view.pixel_size))
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (diameter, diameter))
        grains = cv2.morphologyEx(field, OPERATIONS[self.operation], kernel)
        mean, deviation = cv2.meanStdDev(grains)
        scale = self.amplitude / max(float(deviation.item()), 1e-6)
        relief = cv2.addWeighted(grains, scale, grains, 0, 1 - scale * float(mean.item()), dtype=cv2.CV_32F)
        return np.asarray(relief, np.float32)
