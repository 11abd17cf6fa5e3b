"""Kinds of TIFF."""

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
from image_checks import TRUTH, quantised, refused, right
from image_writers import DEFLATE, JPEG, LZW, NONE, OLD_DEFLATE, PACKBITS, Pixels, tiff
from kind import Kind

LAYOUTS: dict[str, dict[str, Any]] = {"one strip": {}, "strips": {"rows": 5}, "tiles": {"tile": 16}}
COMPRESSIONS = {"plain": NONE, "LZW": LZW, "Deflate": DEFLATE, "old Deflate": OLD_DEFLATE, "PackBits": PACKBITS}
ORDERS: tuple[dict[str, Any], ...] = (
    {},
    {"order": ">"},
    {"big": True},
    {"order": ">", "big": True},
    {"directory_last": False},
)


def tiff_kinds() -> Iterator[Kind]:
    """Depths, polarities, compressions and layouts of grey TIFFs, with the byte orders in turn."""
    turn_of_order = 0
    for bits in (1, 2, 4, 8, 10, 12, 14, 16, -16, -32, -64):
        floats, depth = bits < 0, abs(bits)
        samples = TRUTH[..., None].astype(f"f{depth // 8}") if floats else quantised(bits)
        for photometric in (0, 1):
            negative = samples if photometric else (1 - samples if floats else 2**bits - 1 - samples)
            negative = negative.astype(samples.dtype)
            for compression, number in COMPRESSIONS.items():
                for layout, where in LAYOUTS.items():
                    order = ORDERS[turn_of_order % len(ORDERS)]
                    turn_of_order += 1
                    options = {"photometric": photometric, "compression": number, **where, **order}
                    yield right(
                        f"TIFF {'float' if floats else 'uint'}{depth} {('white', 'black')[photometric]} is 0 "
                        f"{compression} {layout} {order}",
                        lambda n=negative, d=depth, o=options: tiff(n, d, **o),
                        0.001 if floats else 0.5001 / (2**bits - 1) + 1e-6,
                    )
    for bits, predictor in ((8, 2), (16, 2), (-32, 2), (-16, 3), (-32, 3), (-64, 3)):
        samples = TRUTH[..., None].astype(f"f{-bits // 8}") if bits < 0 else quantised(bits)
        for compression in ("LZW", "Deflate"):
            for layout, where in LAYOUTS.items():
                for side in ("<", ">"):
                    options = {
                        "compression": COMPRESSIONS[compression],
                        "predictor": predictor,
                        "order": side,
                        **where,
                    }
                    yield right(
                        f"TIFF {bits} bits predictor {predictor} {compression} {layout} {side}",
                        lambda s=samples, b=bits, o=options: tiff(s, abs(b), **o),
                    )


def tiff_colours() -> Iterator[Kind]:
    """Colours, transparency, palettes and JPEG inside of TIFFs."""
    for bits in (8, 16):
        grey = quantised(bits)
        for alpha in ((), (2,), (1,), (0, 0)):
            samples = np.concatenate([grey] * 3 + [np.zeros_like(grey)] * len(alpha), axis=2)
            for planar in (False, True):
                for compression in ("plain", "LZW", "Deflate"):
                    for layout, where in LAYOUTS.items():
                        predictor = 2 if compression == "Deflate" else 1
                        options = {"compression": COMPRESSIONS[compression], "planar": planar, **where}
                        yield right(
                            f"TIFF RGB{bits} extra {alpha} planar {planar} {compression} {layout}",
                            lambda s=samples, b=bits, a=alpha, o=options, p=predictor: tiff(
                                s, b, 2, extra=a, predictor=p, **o
                            ),
                        )
        grey_alpha = np.concatenate([grey, np.zeros_like(grey)], axis=2)
        yield right(f"TIFF grey{bits} with alpha 0", lambda s=grey_alpha, b=bits: tiff(s, b, extra=(2,)))
        yield right(
            f"TIFF grey{bits} with alpha 0, planar", lambda s=grey_alpha, b=bits: tiff(s, b, extra=(2,), planar=True)
        )
        yield refused(
            f"TIFF two detectors of {bits} bits", lambda s=grey_alpha, b=bits: tiff(s, b, extra=(0,)), "2 channels"
        )
        yield refused(
            f"TIFF three grey channels of {bits} bits",
            lambda g=grey, b=bits: tiff(np.concatenate([g] * 3, axis=2), b, extra=(0, 0)),
            "3 channels",
        )
    for bits in (1, 2, 4, 8):
        table = np.linspace(65535, 0, 2**bits).astype(int).tolist()
        for layout, where in LAYOUTS.items():
            yield right(
                f"TIFF reversed palette of {bits} bits {layout}",
                lambda b=bits, t=table, w=where: tiff(2**b - 1 - quantised(b), b, 3, tags={320: t * 3}, **w),
                0.5001 / (2**bits - 1) + 0.005,
            )
    for photometric in (1, 2, 6):
        pixels = quantised(8) if photometric == 1 else np.concatenate([quantised(8)] * 3, axis=2)
        for layout, where in (("strip", {}), ("strips", {"rows": 16}), ("tiles", {"tile": 16})):
            yield right(
                f"TIFF JPEG photometric {photometric} {layout}",
                lambda s=pixels, p=photometric, w=where: tiff(s, 8, p, JPEG, **w),
                0.04,
            )


