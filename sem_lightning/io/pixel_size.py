"""Reads the pixel size of an image from its tags or from a file beside it."""

import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from sem_lightning.io.lengths import nanometres, read_length
from sem_lightning.io.sidecars import TESCAN, read_sidecar
from sem_lightning.io.tiff import TIFF_MARKS

if TYPE_CHECKING:  # takes long to import, and other files do without
    from tifffile import TiffFile

SMALLEST, LARGEST = 1e-3, 1e7  # nm; what lies beyond is no pixel of a microscope
_FINEST_PRINT = 2.54e7 / 9600  # nm; resolutions of printers, screens and scanners are no finer

_TIFF_UNITS = {2: "inch", 3: "cm"}
_OF_PRINT = tuple(map(nanometres, ("inch", "cm", "m")))  # a PNG gives its resolution in pixels per metre
_FEI_TAGS = (34680, 34682, 34683)
_TESCAN_TAG = 50431
_MOST_XML = 1 << 24  # bytes
_BEFORE_PIXELS = 1 << 16  # bytes of a PNG in which its resolution is looked for


def read_pixel_size(path: Path) -> float | None:
    """Width of a pixel in nm, if the file or one beside it holds it in a known format; else ``None``.

    Known are, in this order, the tags of FEI, Thermo Fisher and Phenom (text or XML), Zeiss, Olympus and TESCAN, the
    descriptions of OME and ImageJ, the files beside it of TESCAN (``.hdr``), Hitachi and JEOL (``.txt``), and the
    resolution of a TIFF or PNG if it is finer than a printer's (9,600 dpi).
    """
    try:
        if not path.is_file():
            return None
        with path.open("rb") as stream:
            start = stream.read(_BEFORE_PIXELS)
        if start[:4] not in TIFF_MARKS:
            size = _first((read_sidecar,), path)
            return _first((_of_png,), start) if size is None else size
        from tifffile import TiffFile

        with TiffFile(path) as tiff:
            size = _first(_OF_TAGS, tiff)
            size = _first((read_sidecar,), path) if size is None else size
            return _first((_of_resolution,), tiff) if size is None else size
    except Exception:  # the parser raises many types of errors on foreign files
        return None


def pixel_size_in(data: bytes) -> float | None:
    """Width of a pixel in nm, if the content of a file holds it in a known format, see `read_pixel_size`."""
    if data[:4] not in TIFF_MARKS:
        return _first((_of_png,), data[:_BEFORE_PIXELS])
    from tifffile import TiffFile

    try:
        with TiffFile(io.BytesIO(data)) as tiff:
            return _first((*_OF_TAGS, _of_resolution), tiff)
    except Exception:  # the parser raises many types of errors on foreign files
        return None


def _first(readers: tuple[Callable[[Any], float | None], ...], source: object) -> float | None:
    """The size that the first reader finds; one that fails finds none."""
    for read in readers:
        try:
            size = read(source)
        except Exception:  # tags may hold anything
            continue
        if size is not None and SMALLEST <= size <= LARGEST:
            return size
    return None


def _of_fei(tiff: "TiffFile") -> float | None:
    """The scan that the tag names, because an instrument with two columns writes both."""
    metadata: Any = tiff.fei_metadata or {}
    named = metadata.get("Beam", {}).get("Scan")
    for section in (named,) if named in metadata else ("Scan", "EScan", "IScan"):
        if isinstance(metadata.get(section), dict) and metadata[section].get("PixelWidth"):
            return read_length(metadata[section]["PixelWidth"], "m")
    return None


def _of_thermo_xml(tiff: "TiffFile") -> float | None:
    for code in _FEI_TAGS:
        data = _tag_bytes(tiff, code)
        if not data.lstrip(b"\xef\xbb\xbf\0 \r\n\t").startswith(b"<"):
            continue
        for node in _parse_xml(data):
            if node.tag == "pixelWidth" and node.text:
                return read_length(node.text, node.get("unit", "m"))
            across = next((child for child in node if child.tag == "X"), None) if node.tag == "PixelSize" else None
            if across is not None and across.text:
                return read_length(across.text, across.get("unit", "m"))
    return None


