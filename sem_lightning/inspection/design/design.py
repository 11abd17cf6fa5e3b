"""Designs: masks, and clips of layouts."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from sem_lightning.errors import SettingError
from sem_lightning.inspection.inspection import Matrix
from sem_lightning.io.images import read_gray
from sem_lightning.synthesis.field import Float32
from sem_lightning.synthesis.patterns.layout import Chip, read_chip

LAYOUT_ENDINGS = (".gds", ".gds2", ".gdsii", ".oas", ".oasis")
MOST_PIXELS = 32_000_000

_FINER = 4  # subpixels along a pixel's side
_SHIFT = 6  # fractional bits of OpenCV's corners
_HALF = 0.5  # grey level from which a mask's pixel belongs to the feature


@dataclass(frozen=True, eq=False)
class Raster:
    """What was to be made, on a grid of pixels.

    Attributes:
        coverage: float32 [h, w], share of each pixel that the feature covers.
        pixel_size: nm; ``None`` if it is not known.
        origin: (x, y) in the layout of the first pixel's outer corner, um, y upwards; ``None`` for masks.
    """

    coverage: Float32
    pixel_size: float | None = None
    origin: tuple[float, float] | None = None

    def locate(self, points: Matrix) -> Matrix:
        """Coordinates of pixels [n, 2] in the layout, um; those of a mask are its pixels."""
        if self.origin is None or self.pixel_size is None:
            return points
        step = self.pixel_size / 1000
        return np.asarray(np.array(self.origin) + (points + 0.5) * np.array([step, -step]), np.float64)


@dataclass(frozen=True, eq=False)
class Design:
    """A mask, or a clip of a layout.

    Attributes:
        path: The file.
        mask: float32 [h, w], brightness; ``None`` for a layout.
        pixel_size: nm: a mask's, or that of images compared with a layout; ``None`` if it is not known.
        chip: A layout's polygons; ``None`` for a mask.
        window: Of a layout: left, bottom, right, top, nm.
    """

    path: Path
    mask: Float32 | None
    pixel_size: float | None
    chip: Chip | None = None
    window: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)

    @property
    def is_layout(self) -> bool:
        return self.chip is not None

    def raster(self, pixel_size: float | None) -> Raster:
        """The design on pixels; those of a layout have this size, nm, which it needs.

        Raises:
            SettingError: A layout that has too many pixels, or a window without an edge.
        """
        if self.chip is None:
            assert self.mask is not None
            return Raster((self.mask >= _HALF).astype(np.float32), self.pixel_size)
        assert pixel_size is not None
        left, bottom, right, top = self.window
        width, height = math.ceil((right - left) / pixel_size), math.ceil((top - bottom) / pixel_size)
        if width * height > MOST_PIXELS:
            raise SettingError(
                "design.window",
                f"{(right - left) / 1e3:g} x {(top - bottom) / 1e3:g} um at {pixel_size:g} nm a pixel are "
                f"{width * height / 1e6:.0f} million pixels, more than {MOST_PIXELS / 1e6:.0f}; give a smaller window",
            )
        coverage = _draw(self.chip, left, top, width, height, pixel_size)
        if np.ptp(coverage) == 0:
            box = [round(each / 1e3, 6) for each in self.window]
            shown = "covered by" if coverage[0, 0] > 0 else "free of"
            raise SettingError("design.window", f"{box} is all {shown} polygons of {self.path}; give another")
        return Raster(coverage, pixel_size, (left / 1e3, top / 1e3))


def open_design(
    file: Path | str,
    layer: str | int | None = None,
    window: Sequence[float] | None = None,
    pixel_size: float | None = None,
) -> Design:
    """Read a mask or a clip of a layout.

    Args:
        file: A grey image whose bright pixels are the feature, or a GDSII or OASIS file.
        layer: Of a layout: ``10`` or ``10/0``.
        window: Of a layout: left, bottom, right, top in um; ``None`` takes the whole layer.
        pixel_size: nm: of a mask its own, of a layout that of images whose files do not tell it; ``None`` if it is not
            known. The scale of a mask is searched where one of both pixel sizes is not known.

    Raises:
        SettingError: A value that cannot be used, or a window that shows nothing.
        ImageError: A mask that cannot be read.
    """
    path = Path(file).expanduser()
    if pixel_size is not None and not (math.isfinite(pixel_size) and pixel_size > 0):
        raise SettingError("pixel_size", f"found {pixel_size}, expected nm above 0")
    if path.suffix.lower() in LAYOUT_ENDINGS:
        return _open_layout(path, layer, window, pixel_size)
    for key, value in (("layer", layer), ("window", window)):
        if value is not None:
            raise SettingError(key, f"{path} is a mask, which has none; leave it out, or give a GDSII or OASIS file")
    mask = read_gray(path)
    if mask.size > MOST_PIXELS:
        size = f"{mask.size / 1e6:.0f} million pixels, more than {MOST_PIXELS / 1e6:.0f}"
        raise SettingError("file", f"{path} has {size}; cut the part out, or scale it down")
    if (mask >= _HALF).all() or not (mask >= _HALF).any():
        raise SettingError("file", f"{path} is all {'white' if mask[0, 0] >= _HALF else 'black'}; white is the feature")
    return Design(path, mask, pixel_size)


def _open_layout(
    path: Path, layer: str | int | None, window: Sequence[float] | None, pixel_size: float | None
) -> Design:
    found = re.fullmatch(r"(\d+)(?:/(\d+))?", str(layer).strip())
    if found is None:
        raise SettingError("layer", f"found {layer!r}, expected layer/datatype of {path}, such as 10/0")
    chip = read_chip(str(path), int(found[1]), int(found[2] or 0), None)
    (left, bottom), (right, top) = chip.boxes[:, :2].min(axis=0), chip.boxes[:, 2:].max(axis=0)
    box = float(left), float(bottom), float(right), float(top)
    if window is not None:
        whole = f"the layer spans [{left / 1e3:g}, {bottom / 1e3:g}, {right / 1e3:g}, {top / 1e3:g}] um"
        left, bottom, right, top = box = _check_window(window, whole)
        if not len(chip.near((left + right) / 2, (bottom + top) / 2, (right - left) / 2, (top - bottom) / 2)):
            raise SettingError("window", f"{list(window)} shows no polygon of layer {layer}; {whole}")
    return Design(path, None, pixel_size, chip, box)


def _check_window(window: Sequence[float], whole: str) -> tuple[float, float, float, float]:
    """A window in nm.

    Raises:
        SettingError: It is no window.
    """
    numbers = [float(each) for each in window if isinstance(each, int | float)]
    if len(numbers) != 4 or len(window) != 4 or not all(map(math.isfinite, numbers)):
        raise SettingError("window", f"found {list(window)}, expected [left, bottom, right, top] in um")
    left, bottom, right, top = (1000 * each for each in numbers)
    if left >= right or bottom >= top:
        raise SettingError("window", f"{list(window)} is empty, expected left < right and bottom < top; {whole}")
    return left, bottom, right, top


def _draw(chip: Chip, left: float, top: float, width: int, height: int, pixel_size: float) -> Float32:
    """The share of each pixel that a layer's polygons cover."""
    half_width, half_height = width * pixel_size / 2, height * pixel_size / 2
    near = chip.near(left + half_width, top - half_height, half_width, half_height)
    fine = np.zeros((height * _FINER, width * _FINER), np.uint8)
    step = pixel_size / _FINER
    for number in near:
        x, y = (chip.polygons[number][:, 0] - left) / step, (top - chip.polygons[number][:, 1]) / step
        corners = np.rint(np.column_stack([x, y]) * (1 << _SHIFT)).clip(-(2**30), 2**30).astype(np.int32)
        cv2.fillPoly(fine, [corners], 255, shift=_SHIFT)
    # OpenCV fills every pixel that the outline touches, half a pixel too many along each edge. So that abutting
    # polygons have no seam, one pixel is taken away at the right and lower edges of all, and the corners lie half a
    # pixel off.
    eroded = cv2.erode(fine, np.ones((2, 2), np.uint8), anchor=(0, 0), borderValue=255)
    coverage = cv2.resize(eroded, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(coverage, np.float32) / np.float32(255)
