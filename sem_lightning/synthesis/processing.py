"""Processing of images after the microscope: rescaling, stretching, scale bar, JPEG, inversion."""

import math
from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np

from sem_lightning.errors import SettingError
from sem_lightning.synthesis.field import FieldOfView
from sem_lightning.synthesis.noise import BITS, Pixels
from sem_lightning.synthesis.ranges import Range, Settings, ranged

_BANNER_SHARE = 0.09
_BANNER_LEAST = 10  # pixels; smaller text cannot be read
_NICE = (1, 2, 5)


@dataclass(frozen=True)
class Processing:
    """Processing of one image in the order of the attributes, with all numbers drawn.

    Attributes:
        rescale: Factor by which the image is reduced and then enlarged again; 1 for none.
        stretch: Share of the pixels that contrast stretching makes black, and white; ``None`` for none.
        banner: Whether a scale bar and a line of text cover the lower edge.
        jpeg: Quality of JPEG compression, 1 to 100; ``None`` for none.
        negative: Whether the image is inverted at the end.
    """

    rescale: float
    stretch: float | None
    banner: bool
    jpeg: int | None
    negative: bool = False  # default for older scenes

    def banner_height(self, view: FieldOfView) -> int:
        """Pixel rows that the banner covers."""
        return max(_BANNER_LEAST, round(_BANNER_SHARE * view.height)) if self.banner else 0

    def apply(self, image: Pixels, view: FieldOfView) -> Pixels:
        """The processed image, of the same shape and type."""
        if self.rescale < 1:
            size = (max(1, round(view.width * self.rescale)), max(1, round(view.height * self.rescale)))
            small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
            image = cast(Pixels, cv2.resize(small, (view.width, view.height), interpolation=cv2.INTER_LINEAR))
        white = BITS[8 * image.itemsize][0]
        if self.stretch is not None:
            dark, bright = (float(end) for end in np.quantile(image, [self.stretch, 1 - self.stretch]))
            scale = white / max(bright - dark, 1)
            depth = cv2.CV_8U if image.dtype == np.uint8 else cv2.CV_16U
            image = cast(Pixels, cv2.addWeighted(image, scale, image, 0, -dark * scale, dtype=depth))
        if self.banner:
            image = self._with_banner(image, view, white)
        if self.jpeg is not None:
            code = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, self.jpeg])[1]
            image = np.asarray(cv2.imdecode(code, cv2.IMREAD_GRAYSCALE), np.uint8)
        return cast(Pixels, cv2.bitwise_not(image)) if self.negative else image

    def _with_banner(self, image: Pixels, view: FieldOfView, white: int) -> Pixels:
        height = self.banner_height(view)
        strip = np.zeros((height, view.width), np.uint8)
        length = nice_length(view.extent[1] / 4)
        bar = max(1, round(length / view.pixel_size))
        middle = height // 2
        cv2.rectangle(strip, (2, middle - height // 8), (2 + bar, middle + height // 8), 255, -1)
        text = f"{length:g} nm" if length < 1000 else f"{length / 1000:g} um"
        if view.width >= 256:
            text += f"   px {view.pixel_size:.3g} nm"
        scale = height / 30
        cv2.putText(
            strip, text, (8 + bar, middle + round(10 * scale)), cv2.FONT_HERSHEY_SIMPLEX, scale, 255, 1, cv2.LINE_AA
        )
        image = image.copy()
        image[view.height - height :] = strip * image.dtype.type(white // 255)
        return image


def nice_length(longest: float) -> float:
    """The largest 1, 2 or 5 times a power of ten that is not above ``longest``."""
    power = 10.0 ** math.floor(math.log10(longest))
    return max(power * n for n in _NICE if power * n <= longest * (1 + 1e-9))


@dataclass
class ProcessingSettings(Settings):
    """Ranges of the processing (``conf/processing/*.yaml`` document each)."""

    banner: float
    rescale: Range = ranged(
        "of the pixels along a side", low=0.1, high=1, why="below a tenth nothing is left of a pattern"
    )
    stretch: Range = ranged(
        "of the pixels", low=0, high=0.4, optional=True, why="beyond that nothing lies between black and white"
    )
    jpeg: Range = ranged("quality", low=1, high=100, optional=True, why="JPEG knows qualities from 1 to 100")
    negative: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for key in ("banner", "negative"):
            share = getattr(self, key)
            if not 0 <= share <= 1:
                raise SettingError(key, f"found {share:g}, expected a share of the images from 0 to 1")

    def check(self, bits: int, view: FieldOfView) -> None:
        """Check that the settings fit each other.

        Raises:
            SettingError: JPEG of 16-bit images, or a banner that would cover a fifth of the image.
        """
        if self.jpeg is not None and BITS[bits][2] is not np.uint8:
            raise SettingError("jpeg", "JPEG holds 8 bits; set noise.bits=8, or processing.jpeg=null")
        if self.banner > 0 and view.height < 5 * _BANNER_LEAST:
            raise SettingError("banner", f"covers a fifth of {view.height} rows or more; enlarge imaging.image_size")

    def draw(self, rng: np.random.Generator) -> Processing:
        """Draw the processing of one image from the ranges."""
        shares = rng.random(2)
        return Processing(
            rescale=self.draw_value(rng, "rescale"),
            stretch=None if self.stretch is None else self.value_at("stretch", shares[0]),
            banner=bool(rng.random() < self.banner),
            jpeg=None if self.jpeg is None else round(self.value_at("jpeg", shares[1])),
        )