def _tag_bytes(tiff: "TiffFile", code: int) -> bytes:
    """Content of a tag as it is in the file; empty if there is no such tag."""
    tag = tiff.pages.first.tags.get(code)
    if tag is None or tag.valuebytecount > _MOST_XML:
        return b""
    tiff.filehandle.seek(tag.valueoffset)
    return bytes(tiff.filehandle.read(tag.valuebytecount))


def _parse_xml(data: bytes) -> list[ElementTree.Element]:
    """All elements, with names that have no namespace. Files with a DTD, which may expand without end, have none."""
    data = data.strip(b"\0 \r\n\t")
    if len(data) > _MOST_XML or b"<!DOCTYPE" in data:
        return []
    nodes = list(ElementTree.fromstring(data).iter())
    for node in nodes:
        node.tag = str(node.tag).rpartition("}")[2]
    return nodes


def _of_zeiss(tiff: "TiffFile") -> float | None:
    metadata: Any = tiff.sem_metadata or {}
    for key in ("ap_image_pixel_size", "ap_pixel_size"):
        if key in metadata:
            _, value, *unit = metadata[key]
            return read_length(value, unit[0] if unit else "")
    return None


def _of_olympus(tiff: "TiffFile") -> float | None:
    metadata: Any = tiff.sis_metadata or {}
    return read_length(metadata["pixelsizex"], "m") if metadata.get("pixelsizex") else None


def _of_tescan_tag(tiff: "TiffFile") -> float | None:
    found = TESCAN.search(_tag_bytes(tiff, _TESCAN_TAG).decode("latin-1"))
    return read_length(found[1], "m") if found else None


def _of_ome(tiff: "TiffFile") -> float | None:
    description = tiff.pages.first.description
    if "<OME" not in description[:4096]:
        return None
    pixels = next((node for node in _parse_xml(description.encode()) if node.tag == "Pixels"), None)
    if pixels is None or "PhysicalSizeX" not in pixels.attrib:
        return None
    return read_length(pixels.attrib["PhysicalSizeX"], pixels.get("PhysicalSizeXUnit", "um"))


def _of_imagej(tiff: "TiffFile") -> float | None:
    unit, tag = (tiff.imagej_metadata or {}).get("unit"), tiff.pages.first.tags.get("XResolution")
    if unit is None or tag is None:
        return None
    pixels, units = tag.value
    return _unless_print(units / pixels, str(unit))


def _of_resolution(tiff: "TiffFile") -> float | None:
    tags = tiff.pages.first.tags
    unit, tag = tags.get("ResolutionUnit"), tags.get("XResolution")
    if unit is None or tag is None or unit.value not in _TIFF_UNITS:
        return None
    pixels, units = tag.value
    return _unless_print(units / pixels, _TIFF_UNITS[unit.value])


def _of_png(data: bytes) -> float | None:
    """The resolution in the chunk pHYs, from the beginning of a file."""
    place = 8 if data.startswith(b"\x89PNG\r\n\x1a\n") else len(data)
    while place + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        if kind == b"IDAT":
            return None
        if kind == b"pHYs":
            pixels, _, unit = struct.unpack_from(">IIB", data, place + 8)
            return _unless_print(1 / pixels, "m") if unit == 1 else None
        place += length + 12
    return None


def _unless_print(units: float, unit: str) -> float | None:
    """So many units of a length, in nm; ``None`` for a pixel no finer than print in a unit of print."""
    length = nanometres(unit)
    size = units * length
    return None if length in _OF_PRINT and size >= _FINEST_PRINT else size


_OF_TAGS = (_of_fei, _of_thermo_xml, _of_zeiss, _of_olympus, _of_tescan_tag, _of_ome, _of_imagej)
