"""The width of the electron beam on the surface, in and out of focus."""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from sem_lightning.synthesis.field import Float32


@dataclass(frozen=True)
class Beam:
    """A Gaussian beam.

    Out of focus by ``dz`` a beam of half angle ``alpha`` is a disc of radius ``alpha dz``, whose standard deviation per
    axis is half of that; astigmatism gives two perpendicular directions different foci (L. Reimer, Scanning Electron
    Microscopy, 1998, ch. 2.3). The parts add in quadrature.

    Attributes:
        sigma: Standard deviation in focus, nm.
        defocus: Distance of the surface from the focus, nm.
        astigmatism: Distance between the foci of both directions, nm.
        astigmatism_angle: Direction that focuses first, degrees from the image's x.
        aperture: Half angle of the beam, mrad.
    """

    sigma: float
    defocus: float
    astigmatism: float
    astigmatism_angle: float
    aperture: float

    @property
    def widths(self) -> tuple[float, float]:
        """Standard deviation along ``astigmatism_angle`` and across it, nm."""
        spread = 0.5 * self.aperture * 1e-3
        first, second = self.defocus + self.astigmatism / 2, self.defocus - self.astigmatism / 2
        return math.hypot(self.sigma, spread * first), math.hypot(self.sigma, spread * second)

    def blur(self, image: Float32, pixel_size: float) -> Float32:
        """Blur a sharp image with the beam; may overwrite it."""
        along, across = (width / pixel_size for width in self.widths)
        if max(along, across) < 0.05:
            return image
        border = cv2.BORDER_REPLICATE
        if abs(along - across) < 0.02:
            width = (along + across) / 2
            taps = 2 * math.ceil(3 * width) + 1
            return np.asarray(cv2.GaussianBlur(image, (taps, taps), width, borderType=border), np.float32)
        return np.asarray(cv2.filter2D(image, -1, self._kernel(along, across), borderType=border), np.float32)

    def _kernel(self, along: float, across: float) -> Float32:
        along, across = max(along, 0.2), max(across, 0.2)  # pixels; a narrower kernel is undersampled
        radius = math.ceil(3 * max(along, across))
        y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1].astype(np.float32)
        cos, sin = math.cos(math.radians(self.astigmatism_angle)), math.sin(math.radians(self.astigmatism_angle))
        kernel = np.exp(-0.5 * (((x * cos + y * sin) / along) ** 2 + ((y * cos - x * sin) / across) ** 2))
        return np.asarray(kernel / kernel.sum(), np.float32)
