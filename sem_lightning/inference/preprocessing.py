"""Prepares an image for the network: polarity, pixel size, tiles or views."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from sem_lightning.errors import SettingError
from sem_lightning.inference.inversion import Inversion
from sem_lightning.inference.tiling import MAP_STRIDE, Tiling
from sem_lightning.inference.views import View, make_views
from sem_lightning.io.gray_image import GrayImage
from sem_lightning.io.images import ImageError
from sem_lightning.io.limits import MAX_PIXELS
from sem_lightning.metrology.usability import SMALLEST, find_fault
from sem_lightning.model.model_settings import ModelSettings, check_view_scales
from sem_lightning.synthesis.field import Float32

TILINGS = ("auto", "on", "off")


@dataclass(frozen=True)
class PreparedImage:
    """An image prepared for the network.

    Attributes:
        path: Its file, if any.
        image: float32 [H, W] in [0, 1]: the whole first view, or the image at the pixel size of training, to be cut
            into tiles.
        tiling: Tiling of ``image``.
        shape: Height and width in the file's pixels, without the data bar.
        pixel_size: Pixel size of the file in nm, if known.
        data_bar_rows: Rows of the data bar.
        weight: Weight of ``image`` in the aggregation of views.
        more_views: Further views: scale, image and weight.
        inverted: Whether ``image`` is inverted.
        fault: Why the image cannot be judged, see `sem_lightning.metrology.usability.find_fault`.
    """

    path: Path | None
    image: Float32
    tiling: Tiling
    shape: tuple[int, int]
    pixel_size: float | None
    data_bar_rows: int
    weight: float = 1.0
    more_views: tuple[View, ...] = ()
    inverted: bool = False
    fault: str | None = None


@dataclass(frozen=True)
class Preprocessing:
    """Preparation of images for one classifier.

    Attributes:
        image_size: Side of a tile, and of a square with as many pixels as the first view.
        trained_pixel_size: Pixel size of the training images in nm; ``None`` if unknown or not used.
        tiling: ``on``, ``off``, or ``auto``: tiles if the pixel sizes of image and training are known.
        overlap: Overlap of neighbouring tiles as a share of a tile's side.
        pixel_size: Pixel size of every image in nm; ``None`` takes that of the file.
        view_scales: Sizes of the views times ``image_size``; the first is 1.
        crop_data_bar: Whether data bars are cropped.
        inversion: See `Inversion`.
        places: Whether the images are pictures of places, whose pair was checked before.
    """

    image_size: int
    trained_pixel_size: float | None
    tiling: str = "auto"
    overlap: float = 0.25
    pixel_size: float | None = None
    view_scales: tuple[float, ...] = (1.0,)
    crop_data_bar: bool = True
    inversion: Inversion = Inversion.NONE
    places: bool = False

    @staticmethod
    def for_model(
        settings: ModelSettings,
        tiling: str = "auto",
        overlap: float = 0.25,
        pixel_size: float | None = None,
        view_scales: Sequence[float] | None = None,
        crop_data_bar: bool = True,
        inversion: Inversion = Inversion.NONE,
    ) -> "Preprocessing":
        """The preprocessing for a classifier; ``view_scales=None`` takes its own scales.

        Raises:
            SettingError: Values that are invalid or do not fit the classifier.
        """
        if tiling not in TILINGS:
            raise SettingError("tiling", f"found {tiling!r}, expected one of {', '.join(TILINGS)}")
        if not 0 <= overlap <= 0.9:
            raise SettingError("overlap", f"found {overlap:g}, expected a share of a tile's side from 0 to 0.9")
        if pixel_size is not None and not 0 < pixel_size < float("inf"):
            raise SettingError("pixel_size", f"found {pixel_size:g}, expected nm above 0")
        check_view_scales(view_scales)
        if tiling == "on" and not settings.knows_good:
            raise SettingError(
                "tiling", "the tile least likely to be good decides, and this classifier has no class good; use off"
            )
        if tiling == "on" and view_scales is not None and len(view_scales) > 1:
            raise SettingError(
                "view_scales", "tiling=on uses tiles at one scale; use view_scales=[1] or another tiling"
            )
        scales = tuple(settings.view_scales if view_scales is None else view_scales)
        # A classifier for any magnification uses the pixel size only for tiles.
        any_scale = tiling != "on" and max(len(settings.view_scales), len(scales)) > 1
        return Preprocessing(
            image_size=settings.image_size,
            trained_pixel_size=None if any_scale else settings.pixel_size,
            tiling=tiling if settings.knows_good else "off",
            overlap=overlap,
            pixel_size=pixel_size,
            view_scales=scales,
            crop_data_bar=crop_data_bar,
            inversion=inversion,
            places=settings.judges_places,
        )

    def prepare(self, image: GrayImage) -> PreparedImage:
        """Bring an image to the scale and polarity of the training images.

        Raises:
            ImageError: The image would be too large or too small at the pixel size of training.
        """
        pixels = image.pixels
        shape = (pixels.shape[0], pixels.shape[1])
        pixel_size = image.pixel_size if self.pixel_size is None else self.pixel_size
        scale = pixel_size / self.trained_pixel_size if pixel_size and self.trained_pixel_size else None
        prepared = PreparedImage(
            path=image.path,
            image=pixels,
            tiling=Tiling.whole(*shape),
            shape=shape,
            pixel_size=pixel_size,
            data_bar_rows=image.data_bar_rows,
            inverted=self.inversion is not Inversion.NONE,
            fault=None if self.places else find_fault(pixels, min(SMALLEST, self.image_size)),
        )
        if self.tiling == "off" or (self.tiling == "auto" and scale is None):
            first, *more = make_views(pixels, self.image_size, self.view_scales, self.inversion)
            whole = Tiling.whole(*first.image.shape)
            return replace(prepared, image=first.image, tiling=whole, weight=first.weight, more_views=tuple(more))
        if prepared.inverted:
            pixels = 1 - pixels
        if scale is not None:
            pixels = _rescale(image.path, pixels, scale)
        tiling = Tiling.plan(pixels.shape[0], pixels.shape[1], self.image_size, self.overlap)
        return replace(prepared, image=np.ascontiguousarray(pixels), tiling=tiling)


def _rescale(path: Path | None, image: Float32, scale: float) -> Float32:
    height, width = (round(n * scale) for n in image.shape)
    if min(height, width) < MAP_STRIDE or height * width > MAX_PIXELS:
        raise ImageError(
            f"{path or 'image'}: {image.shape[1]} x {image.shape[0]} pixels would become {width} x {height} at the "
            "pixel size of training; is the pixel size right? (tiling=off does without it)"
        )
    if (height, width) == image.shape:
        return image
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width, height), interpolation=method), np.float32)
