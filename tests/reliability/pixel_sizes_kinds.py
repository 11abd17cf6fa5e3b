"""Pixel sizes where microscopes and programs put them: each kind is one place or one way of writing it."""

import math
import struct
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from kind import Kind

from sem_lightning.io.pixel_size import read_pixel_size

Check = Callable[[Path], str | None]

_PIXELS = np.zeros((16, 16), np.uint8)
_SHARED = Path(__file__).parents[3] / "shared" / "cases" / "pixel_size"
_SHARED_SIZES = {"ome1.ome.tif": 0.8, "r3_300um_cm.tif": 2.0, "an1_x0.8_y1.6.tif": 0.8}  # others name theirs
_TWO_SCANS = "[Beam]\nBeam={0}Beam\nScan={0}Scan\n[EScan]\nPixelWidth=1.25e-9\n[IScan]\nPixelWidth=4e-9\n"
_JEOL = "$CM_FORMAT 1.0\n$$SM_MICRON_BAR {0}\n$$SM_MICRON_MARKER {1}\n"
_HITACHI = "[SemImageFile]\r\nInstructName=SU8000\r\nPixelSize={0}\r\nSignalName=SE(U)\r\n"
_THERMO = '<?xml version="1.0"?><Metadata {0}><BinaryResult><PixelSize><X unit="{1}">{2}</X></PixelSize></BinaryResult>'
_PHENOM = '<?xml version="1.0"?>\n<FeiImage><pixelWidth unit="{0}">{1}</pixelWidth></FeiImage>'
_OME_NAMES = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
_OME = f'<?xml version="1.0"?><OME xmlns="{_OME_NAMES}"><Image><Pixels {{0}}/></Image></OME>'
_BOMB = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY c "1.2">]>' + _PHENOM.format("nm", "&c;")[22:]


def _thermo(unit: str, value: str, namespace: str = "") -> str:
    return _THERMO.format(namespace, unit, value) + "</Metadata>"


def _zeiss(*lines: str) -> str:
    return "\r\n".join(["0", *lines, ""])


def _ascii(code: int, text: str) -> dict[str, Any]:
    return {"extratags": [(code, "s", 0, text, True)]}


def _bytes(code: int, data: bytes) -> dict[str, Any]:
    return {"extratags": [(code, "B", len(data), data, True)]}


def _imagej(unit: str, per_unit: float) -> dict[str, Any]:
    return {"imagej": True, "resolution": (per_unit, per_unit), "metadata": {"unit": unit}}


def _ome(text: str) -> dict[str, Any]:
    return {"description": _OME.format(text), "metadata": None}


def _printed(per_unit: float, unit: str) -> dict[str, Any]:
    return {"resolution": (per_unit, per_unit), "resolutionunit": unit, "metadata": None}


