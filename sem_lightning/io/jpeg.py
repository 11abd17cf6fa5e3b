"""Decodes JPEG files that are whole."""

import re

import simplejpeg

from sem_lightning.io.limits import MAX_PIXELS, CannotDecodeError, check_memory, check_sides
from sem_lightning.io.orientation import exif_orientation
from sem_lightning.io.stored_image import StoredImage

MARK = b"\xff\xd8\xff"
_PROGRESSIVE = re.compile(rb"\xff\xc2\x00[\x0b\x11]\x08")  # the frame's header, of one or three components
_SECOND = b"\xff\xd9\xff\xd8\xff"  # an end followed by a start
_BLOCK = 8  # pixels
_READ = ("Gray", "YCbCr", "RGB")


def decode_jpeg(data: bytes, most_pixels: int = MAX_PIXELS) -> StoredImage:
    """Decode a JPEG of 8 bits, grey or in colours; of these the luma as stored.

    Raises:
        CannotDecodeError: Too large, CMYK, truncated, damaged, or another kind of JPEG.
    """
    try:
        height, width, space, _ = simplejpeg.decode_jpeg_header(data, strict=True)
        check_sides(width, height, most_pixels)
        if 8 * len(data) < (height // _BLOCK) * (width // _BLOCK):  # each block takes a bit at least
            raise CannotDecodeError(f"the file is truncated: {len(data)} bytes for {width} x {height} pixels")
        # The coefficients of a progressive file are collected before the first row is decoded.
        progressive = _PROGRESSIVE.search(data) is not None
        coefficients = (2 if space == "Gray" else 6) if progressive else 0
        check_memory(width, height, max(len(data) + width * height * (1 + coefficients), 5 * width * height))
        if _SECOND in data:
            raise CannotDecodeError("holds several pages or frames; save the one that is meant as a file of its own")
        if space not in _READ:
            raise CannotDecodeError(f"is in {space} colours for print; save it as grey")
        # strict: libjpeg fills what is missing with grey and only warns
        image = simplejpeg.decode_jpeg(data, "GRAY", strict=True)
    except ValueError as error:
        raise CannotDecodeError(f"the file is truncated or damaged: {error}") from None
    return StoredImage(image[..., 0], orientation=exif_orientation(data))
