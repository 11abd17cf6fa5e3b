"""How the stored pixels of an image are turned to be shown."""

import io
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

AS_STORED = 1  # the orientation of EXIF and TIFF that turns nothing
ORIENTATION = 274  # tag of EXIF and TIFF


def exif_orientation(data: bytes) -> int:
    """The orientation in the EXIF block of a PNG or JPEG; 1 where there is none or it is damaged."""
    if b"Exif\0\0" not in data and b"eXIf" not in data:
        return AS_STORED
    from PIL import JpegImagePlugin, PngImagePlugin  # take long to import, and most files do without

    kind = PngImagePlugin.PngImageFile if data.startswith(b"\x89PNG") else JpegImagePlugin.JpegImageFile
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return int(kind(io.BytesIO(data)).getexif().get(ORIENTATION, AS_STORED))
    except Exception:  # the parser raises many types of errors on damaged blocks
        return AS_STORED


def turn(image: npt.NDArray[Any], orientation: int) -> npt.NDArray[Any]:
    """Turn stored pixels [H, W] as they are to be shown.

    Args:
        image: As stored.
        orientation: 1 to 8; from 5 on the sides are exchanged. Other numbers are read as 1.
    """
    if orientation in (5, 6, 7, 8):
        image = image.T
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    return np.ascontiguousarray(image)
