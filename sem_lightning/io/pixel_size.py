"""Reads the pixel size from the tags of a microscope's TIFF."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import tifffile

TAGGED = (".tif", ".tiff")  # suffixes of files that may hold it
LARGEST = 1000.0  # nm; resolutions of printers, screens and scanners are coarser
_MICROMETRE = 1e3
_UNITS = {
    "pm": 1e-3,
    "nm": 1.0,
    **dict.fromkeys(("um", "\u00b5m", "\u03bcm", "\\u00B5m", "micron", "microns"), _MICROMETRE),
    "mm": 1e6,
    "cm": 1e7,
    "inch": 2.54e7,
    "m": 1e9,
}
_TIFF_UNITS = {2: 2.54e7, 3: 1e7}  # inch and centimetre, nm


def read_pixel_size(path: Path) -> float | None:
    """Width of a pixel in nm, if the file holds it in a known format; else ``None``.

    Known formats are the private tags of FEI and Thermo Fisher, Zeiss and Olympus (read by tifffile), ImageJ's
    description, and the TIFF resolution if it is finer than a printer's.
    """
    if path.suffix.lower() not in TAGGED:
        return None
    try:
        with tifffile.TiffFile(path) as tiff:
            return next((size for read in _READERS if (size := _try(read, tiff)) is not None), None)
    except Exception:  # the parser raises many types of errors on foreign files
        return None


def _try(read: Callable[[tifffile.TiffFile], float | None], tiff: tifffile.TiffFile) -> float | None:
    """Read one vendor's tags; ``None`` if they are unreadable."""
    try:
        size = read(tiff)
    except Exception:
        return None
    return size if size is not None and 0 < size <= LARGEST else None


def _of_fei(tiff: tifffile.TiffFile) -> float | None:
    metadata: Any = tiff.fei_metadata or {}
    for section in ("Scan", "EScan", "IScan"):
        if isinstance(metadata.get(section), dict) and metadata[section].get("PixelWidth"):
            return float(metadata[section]["PixelWidth"]) * 1e9
    return None


def _of_zeiss(tiff: tifffile.TiffFile) -> float | None:
    metadata: Any = tiff.sem_metadata or {}
    for key in ("ap_image_pixel_size", "ap_pixel_size"):
        if key in metadata:
            _, value, unit = metadata[key][:3]
            return float(value) * _UNITS[unit]
    return None


def _of_olympus(tiff: tifffile.TiffFile) -> float | None:
    metadata: Any = tiff.sis_metadata or {}
    return float(metadata["pixelsizex"]) * 1e9 if metadata.get("pixelsizex") else None


def _of_imagej(tiff: tifffile.TiffFile) -> float | None:
    unit = (tiff.imagej_metadata or {}).get("unit")
    tag = tiff.pages.first.tags.get("XResolution")
    if unit not in _UNITS or tag is None:
        return None
    pixels, units = tag.value
    return float(_UNITS[unit] * units / pixels)


def _of_resolution(tiff: tifffile.TiffFile) -> float | None:
    tags = tiff.pages.first.tags
    unit, tag = tags.get("ResolutionUnit"), tags.get("XResolution")
    if unit is None or tag is None or unit.value not in _TIFF_UNITS:
        return None
    pixels, units = tag.value
    return float(_TIFF_UNITS[unit.value] * units / pixels)


_READERS = (_of_fei, _of_zeiss, _of_olympus, _of_imagej, _of_resolution)
