"""Image formation: from geometry to the brightness that an ideal, noise-free detector would see."""

from dataclasses import dataclass

import cv2
import numpy as np

from sem_lightning.errors import SettingError
from sem_lightning.synthesis.field import FieldOfView, Float32, coverage
from sem_lightning.synthesis.pattern import draw_key
from sem_lightning.synthesis.ranges import Range, Settings, ranged
from sem_lightning.synthesis.texture import OPERATIONS, Grain

POLARITIES = ("bright", "dark")
MAX_IMAGE_SIZE = 8192


@dataclass(frozen=True)
class Exposure:
    """How one image is formed, every number drawn; brightness 0 is black and 1 is white.

    Attributes:
        polarity: ``bright`` or ``dark``: which the feature is.
        dark: Brightness of the darker material.
        contrast: Brightness of the brighter material above the darker one.
        bloom: Extra yield at an edge: ``bloom * exp(-distance / lambda)``. The exponential decay follows from the
            escape of secondary electrons near a step (L. Reimer, Scanning Electron Microscopy, 1998, ch. 4).
        bloom_inside: Lambda inside the feature, nm.
        bloom_outside: Lambda outside it, nm.
        beam: Standard deviation of the Gaussian beam, nm.
        grain: Surface texture.
    """

    polarity: str
    dark: float
    contrast: float
    bloom: float
    bloom_inside: float
    bloom_outside: float
    beam: float
    grain: Grain

    def render(self, phi: Float32, view: FieldOfView) -> Float32:
        """Brightness of the geometry ``phi`` under this exposure: float32 [H, W]."""
        bright = coverage(phi, view.pixel_size)
        if self.polarity == "dark":
            bright = 1 - bright
        # -|phi| / lambda, with lambda chosen by the sign of phi
        depth = np.minimum(phi * np.float32(-1 / self.bloom_inside), 0) + np.minimum(
            phi * np.float32(1 / self.bloom_outside), 0
        )
        image: Float32 = np.float32(self.dark) + np.float32(self.contrast) * bright
        image += np.float32(self.bloom) * np.exp(depth)
        image *= self.grain.render(view)
        blur = self.beam / view.pixel_size
        if blur > 0:
            cv2.GaussianBlur(image, (0, 0), blur, dst=image, borderType=cv2.BORDER_REPLICATE)
        return image


@dataclass
class Imaging(Settings):
    """The field of view and the ranges of image formation (``conf/imaging/*.yaml`` document each)."""

    image_size: int
    pixel_size: float
    polarity: str
    dark: Range = ranged("of white", low=0, high=1)
    contrast: Range = ranged("of white", low=0, above=True, high=1)
    bloom: Range = ranged("of white", low=0, high=2)
    bloom_inside: Range = ranged("nm", low=0, above=True)
    bloom_outside: Range = ranged("nm", low=0, above=True)
    beam: Range = ranged("nm", low=0)
    grain_size: Range = ranged("nm", low=0, above=True)
    grain_amplitude: Range = ranged("of the brightness", low=0, high=0.5)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 16 <= self.image_size <= MAX_IMAGE_SIZE:
            raise SettingError("image_size", f"found {self.image_size}, expected 16 to {MAX_IMAGE_SIZE} pixels")
        if not 0 < self.pixel_size < float("inf"):
            raise SettingError("pixel_size", f"found {self.pixel_size:g}, expected nm above 0")
        if self.polarity not in POLARITIES:
            raise SettingError("polarity", f"found {self.polarity!r}, expected one of {', '.join(POLARITIES)}")
        widest = self.beam[1]
        if widest > self.view.extent[0] / 4:
            raise SettingError("beam", f"{widest:g} nm is wider than a quarter of the {self.view.extent[0]:g} nm field")

    @property
    def view(self) -> FieldOfView:
        return FieldOfView(self.image_size, self.image_size, self.pixel_size)

    def draw(self, rng: np.random.Generator) -> Exposure:
        """One exposure from the ranges."""
        return Exposure(
            polarity=self.polarity,
            dark=self.draw_value(rng, "dark"),
            contrast=self.draw_value(rng, "contrast"),
            bloom=self.draw_value(rng, "bloom"),
            bloom_inside=self.draw_value(rng, "bloom_inside"),
            bloom_outside=self.draw_value(rng, "bloom_outside"),
            beam=self.draw_value(rng, "beam"),
            grain=Grain(
                operation=list(OPERATIONS)[int(rng.integers(len(OPERATIONS)))],
                size=self.draw_value(rng, "grain_size"),
                amplitude=self.draw_value(rng, "grain_amplitude"),
                key=draw_key(rng),
            ),
        )