_TAGS: dict[str, tuple[dict[str, Any], float | None]] = {
    "FEI, one scan": (_ascii(34682, "[Beam]\nHV=5000\n[Scan]\nPixelWidth=1.25e-009\n"), 1.25),
    "FEI, tag 34680": (_ascii(34680, "[Scan]\nPixelWidth=1.25e-009\n"), 1.25),
    "FEI, two scans, electrons": (_ascii(34682, _TWO_SCANS.format("E")), 1.25),
    "FEI, two scans, ions": (_ascii(34682, _TWO_SCANS.format("I")), 4.0),
    "FEI, two scans, none named": (_ascii(34682, "[EScan]\nPixelWidth=2e-9\n[IScan]\nPixelWidth=4e-9\n"), 2.0),
    "FEI, the named scan has no size": (
        _ascii(34682, "[Beam]\nScan=IScan\n[EScan]\nPixelWidth=2e-9\n[IScan]\nDwell=1\n"),
        None,
    ),
    "FEI, decimal comma": (_ascii(34682, "[Beam]\nScan=EScan\n[EScan]\nPixelWidth=1,25E-9\n"), 1.25),
    "FEI, of 5,400 nm": (_ascii(34682, "[Scan]\nPixelWidth=5.4e-6\n"), 5400.0),
    "FEI, zero": (_ascii(34682, "[Scan]\nPixelWidth=0\n"), None),
    "FEI, a word": (_ascii(34682, "[Scan]\nPixelWidth=unknown\n"), None),
    "FEI, no number": (_ascii(34682, "[Scan]\nPixelWidth=nan\n"), None),
    "FEI, without bound": (_ascii(34682, "[Scan]\nPixelWidth=1e300\n"), None),
    "FEI, negative": (_ascii(34682, "[Scan]\nPixelWidth=-1e-9\n"), None),
    "Thermo XML in 34683, metres": (_ascii(34683, _thermo("m", "1.25e-9")), 1.25),
    "Thermo XML in 34682, metres": (_ascii(34682, _thermo("m", "1.25e-9")), 1.25),
    "Thermo XML, nanometres": (_ascii(34683, _thermo("nm", "3.5")), 3.5),
    "Thermo XML, with a namespace": (_ascii(34683, _thermo("m", "2e-9", 'xmlns="http://schemas.fei.com/a"')), 2.0),
    "Thermo XML, decimal comma": (_ascii(34683, _thermo("m", "1,25e-9")), 1.25),
    "Thermo XML, bytes ending in NUL": (_bytes(34683, _thermo("m", "1.25e-9").encode() + b"\0\0"), 1.25),
    "Thermo XML, UTF-8 with a mark": (_bytes(34683, b"\xef\xbb\xbf" + _thermo("m", "1.25e-9").encode()), 1.25),
    "Thermo XML, cut off": (_ascii(34683, _thermo("m", "1.25e-9")[:-20]), None),
    "Thermo XML, other content": (_ascii(34683, "<Metadata><A>1</A></Metadata>"), None),
    "Phenom XML in 34683, nanometres": (_ascii(34683, _PHENOM.format("nm", "85.3")), 85.3),
    "Phenom XML in 34682, micrometres": (_ascii(34682, _PHENOM.format("um", "0.694952")), 694.952),
    "Phenom XML, of 2.1 um": (_ascii(34683, _PHENOM.format("um", "2.1")), 2100.0),
    "XML with entities that expand": (_ascii(34683, _BOMB), None),
    "Zeiss, nm": (_ascii(34118, _zeiss("AP_IMAGE_PIXEL_SIZE", "Image Pixel Size = 1.5 nm")), 1.5),
    "Zeiss, pm": (_ascii(34118, _zeiss("AP_IMAGE_PIXEL_SIZE", "Image Pixel Size = 900 pm")), 0.9),
    "Zeiss, decimal comma": (_ascii(34118, _zeiss("AP_IMAGE_PIXEL_SIZE", "Image Pixel Size = 1,5 nm")), 1.5),
    "Zeiss, um in Latin-1": (
        _bytes(34118, _zeiss("AP_IMAGE_PIXEL_SIZE", "Image Pixel Size = 0.005 \u00b5m").encode("latin-1")),
        5.0,
    ),
    "Zeiss, um in UTF-8": (
        _bytes(34118, _zeiss("AP_IMAGE_PIXEL_SIZE", "Image Pixel Size = 0.005 \u03bcm").encode()),
        5.0,
    ),
    "Zeiss, of 1.117 um": (_ascii(34118, _zeiss("AP_PIXEL_SIZE", "Pixel Size = 1117 nm")), 1117.0),
    "Zeiss, image and screen differ": (
        _ascii(34118, _zeiss("AP_PIXEL_SIZE", "Pixel Size = 2 nm", "AP_IMAGE_PIXEL_SIZE", "Image Pixel Size = 1 nm")),
        1.0,
    ),
    "Zeiss, unit unknown": (_ascii(34118, _zeiss("AP_PIXEL_SIZE", "Pixel Size = 2 px")), None),
    "TESCAN, tag 50431": (_bytes(50431, b"\x01\0MAIN\r\nPixelSizeX=1.6e-009\r\nPixelSizeY=1.6e-009\r\n"), 1.6),
    "TESCAN, tag 50431, decimal comma": (_bytes(50431, b"PixelSizeX=1,6e-9\r\n"), 1.6),
    "ImageJ, um": (_imagej("um", 500), 2.0),
    "ImageJ, micron": (_imagej("micron", 500), 2.0),
    "ImageJ, microns": (_imagej("microns", 500), 2.0),
    "ImageJ, escaped micro sign": (_imagej("\\u00B5m", 500), 2.0),
    "ImageJ, nm": (_imagej("nm", 1.25), 0.8),
    "ImageJ, nanometer": (_imagej("nanometer", 1.25), 0.8),
    "ImageJ, nanometres": (_imagej("nanometres", 1.25), 0.8),
    "ImageJ, angstrom": (_imagej("angstrom", 0.125), 0.8),
    "ImageJ, Angstrom with a capital": (_imagej("Angstrom", 0.125), 0.8),
    "ImageJ, escaped angstrom sign": (_imagej("\\u00C5", 0.125), 0.8),
    "ImageJ, micrometer": (_imagej("micrometer", 500), 2.0),
    "ImageJ, mm": (_imagej("mm", 500_000), 2.0),
    "ImageJ, of 4 um": (_imagej("um", 0.25), 4000.0),
    "ImageJ, pixels": (_imagej("pixel", 1), None),
    "ImageJ, 300 dpi": (_imagej("inch", 300), None),
    "ImageJ, print in cm": (_imagej("cm", 118.11), None),
    "OME, nm": (_ome('PhysicalSizeX="0.8" PhysicalSizeXUnit="nm"'), 0.8),
    "OME, no unit is um": (_ome('PhysicalSizeX="0.0008"'), 0.8),
    "OME, um": (_ome('PhysicalSizeX="0.0008" PhysicalSizeXUnit="&#181;m"'), 0.8),
    "OME, angstrom": (_ome('PhysicalSizeX="8" PhysicalSizeXUnit="&#197;"'), 0.8),
    "OME, pixels": (_ome('PhysicalSizeX="1" PhysicalSizeXUnit="pixel"'), None),
    "OME, none": (_ome('SizeX="16"'), None),
    "resolution, cm": (_printed(1e7 / 0.8, "CENTIMETER"), 0.8),
    "resolution, inch": (_printed(2.54e7 / 2, "INCH"), 2.0),
    "resolution, of 1,500 nm": (_printed(1e7 / 1500, "CENTIMETER"), 1500.0),
    "no tags": ({"metadata": None}, None),
    **{f"print, {dpi} dpi": (_printed(dpi, "INCH"), None) for dpi in (1, 72, 96, 150, 300, 600, 1200, 4800, 9600)},
    "print, 118 per cm": (_printed(118.11, "CENTIMETER"), None),
    "resolution without unit": (_printed(500, "NONE"), None),
}
_BESIDE: dict[str, tuple[str, str, bytes, float | None]] = {
    "Hitachi, UTF-16": ("a.tif", "a.txt", _HITACHI.format("1.25").encode("utf-16"), 1.25),
    "Hitachi, UTF-16 without a mark": ("a.tif", "a.txt", _HITACHI.format("1.25").encode("utf-16-le"), 1.25),
    "Hitachi, Latin-1": ("a.tif", "a.txt", _HITACHI.format("1.25\r\nNote=\u00e4").encode("latin-1"), 1.25),
    "Hitachi, decimal comma": ("a.bmp", "a.txt", _HITACHI.format("1,25").encode(), 1.25),
    "Hitachi, of 1,984 nm": ("a.tif", "a.txt", _HITACHI.format("1984.375").encode(), 1984.375),
    "Hitachi, beside a JPEG": ("a.jpg", "a.TXT", _HITACHI.format("1.25").encode(), 1.25),
    "JEOL, nm": ("a.tif", "a.txt", _JEOL.format("80", "100nm").encode(), 1.25),
    "JEOL, um": ("a.tif", "a.txt", _JEOL.format("100", "1um").encode(), 10.0),
    "JEOL, um with a sign": ("a.tif", "a.txt", _JEOL.format("100", "1\u00b5m").encode(), 10.0),
    "JEOL, mm": ("a.bmp", "a.txt", _JEOL.format("200", "1mm").encode(), 5000.0),
    "JEOL, bar of zero": ("a.tif", "a.txt", _JEOL.format("0", "1um").encode(), None),
    "TESCAN, .hdr": ("a.tif", "a.hdr", b"[MAIN]\r\nPixelSizeX=1.6e-009\r\n[SEM]\r\nHV=5000\r\n", 1.6),
    "TESCAN, -tif.hdr": ("a.tif", "a-tif.hdr", b"[MAIN]\nPixelSizeX=1.6e-009\n", 1.6),
    "TESCAN, -png.hdr": ("a.png", "a-png.hdr", b"[MAIN]\nPixelSizeX=1,6E-9\n", 1.6),
    "YOLO labels": ("a.png", "a.txt", b"0 0.5 0.5 0.1 0.1\n", None),
    "notes": ("a.tif", "a.txt", b"PixelSize=2 is what I think\n", None),
    "random bytes": ("a.tif", "a.hdr", np.random.default_rng(0).bytes(500), None),
    "an empty file": ("a.tif", "a.txt", b"", None),
}
_PNG: dict[str, tuple[int, int, float | None]] = {
    "PNG, 0.8 nm": (1_250_000_000, 1, 0.8),
    "PNG, 72 dpi": (2835, 1, None),
    "PNG, 300 dpi": (11811, 1, None),
    "PNG, no unit": (1_250_000_000, 0, None),
    "PNG, zero": (0, 1, None),
}


