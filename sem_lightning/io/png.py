"""Decodes PNG files whose every checksum is right."""

import io
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from sem_lightning.io.gray import to_gray
from sem_lightning.io.limits import MAX_PIXELS, CannotDecodeError, check_memory, check_sides
from sem_lightning.io.orientation import exif_orientation
from sem_lightning.io.stored_image import StoredImage

MARK = b"\x89PNG"
_SIGNATURE = MARK + b"\r\n\x1a\n"  # a copy as text changes its ends of lines
_PICTURE = (b"IHDR", b"PLTE", b"IDAT", b"IEND")  # others may hold damaged notes or decompress to any size
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by kind of colour
_GREY, _PALETTE, _DEEP = 0, 3, 16
_INTERLACED = 28  # place of the flag, whose header is the first chunk
_MOST_CHUNKS = 1 << 18


def decode_png(data: bytes, most_pixels: int = MAX_PIXELS) -> StoredImage:
    """Decode a PNG; transparency is no part of the picture. Interlaced colours of 16 bits are read with 8.

    Raises:
        CannotDecodeError: Too large, several frames, truncated, or damaged.
    """
    chunks = list(_chunks(data))
    content = dict(reversed(chunks))  # the first one of each name
    try:
        width, height, depth, colour = struct.unpack_from(">IIBB", content[b"IHDR"])
        channels = _CHANNELS[colour]
    except (KeyError, struct.error):
        raise CannotDecodeError("the file is damaged: it has no PNG header") from None
    if sum(name == b"IHDR" for name, _ in chunks) > 1:
        raise CannotDecodeError("the file is damaged: it has two PNG headers")
    check_sides(width, height, most_pixels)
    check_memory(width, height, len(data) + width * height * (channels * (2 if depth == _DEEP else 1) + 4))
    frames = int.from_bytes(content.get(b"acTL", b"")[:4], "big")
    if frames > 1:
        raise CannotDecodeError(f"holds {frames} pages or frames; save the one that is meant as a file of its own")
    kept = (_chunk(name, body) for name, body in chunks if name in _PICTURE and (name != b"PLTE" or colour == _PALETTE))
    image = _decode(_SIGNATURE + b"".join(kept), depth == _DEEP and colour != _GREY)
    white = int(np.iinfo(image.dtype).max)
    return StoredImage(to_gray(image), white, orientation=exif_orientation(data))


def _decode(data: bytes, deep_colours: bool) -> npt.NDArray[Any]:
    if (
        deep_colours and not data[_INTERLACED]
    ):  # Pillow has no colours of 16 bits, imagecodecs warns of interlaced files
        import imagecodecs

        try:
            return np.asarray(imagecodecs.png_decode(data))
        except imagecodecs.PngError as error:
            raise CannotDecodeError(f"the file is damaged: {error}") from None
    from PIL import Image, PngImagePlugin  # takes long to import

    try:
        image: Image.Image = PngImagePlugin.PngImageFile(io.BytesIO(data))
        if image.mode == "P":
            colours = len(image.getpalette() or ()) // 3
            if np.asarray(image).max() >= colours:
                raise CannotDecodeError(f"the file is damaged: it uses colours beyond its palette of {colours}")
            image = image.convert("RGB")
        return np.asarray(image.convert("L") if image.mode == "1" else image)
    except (OSError, ValueError, SyntaxError, KeyError, IndexError) as error:
        raise CannotDecodeError(f"the file is damaged: {error}") from None


def _chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Name and content of each chunk up to the last one; decoders skip some that are damaged."""
    if not data.startswith(_SIGNATURE):
        raise CannotDecodeError("the file is truncated, or its ends of lines were changed, as in a copy as text")
    view = memoryview(data)
    at = len(_SIGNATURE)
    for _ in range(_MOST_CHUNKS):
        length = int.from_bytes(view[at : at + 4], "big")
        name, end = bytes(view[at + 4 : at + 8]), at + 8 + length
        if end + 4 > len(data):
            raise CannotDecodeError("the file is truncated")
        if zlib.crc32(view[at + 4 : end]) != int.from_bytes(view[end : end + 4], "big"):
            raise CannotDecodeError(f"the file is damaged: the checksum of its part {name!r} is wrong")
        yield name, view[at + 8 : end]
        if name == b"IEND":
            return
        at = end + 4
    raise CannotDecodeError(f"the file has more than {_MOST_CHUNKS} parts; save it again")


def _chunk(name: bytes, body: memoryview) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(body, zlib.crc32(name)))
