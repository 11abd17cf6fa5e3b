"""Pictures for the page: a browser shows no TIFF."""

import cv2
import numpy as np

from sem_lightning.io.gray_image import decode_image
from sem_lightning.io.limits import CannotDecodeError, TooLargeError
from sem_lightning.serving.refusal import RefusedError


def draw_png(data: bytes, most_pixels: int, longest_side: int | None = None) -> bytes:
    """An image file as an 8-bit PNG, its darkest pixel black and its brightest white.

    Args:
        data: The file, of any format that is judged.
        most_pixels: More are refused.
        longest_side: Larger images are scaled down to so many pixels along their longer side.

    Raises:
        RefusedError: It cannot be read, or has too many pixels.
    """
    try:
        pixels = decode_image(data, crop_data_bar=False, most_pixels=most_pixels).pixels
    except CannotDecodeError as error:
        raise RefusedError(413 if isinstance(error, TooLargeError) else 422, f"image: {error}") from None
    scale = 1.0 if longest_side is None else longest_side / max(pixels.shape)
    if scale < 1:
        size = [max(1, round(side * scale)) for side in pixels.shape]
        pixels = np.asarray(cv2.resize(pixels, size[::-1], interpolation=cv2.INTER_AREA), np.float32)
    stretched = cv2.normalize(pixels, None, 0, 255, cv2.NORM_MINMAX, cv2.CV_8U)  # type: ignore[call-overload]
    return np.asarray(cv2.imencode(".png", stretched)[1]).tobytes()
