"""Writes image files of every layout, since no library writes all of them."""

import io
import struct
import zlib
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[Any]
Order = Literal["<", ">"]
NONE, LZW, JPEG, DEFLATE, PACKBITS, OLD_DEFLATE = 1, 5, 7, 8, 32773, 32946
_PASSES = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))


def pack(numbers: Pixels, bits: int) -> bytes:
    """Rows of numbers [H, W], each row padded to whole bytes."""
    shifts = np.arange(bits)[::-1]
    single = ((numbers[..., None].astype(np.int64) >> shifts) & 1).astype(np.uint8)
    return np.packbits(single.reshape(len(numbers), -1), axis=1).tobytes()


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(
    pixels: Pixels,
    depth: int,
    colour: int,
    interlaced: bool = False,
    row_filter: int = 0,
    before: bytes = b"",
    size: tuple[int, int] | None = None,
    compressed: bytes | None = None,
    after: bytes = b"",
) -> bytes:
    """A PNG of pixels [H, W, channels]; ``before`` and ``after`` are chunks around the pixels."""
    height, width = pixels.shape[:2]
    raw = b""
    for top, left, down, right in _PASSES if interlaced else ((0, 0, 1, 1),):
        part = pixels[top::down, left::right]
        if part.size:
            raw += _filtered(part, depth, row_filter)
    shown = size or (width, height)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", struct.pack(">IIBBBBB", *shown, depth, colour, 0, 0, interlaced)),
            before,
            chunk(b"IDAT", zlib.compress(raw) if compressed is None else compressed),
            after,
            chunk(b"IEND", b""),
        )
    )


