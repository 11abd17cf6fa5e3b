"""Pictures for the page: a browser shows no TIFF."""

import cv2
import numpy as np

from sem_lightning.io.gray_image import decode_image
from sem_lightning.io.limits import CannotDecodeError, TooLargeError
from sem_lightning.serving.refusal import RefusedError


def draw_png(data: bytes, most_pixels: int) -> bytes:
    """An image file as an 8-bit PNG, its darkest pixel black and its brightest white.

    Args:
        data: The file, of any format that is judged.
        most_pixels: More are refused.

    Raises:
        RefusedError: It cannot be read, or has too many pixels.
    """
    try:
        pixels = decode_image(data, crop_data_bar=False, most_pixels=most_pixels).pixels
    except CannotDecodeError as error:
        raise RefusedError(413 if isinstance(error, TooLargeError) else 422, f"image: {error}") from None
    stretched = cv2.normalize(pixels, None, 0, 255, cv2.NORM_MINMAX, cv2.CV_8U)  # type: ignore[call-overload]
    return np.asarray(cv2.imencode(".png", stretched)[1]).tobytes()
