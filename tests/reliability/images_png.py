"""Kinds of PNG."""

import struct
import zlib
from collections.abc import Iterator

import numpy as np
from image_checks import quantised, refused, right, right_or_refused
from image_writers import chunk, png
from kind import Kind


def png_kinds() -> Iterator[Kind]:
    """Colours, depths, filters and damage of PNG files."""
    for colour, channels, depths in (
        (0, 1, (1, 2, 4, 8, 16)),
        (2, 3, (8, 16)),
        (3, 1, (1, 2, 4, 8)),
        (4, 2, (8, 16)),
        (6, 4, (8, 16)),
    ):
        for depth in depths:
            pixels = np.concatenate([quantised(depth)] * channels, axis=2)
            before = b""
            if colour in (4, 6):
                pixels[..., -1] = 0
            if colour == 3:
                pixels = 2**depth - 1 - pixels
                table = np.linspace(255, 0, 2**depth).astype(np.uint8)
                before = chunk(b"PLTE", np.repeat(table, 3).tobytes()) + chunk(b"tRNS", bytes(2**depth))
            for interlaced in (False, True):
                for row_filter in range(5):
                    yield right(
                        f"PNG colour {colour} depth {depth} interlaced {interlaced} filter {row_filter}",
                        lambda p=pixels, d=depth, c=colour, i=interlaced, f=row_filter, b=before: png(p, d, c, i, f, b),
                        0.5001 / (2**depth - 1) + 0.003,
                        suffix=".png",
                    )
    grey = quantised(8)
    beside = {
        "a broken colour profile": chunk(b"iCCP", b"a\0\0broken"),
        "gamma 0": chunk(b"gAMA", bytes(4)),
        "gamma of another length": chunk(b"gAMA", b"1"),
        "a text": chunk(b"tEXt", b"Comment\0hello"),
        "a broken compressed text": chunk(b"zTXt", b"Comment\0\0broken"),
        "an odd background": chunk(b"bKGD", b"12345678"),
        "transparent grey": chunk(b"tRNS", b"\0\x80"),
        "a palette": chunk(b"PLTE", bytes(9)),
        "a broken EXIF": chunk(b"eXIf", b"MM\0*\xff\xff\xff\xff"),
        "an unknown part": chunk(b"vpAg", bytes(9)),
        "a profile of a gigabyte": chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(1 << 26), 9)),
        "one frame of an animation": chunk(b"acTL", struct.pack(">II", 1, 0)),
    }
    for name, before in beside.items():
        yield right(f"PNG with {name}", lambda b=before: png(grey, 8, 0, before=b), suffix=".png")
    raw = png(grey, 8, 0)
    at = raw.index(b"IDAT")
    length = struct.unpack_from(">I", raw, at - 4)[0]
    stored = zlib.decompress(raw[at + 4 : at + 4 + length])
    broken = {
        "too few pixels": png(grey, 8, 0, compressed=zlib.compress(stored[:-60])),
        "unknown filter": png(grey, 8, 0, compressed=zlib.compress(b"\7" + stored[1:])),
        "wrong checksum of the pixels": png(grey, 8, 0, compressed=zlib.compress(stored)[:-4] + bytes(4)),
        "pixels that are no Deflate": png(grey, 8, 0, compressed=stored),
        "no pixels": png(grey, 8, 0, compressed=b""),
        "a wrong checksum of a text": png(grey, 8, 0, before=chunk(b"tEXt", b"a\0b")[:-4] + bytes(4)),
        "a wrong checksum of IDAT": raw[: at + 4 + length] + bytes(4) + raw[at + 8 + length :],
        "32,000 x 32,000 of 1 bit": png(grey, 1, 0, size=(32_000, 32_000)),
        "32,000 x 32,000 behind a wrong checksum": png(
            grey, 1, 0, size=(32_000, 32_000), before=chunk(b"tEXt", b"a\0b")[:-4] + bytes(4)
        ),
        "a part of 4 GiB": raw[:33] + b"\xff\xff\xff\xffIDAT" + raw[41:],
        "a header of another length": b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", bytes(12)) + raw[33:],
        "no header": raw[:8] + raw[33:],
        "depth 3": png(grey, 8, 0).replace(raw[8:33], chunk(b"IHDR", raw[16:24] + b"\3\0\0\0\0")),
        "colour 7": raw.replace(raw[8:33], chunk(b"IHDR", raw[16:24] + b"\x08\7\0\0\0")),
        "interlacing 2": raw.replace(raw[8:33], chunk(b"IHDR", raw[16:24] + b"\x08\0\0\0\2")),
        "width 0": png(grey, 8, 0, size=(0, 5)),
        "4 billion wide": png(grey, 8, 0, size=(2**32 - 1, 2**32 - 1)),
        "no end": raw[:-12],
        "ends of lines of a text": raw.replace(b"\r\n", b"\n"),
        "a colour beyond the palette": png(grey, 8, 3, before=chunk(b"PLTE", bytes(9))),
        "a palette without colours": png(grey, 8, 3, before=chunk(b"PLTE", b"")),
        "no palette": png(grey, 8, 3),
        "a palette of 4 bytes": png(grey, 8, 3, before=chunk(b"PLTE", bytes(4))),
        "two headers": raw[:8] + chunk(b"IHDR", raw[16:24] + b"\x08\0\0\0\0") + raw[8:],
        "two frames": png(grey, 8, 0, before=chunk(b"acTL", struct.pack(">II", 2, 0))),
        "a million parts": raw[:33] + chunk(b"tEXt", b"") * (1 << 20) + raw[33:],
    }
    for name, data in broken.items():
        yield refused(f"PNG {name}", lambda d=data: d, suffix=".png")
    harmless = {
        "too many pixels": zlib.compress(stored + bytes(60)),
        "a bomb after the pixels": zlib.compress(stored + bytes(1 << 28), 9),
        "pixels without their end": zlib.compress(stored)[:-4],
    }
    for name, compressed in harmless.items():
        yield right_or_refused(f"PNG {name}", lambda c=compressed: png(grey, 8, 0, compressed=c), ".png")
