"""Designs that are made up, and simulated images of them."""

import dataclasses
from pathlib import Path

import cv2
import gdstk
import numpy as np

from sem_lightning.synthesis.beam import Beam
from sem_lightning.synthesis.field import FieldOfView, Float32
from sem_lightning.synthesis.imaging import Exposure
from sem_lightning.synthesis.patterns.shapes import Shapes
from sem_lightning.synthesis.roughness import Roughness
from sem_lightning.synthesis.scan import Scan
from sem_lightning.synthesis.texture import Grain

VIEW = FieldOfView(height=360, width=420, pixel_size=2.0)
EXPOSURE = Exposure(
    "bright", 0.25, 0.3, 0.3, 8.0, 4.0, 0.0, 0.0, 10.0, Beam(3.0, 0.0, 0.0, 0.0, 8.0), Grain("open", 2.0, 0.0, key=1),
    Scan(100.0, 0.0, 0.0, 0.0, (), 0.0, 20.0, 0.0, key=1),
)  # fmt: skip
ROUGH = Roughness(sigma=0.8, correlation_length=15.0, hurst=0.7)
Polygons = tuple[tuple[tuple[float, float], ...], ...]


def draw_chip() -> Polygons:
    """Bars, blocks and triangles, nm, y down, around (0, 0): 1200 x 1000 nm."""
    rng = np.random.default_rng(3)
    polygons = []
    for x in np.arange(-540, 560, 120):
        for y in np.arange(-450, 470, 100):
            width, height = rng.uniform(40, 90, 2)
            box = np.array([[-width, -height], [width, -height], [width, height], [-width, height]]) / 2
            corners = (box[: rng.integers(3, 5)] + np.array([x, y]) + rng.uniform(-8, 8, 2)).round(1)
            polygons.append(tuple((float(a), float(b)) for a, b in corners))
    return tuple(polygons)


CHIP = draw_chip()


def expose(
    polygons: Polygons,
    bias: float = 0.0,
    shift: tuple[float, float] = (0.0, 0.0),
    cutouts: Polygons = (),
    seed: int = 0,
    bloom: float = 0.3,
) -> Float32:
    """The simulated image of polygons that are ``bias`` nm larger along each edge, moved by ``shift`` nm."""
    moved = tuple(tuple((x + shift[0], y + shift[1]) for x, y in polygon) for polygon in polygons)
    phi = Shapes(moved, cutouts, 100.0, 4.0, ROUGH, seed).phi(VIEW) + np.float32(bias)
    noise = np.random.default_rng(seed).normal(0, 0.04, VIEW.shape)
    return np.clip(
        dataclasses.replace(EXPOSURE, bloom=bloom).render(phi.astype(np.float32), (), VIEW) + noise, 0, 1
    ).astype(np.float32)


def draw_mask(path: Path, scale: float, polygons: Polygons = CHIP) -> Path:
    """The chip as a mask of 1200 x 1000 nm whose pixels are ``scale`` pixels of the image."""
    step = VIEW.pixel_size * scale
    view = FieldOfView(round(1000 / step), round(1200 / step), step)
    phi = Shapes(polygons, (), 100.0, 0.0, dataclasses.replace(ROUGH, sigma=0.0), 0).phi(view)
    cv2.imwrite(str(path), np.where(phi > 0, 255, 0).astype(np.uint8))
    return path


def write_layout(path: Path, polygons: Polygons = CHIP) -> Path:
    """Polygons in a GDSII file, layer 10, y up, their middle at (50, 20) um."""
    library = gdstk.Library(unit=1e-6, precision=1e-12)
    cell = library.new_cell("TOP")
    for polygon in polygons:
        cell.add(gdstk.Polygon([(50 + x / 1000, 20 - y / 1000) for x, y in polygon], layer=10))
    library.write_gds(path)
    return path