def _filtered(part: Pixels, depth: int, row_filter: int) -> bytes:
    channels = part.shape[2]
    flat = part.reshape(len(part), -1)
    data = pack(flat, depth) if depth < 8 else flat.astype(f">u{depth // 8}").tobytes()
    rows = np.frombuffer(data, np.uint8).reshape(len(part), -1).astype(np.int64)
    step = max(1, channels * depth // 8)
    padded = np.pad(rows, ((1, 0), (step, 0)))
    left, above, corner = padded[1:, :-step], padded[:-1, step:], padded[:-1, :-step]
    guess = left + above - corner
    distances = np.stack([abs(guess - left), abs(guess - above), abs(guess - corner)])
    paeth = np.choose(distances.argmin(axis=0), [left, above, corner])
    taken = (np.zeros_like(rows), left, above, (left + above) // 2, paeth)[row_filter]
    filtered = ((rows - taken) % 256).astype(np.uint8)
    return np.column_stack([np.full(len(rows), row_filter, np.uint8), filtered]).tobytes()


def bmp(
    pixels: Pixels,
    bits: int,
    palette: Pixels | None = None,
    top_down: bool = False,
    old: bool = False,
    compression: int = 0,
    size: tuple[int, int] | None = None,
) -> bytes:
    """A BMP of numbers [H, W], or of [H, W, 3 or 4] in BGR order; the palette is uint8 [N, 3] in BGR order."""
    height, width = pixels.shape[:2]
    stored = pixels if top_down else pixels[::-1]
    packed = pack(stored, bits) if bits <= 8 else stored.astype(np.uint8).tobytes()
    rows = np.frombuffer(packed, np.uint8).reshape(height, -1)
    rows = np.pad(rows, ((0, 0), (0, -rows.shape[1] % 4)))
    colours = b""
    if palette is not None:
        colours = (palette if old else np.pad(palette, ((0, 0), (0, 1)))).astype(np.uint8).tobytes()
    width, height = size or (width, height)
    if old:
        header = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        signed = -height if top_down else height
        used = 0 if palette is None else len(palette)
        header = struct.pack("<IiiHHIIiiII", 40, width, signed, 1, bits, compression, rows.size, 2835, 2835, used, 0)
    start = 14 + len(header) + len(colours)
    return b"BM" + struct.pack("<IHHI", start + rows.size, 0, 0, start) + header + colours + rows.tobytes()


def packbits(data: bytes) -> bytes:
    """Runs for the first half, copies for the other one."""
    found, half = b"", len(data) // 2
    at = 0
    while at < half:
        run = 1
        while at + run < half and run < 128 and data[at + run] == data[at]:
            run += 1
        found += bytes((0 if run == 1 else 257 - run, data[at]))
        at += run
    for start in range(half, len(data), 128):
        part = data[start : start + 128]
        found += bytes((len(part) - 1,)) + part
    return found


def lzw(data: bytes) -> bytes:
    image = Image.frombytes("L", (len(data), 1), data)
    stream = io.BytesIO()
    image.save(stream, "TIFF", compression="tiff_lzw")
    with Image.open(stream) as written:
        tags = written.tag_v2  # type: ignore[attr-defined]
        return stream.getvalue()[tags[273][0] : tags[273][0] + tags[279][0]]


def compress(data: bytes, compression: int) -> bytes:
    if compression in (DEFLATE, OLD_DEFLATE):
        return zlib.compress(data)
    return lzw(data) if compression == LZW else packbits(data) if compression == PACKBITS else data


def tiff(
    samples: Pixels,
    bits: int,
    photometric: int = 1,
    compression: int = NONE,
    order: Order = "<",
    big: bool = False,
    tile: int = 0,
    rows: int = 0,
    planar: bool = False,
    predictor: int = 1,
    extra: Sequence[int] = (),
    tags: dict[int, Any] | None = None,
    directory_last: bool = True,
) -> bytes:
    """A TIFF of samples [H, W, channels], whole or floating-point numbers.

    Args:
        samples: The numbers.
        bits: Of one.
        photometric: Number of the tag.
        compression: Number of the tag; unknown ones store the bytes as they are.
        order: ``<`` or ``>``.
        big: Whether offsets have 64 bits.
        tile: Side of square tiles; 0 for strips.
        rows: Of a strip; 0 for one strip.
        planar: Whether each channel is stored by itself.
        predictor: Number of the tag.
        extra: Meanings of the channels beyond the picture's.
        tags: More tags, or other values of those that are written; ``None`` leaves a tag out.
        directory_last: Whether the tags come after the pixels.
    """
    height, width, channels = samples.shape
    planes = [samples[..., index : index + 1] for index in range(channels)] if planar else [samples]
    parts = []
    for plane in planes:
        for top in range(0, height, tile or rows or height):
            for left in range(0, width, tile or width):
                part = plane[top : top + (tile or rows or height), left : left + (tile or width)]
                if tile:
                    gaps = (0, tile - part.shape[0]), (0, tile - part.shape[1]), (0, 0)
                    part = np.pad(part, gaps, mode="edge")
                if compression == JPEG:
                    parts.append(
                        jpeg(
                            part.squeeze(2) if channels == 1 else part, **{"keep_rgb": True} if photometric == 2 else {}
                        )
                    )
                else:
                    parts.append(compress(_row_bytes(part, bits, order, predictor), compression))
    number = channels
    kind = {"f": 3, "i": 2}.get(samples.dtype.kind, 1)
    fields: dict[int, Any] = {
        256: width,
        257: height,
        258: [bits] * number,
        259: compression,
        262: photometric,
        277: number,
        284: 2 if planar else 1,
        339: [kind] * number,
    }
    if predictor != 1:
        fields[317] = predictor
    if extra:
        fields[338] = list(extra)
    fields |= {322: tile, 323: tile} if tile else {278: rows or height}
    places = (324, 325) if tile else (273, 279)
    return _assembled(fields, tags or {}, parts, places, order, big, directory_last)


def _row_bytes(part: Pixels, bits: int, order: Order, predictor: int) -> bytes:
    rows, _, channels = part.shape
    if bits % 8:
        return pack(part.reshape(rows, -1), bits)
    stored = part.astype(part.dtype.newbyteorder(order))
    if predictor == 3:
        size = bits // 8
        planes = part.astype(part.dtype.newbyteorder(">")).reshape(rows, -1).view(np.uint8).reshape(rows, -1, size)
        mixed = planes.transpose(0, 2, 1).reshape(rows, -1, channels).astype(np.int64)
        return np.diff(mixed, axis=1, prepend=0).astype(np.uint8).tobytes()
    if predictor == 2:
        whole = np.dtype(f"u{bits // 8}")
        numbers = np.ascontiguousarray(part).view(whole)
        differences = numbers.copy()
        differences[:, 1:] = numbers[:, 1:] - numbers[:, :-1]
        return differences.astype(whole.newbyteorder(order)).tobytes()
    return stored.tobytes()


def _assembled(
    fields: dict[int, Any],
    tags: dict[int, Any],
    parts: list[bytes],
    places: tuple[int, int],
    order: Order,
    big: bool,
    directory_last: bool,
) -> bytes:
    word, size, head = ("Q", 8, 16) if big else ("I", 4, 8)
    names = (set(fields) | set(places) | set(tags)) - {tag for tag, value in tags.items() if value is None}
    directory_size = (8 if big else 2) + len(names) * (20 if big else 12) + size
    lists = 8 * size * (len(names) + 2 * len(parts)) + 8 * 64
    start = head if directory_last else head + directory_size + lists
    offsets = [int(start + place) for place in np.cumsum([0, *(len(part) for part in parts)])[:-1]]
    end = start + sum(len(part) for part in parts)
    fields = fields | {places[0]: offsets, places[1]: [len(part) for part in parts]} | tags
    at = end + end % 2 if directory_last else head
    values_at = at + directory_size
    entries, values = b"", b""
    for tag in sorted(names):
        numbers = fields[tag] if isinstance(fields[tag], list) else [fields[tag]]
        code, kind = ("H", 3) if tag not in places and max(numbers) < 65536 else (word, 16 if big else 4)
        packed = struct.pack(f"{order}{len(numbers)}{code}", *numbers)
        entries += struct.pack(f"{order}HH{word}", tag, kind, len(numbers))
        if len(packed) <= size:
            entries += packed.ljust(size, b"\0")
        else:
            entries += struct.pack(order + word, values_at + len(values))
            values += packed
    directory = struct.pack(order + ("Q" if big else "H"), len(names)) + entries + struct.pack(order + word, 0) + values
    mark = (b"II" if order == "<" else b"MM") + struct.pack(order + "H", 43 if big else 42)
    header = mark + (struct.pack(order + "HHQ", 8, 0, at) if big else struct.pack(order + "I", at))
    if directory_last:
        return header + b"".join(parts).ljust(at - head, b"\0") + directory
    return (header + directory).ljust(start, b"\0") + b"".join(parts)


def jpeg(pixels: Pixels, **options: Any) -> bytes:
    """A JPEG of uint8 [H, W] or [H, W, 3] in RGB order, with options of Pillow."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", **{"quality": 95, **options})
    return stream.getvalue()


def exif(orientation: int, order: Order = "<") -> bytes:
    """An EXIF block with an orientation alone."""
    mark = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8)
    return mark + struct.pack(order + "HHHIHHI", 1, 274, 3, 1, orientation, 0, 0)
