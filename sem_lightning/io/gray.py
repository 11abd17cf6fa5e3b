"""Colours as brightness."""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt


def to_gray(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Brightness of decoded pixels. Transparency is no part of the picture.

    Args:
        pixels: uint8, uint16 or float32 [H, W], or [H, W, channels]: grey, grey and alpha, RGB, or RGBA.

    Returns:
        The same type [H, W]. Colours are weighted to luma (ITU-R BT.601).
    """
    if pixels.ndim == 2:
        return pixels
    if pixels.shape[2] < 3:
        return pixels[..., 0]
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(pixels[..., :3]), cv2.COLOR_RGB2GRAY))