def tiff_refused() -> Iterator[Kind]:
    """TIFFs that cannot be read, each for its own reason."""
    grey = quantised(8)
    for number in (
        2,
        3,
        4,
        6,
        9,
        10,
        31337,
        50002,
        34712,
        33003,
        33005,
        32947,
        34887,
        34892,
        34925,
        34926,
        50000,
        50001,
        65000,
        0,
    ):
        yield refused(
            f"TIFF compression {number}", lambda n=number: tiff(grey, 8, tags={259: n}), f"TIFF number {number}"
        )
    for number in (LZW, DEFLATE, OLD_DEFLATE, PACKBITS, JPEG):
        noise = np.random.default_rng(number).integers(0, 256, grey.shape, dtype=np.uint8)
        for layout, where in LAYOUTS.items():
            if number != PACKBITS:  # in which any bytes mean something
                yield refused(
                    f"TIFF random bytes as compression {number} {layout}",
                    lambda n=number, p=noise, w=where: tiff(p, 8, tags={259: n}, **w),
                    "damaged|truncated",
                )
            if number != JPEG:
                yield refused(
                    f"TIFF of fewer rows than it says, compression {number} {layout}",
                    lambda n=number, w=where: tiff(grey, 8, 1, n, tags={257: 74} | ({} if w else {278: 74}), **w),
                    "damaged|truncated",
                )
    wrong = {
        "width 0": {256: 0},
        "height 0": {257: 0},
        "no width": {256: None},
        "no offsets": {273: None},
        "no lengths": {279: None, 259: DEFLATE},
        "17 bits": {258: 17},
        "3 bits": {258: 3},
        "0 bits": {258: 0},
        "signed numbers": {339: 2},
        "complex numbers": {339: 5},
        "32-bit integers": {258: 32},
        "predictor 9": {317: 9, 259: DEFLATE},
        "float predictor of integers": {317: 3, 259: LZW},
        "0 samples": {277: 0},
        "999 samples": {277: 999},
        "CMYK": {262: 5},
        "Lab": {262: 8},
        "colour filter": {262: 32803},
        "YCbCr without JPEG": {262: 6},
        "palette without colours": {262: 3},
        "RGB of one sample": {262: 2},
        "offset beyond the file": {273: 10**6},
        "offset 0 of many": {273: [0, 0], 279: [100, 100], 278: 20},
        "length beyond the file": {279: 10**6, 259: LZW},
        "tile width 0": {322: 0, 323: 16, 324: 8, 325: 256},
        "tiles of a gigabyte": {322: 32768, 323: 32768, 324: 8, 325: 256, 259: DEFLATE},
        "tiles of one pixel": {256: 4096, 257: 4096, 322: 1, 323: 1, 324: 8, 325: 256},
        "a volume": {32997: 4},
        "100 rows in 37": {257: 100},
        "40,000 x 40,000": {256: 40_000, 257: 40_000, 278: 40_000},
        "2 million wide": {256: 2_000_000, 257: 1},
        "4 billion wide": {256: 2**32 - 1, 257: 2**32 - 1},
    }
    for name, tags in wrong.items():
        yield refused(f"TIFF {name}", lambda t=tags: tiff(grey, 8, tags=t))
    yield refused("TIFF NaN", lambda: tiff(np.full((9, 9, 1), np.nan, np.float32), 32), "not finite")
    yield refused("TIFF infinite", lambda: tiff(np.full((9, 9, 1), np.inf, np.float32), 32), "not finite")
    yield refused("TIFF begins with a thumbnail", lambda: tiff(grey, 8, tags={254: 1}), "thumbnail")
    yield refused("TIFF two pages", lambda: _chained(tiff(grey, 8), 1), "2 pages")
    yield right("TIFF directories in a loop", lambda: _chained(tiff(grey, 8), 0))
    yield right("TIFF next directory beyond the file", lambda: _next_directory(tiff(grey, 8), 10**8))
    yield right("TIFF fill order 2", lambda: tiff(_reversed_bits(grey), 8, tags={266: 2}))
    yield refused("TIFF directory beyond the file", lambda: b"II*\0" + struct.pack("<I", 10**8), "truncated")
    yield refused("TIFF directory without tags", lambda: b"II*\0" + struct.pack("<IH", 8, 0) + bytes(9))
    yield refused("TIFF of 65,535 tags", lambda: b"II*\0" + struct.pack("<IH", 8, 65535) + bytes(12 * 65535))
    yield refused("BigTIFF of 2^63 tags", lambda: b"II+\0" + struct.pack("<HHQQ", 8, 0, 16, 2**63) + bytes(99))
    count = struct.pack("<HHII", 279, 4, 2**32 - 1, 8)
    yield refused("TIFF tag of 4 billion numbers", lambda: b"II*\0" + struct.pack("<IH", 8, 1) + count + bytes(4))


def _reversed_bits(numbers: Pixels) -> Pixels:
    return np.packbits(np.unpackbits(numbers[..., None], axis=-1)[..., ::-1], axis=-1)[..., 0]


def _next_directory(data: bytes, value: int) -> bytes:
    """A little TIFF with another offset of the next directory."""
    at = struct.unpack_from("<I", data, 4)[0]
    end = at + 2 + 12 * struct.unpack_from("<H", data, at)[0]
    return data[:end] + struct.pack("<I", value) + data[end + 4 :]


def _chained(data: bytes, copies: int) -> bytes:
    """The directory again as second page, or as its own successor."""
    at = struct.unpack_from("<I", data, 4)[0]
    return _next_directory(data, len(data)) + data[at:] if copies else _next_directory(data, at)