def _judge(path: Path, expected: float | None) -> str | None:
    found = read_pixel_size(path)
    right = found is None if expected is None else found is not None and math.isclose(found, expected, rel_tol=1e-4)
    return None if right else f"read {found}, right is {expected}"


def _tagged(options: dict[str, Any], expected: float | None) -> Check:
    def check(folder: Path) -> str | None:
        tifffile.imwrite(folder / "a.tif", _PIXELS, **options)
        return _judge(folder / "a.tif", expected)

    return check


def _beside(image: str, name: str, content: bytes, expected: float | None) -> Check:
    def check(folder: Path) -> str | None:
        if image.endswith(".tif"):
            tifffile.imwrite(folder / image, _PIXELS, **_printed(72, "INCH"))
        else:
            (folder / image).write_bytes(_png(2835, 1))
        (folder / name).write_bytes(content)
        return _judge(folder / image, expected)

    return check


def _png(per_unit: int, unit: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress(b"".join(b"\0" + row.tobytes() for row in _PIXELS))
    header = struct.pack(">IIBBBBB", 16, 16, 8, 0, 0, 0, 0)
    chunks = (
        (b"IHDR", header),
        (b"pHYs", struct.pack(">IIB", per_unit, per_unit, unit)),
        (b"IDAT", rows),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks)


def _in_png(per_unit: int, unit: int, expected: float | None) -> Check:
    def check(folder: Path) -> str | None:
        (folder / "a.png").write_bytes(_png(per_unit, unit))
        return _judge(folder / "a.png", expected)

    return check


def _of_shared(path: Path) -> Kind:
    """A file of ``shared/cases``, which has its pixel size in its name."""
    said = path.stem.partition("_expect")[2]
    expected = _SHARED_SIZES.get(path.name, None if said in ("", "None") else float(said or 0))
    return Kind(f"shared, {path.name}", lambda folder: _judge(path, expected))


def _tags_before_files(folder: Path) -> str | None:
    tifffile.imwrite(folder / "a.tif", _PIXELS, **_ascii(34682, "[Scan]\nPixelWidth=2e-9\n"))
    (folder / "a.txt").write_text(_HITACHI.format("1.25"))
    return _judge(folder / "a.tif", 2.0)


def kinds() -> Iterable[Kind]:
    """Every place and every spelling."""
    for name, tags in _TAGS.items():
        yield Kind(name, _tagged(*tags))
    for name, beside in _BESIDE.items():
        yield Kind(f"beside it: {name}", _beside(*beside))
    for name, png in _PNG.items():
        yield Kind(name, _in_png(*png))
    yield Kind("tags come before files beside it", _tags_before_files)
    yield Kind("no file", lambda folder: _judge(folder / "a.tif", None))
    if _SHARED.is_dir():
        yield from (_of_shared(path) for path in sorted(_SHARED.iterdir()) if path.suffix in (".tif", ".png"))
