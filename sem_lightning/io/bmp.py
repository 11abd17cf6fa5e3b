"""Decodes uncompressed BMP files."""

import io

import numpy as np

from sem_lightning.io.gray import to_gray
from sem_lightning.io.limits import MAX_PIXELS, CannotDecodeError, check_memory, check_sides
from sem_lightning.io.stored_image import StoredImage

_COMPRESSED = (1, 2, 4, 5)  # a few bytes may stand for any number of pixels


def decode_bmp(data: bytes, most_pixels: int = MAX_PIXELS) -> StoredImage:
    """Decode a BMP.

    Raises:
        CannotDecodeError: Too large, truncated, compressed, or damaged.
    """
    from PIL import BmpImagePlugin  # takes long to import, and most files do without

    try:
        image = BmpImagePlugin.BmpImageFile(io.BytesIO(data))
        check_sides(*image.size, most_pixels)
        check_memory(*image.size, len(data) + image.width * image.height * (4 + 3 + 4))
        if image.info.get("compression") in _COMPRESSED:
            raise CannotDecodeError("a compressed BMP; save it uncompressed or as PNG")
        if image.mode == "P":
            colours = len(image.getpalette() or ()) // 3
            if np.asarray(image).max() >= colours:
                raise CannotDecodeError(f"the file is damaged: it uses colours beyond its palette of {colours}")
        return StoredImage(to_gray(np.asarray(image if image.mode == "L" else image.convert("RGB"))))
    except (OSError, ValueError, SyntaxError, KeyError, IndexError) as error:
        raise CannotDecodeError(f"the file is truncated or damaged: {error}") from None
