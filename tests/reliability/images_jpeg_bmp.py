"""Kinds of JPEG and BMP."""

import io
import struct
from collections.abc import Iterator

import numpy as np
from image_checks import GREY, cut, quantised, refused, right, right_or_refused
from image_writers import Pixels, bmp, jpeg
from kind import Kind
from PIL import Image


def jpeg_kinds() -> Iterator[Kind]:
    """Colours, scans and damage of JPEG files."""
    colours = np.dstack([GREY] * 3)
    for name, pixels in (("grey", GREY), ("colour", colours)):
        for quality in (75, 95):
            for progressive in (False, True):
                for restart in (0, 3):
                    for subsampling in (0, 2) if pixels.ndim == 3 else (0,):
                        options = {"quality": quality, "progressive": progressive, "subsampling": subsampling}
                        options |= {"restart_marker_blocks": restart} if restart else {}
                        yield right(
                            f"JPEG {name} {options}",
                            lambda p=pixels, o=options: jpeg(p, **o),
                            0.1 if quality < 95 else 0.04,
                            suffix=".jpg",
                        )
                        for share in (0.3, 0.5, 0.7, 0.9):
                            yield refused(
                                f"JPEG {name} {options}, cut at {share}, with an end",
                                lambda p=pixels, o=options, s=share: cut(jpeg(tiled(p), **o), s) + b"\xff\xd9",
                                suffix=".jpg",
                            )
    whole = jpeg(GREY)
    frame = whole.index(b"\xff\xc0")
    good = {
        "colours kept": jpeg(colours, keep_rgb=True),
        "zeros after its end": whole + bytes(99),
        "a trailer": whole + b"maker's notes",
        "a comment": whole[:2] + b"\xff\xfe\0\7hello" + whole[2:],
        "a broken EXIF": whole[:2] + b"\xff\xe1\0\x0cExif\0\0MM\0*" + whole[2:],
        "fill bytes": whole[:-2] + b"\xff\xff\xff\xd9",
        "an odd note of several pictures": whole[:2] + b"\xff\xe2\0\x08MPF\0MM" + whole[2:],
    }
    for name, data in good.items():
        yield right(f"JPEG with {name}", lambda d=data: d, 0.04, suffix=".jpg")
    bad = {
        "no end": whole[:-2],
        "nothing but a start": b"\xff\xd8\xff",
        "a start and an end": b"\xff\xd8\xff\xd9",
        "no scan": whole[: whole.index(b"\xff\xda")] + b"\xff\xd9",
        "two pictures": whole + whole,
        "height 0": whole[: frame + 5] + b"\0\0" + whole[frame + 7 :],
        "65,000 x 65,000": whole[: frame + 5] + struct.pack(">HH", 65000, 65000) + whole[frame + 9 :],
        "16,000 x 16,000": whole[: frame + 5] + struct.pack(">HH", 16000, 16000) + whole[frame + 9 :],
        "twice its rows": whole[: frame + 5] + struct.pack(">H", 74) + whole[frame + 7 :],
        "12 bits": whole[: frame + 4] + b"\x0c" + whole[frame + 5 :],
        "lossless": whole.replace(b"\xff\xc0", b"\xff\xc3"),
        "arithmetic": whole.replace(b"\xff\xc0", b"\xff\xc9"),
        "two frames": whole[:frame] + whole[frame : frame + 13] + whole[frame:],
        "CMYK": _cmyk(),
        "scans without number": whole[:-2] + whole[whole.index(b"\xff\xda") : -2] * 99 + whole[-2:],
    }
    for name, data in bad.items():
        yield refused(f"JPEG {name}", lambda d=data: d, suffix=".jpg")


def tiled(pixels: Pixels) -> Pixels:
    return np.tile(pixels, (4, 4, 1)[: pixels.ndim])


def _cmyk() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(GREY).convert("CMYK").save(stream, "JPEG")
    return stream.getvalue()


def bmp_kinds() -> Iterator[Kind]:
    """Depths, palettes and damage of BMP files."""
    for bits in (1, 4, 8):
        numbers = quantised(bits)[..., 0]
        ramp = np.repeat(np.linspace(0, 255, 2**bits).astype(np.uint8)[:, None], 3, axis=1)
        for top_down in (False, True):
            for old in (False, True):
                for reverse in (False, True):
                    stored = 2**bits - 1 - numbers if reverse else numbers
                    if not (old and top_down):
                        yield right(
                            f"BMP {bits} bits top down {top_down} old {old} reversed {reverse}",
                            lambda s=stored, b=bits, p=ramp[::-1] if reverse else ramp, t=top_down, o=old: bmp(
                                s, b, p, t, o
                            ),
                            0.5001 / (2**bits - 1) + 0.004,
                            suffix=".bmp",
                        )
    grey = GREY
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    for channels in (3, 4):
        pixels = np.dstack([GREY] * channels)
        pixels[..., 3:] = 0
        for top_down in (False, True):
            yield right(
                f"BMP {8 * channels} bits top down {top_down}",
                lambda p=pixels, t=top_down: bmp(p, 8 * p.shape[2], None, t),
                suffix=".bmp",
            )
        for share in (0.2, 0.5, 0.99):
            yield refused(
                f"BMP {8 * channels} bits cut at {share}",
                lambda p=pixels, s=share: cut(bmp(p, 8 * p.shape[2]), s),
                suffix=".bmp",
            )
    for compression in (1, 2, 3, 4, 5, 6, 11):
        yield refused(
            f"BMP compression {compression}", lambda c=compression: bmp(grey, 8, ramp, compression=c), suffix=".bmp"
        )
    for size in ((32000, 32000), (16384, 16384), (0, 5), (52, 38), (2**31 - 1, 2**31 - 1), (2**20 + 1, 1)):
        yield refused(f"BMP of {size}", lambda s=size: bmp(grey, 8, ramp, size=s), suffix=".bmp")
        yield refused(f"BMP RLE8 of {size}", lambda s=size: bmp(grey, 8, ramp, size=s, compression=1), suffix=".bmp")
    yield right_or_refused("BMP a colour beyond the palette", lambda: bmp(grey, 8, ramp[:9]), ".bmp")
    yield refused(
        "BMP a header of 7 bytes", lambda: bmp(grey, 8, ramp).replace(b"\x28\0\0\0", b"\7\0\0\0", 1), "", ".bmp"
    )
