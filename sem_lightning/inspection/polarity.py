"""Whether the lines of images are bright or dark, as far as images can tell."""

from collections.abc import Sequence

import cv2
import numpy as np

from sem_lightning.inspection.tiles import Float32

# Lines as wide as their spaces look the same either way; only a clear minority tells. Bright rims of edges add about
# 0.06 to what is bright, so that the doubtful shares lie around that much more than a half.
_LEAST, _MOST = 0.47, 0.65


def bright_share(image: Float32) -> float:
    """The share of an image [H, W] in [0, 1] that is bright rather than dark, by Otsu's threshold.

    N. Otsu, IEEE Trans. Syst. Man Cybern. 9, 62 (1979), after a blur that takes the noise off.
    """
    smooth = cv2.GaussianBlur(image, (0, 0), 1.5)
    low, high = np.percentile(smooth, [0.5, 99.5])
    grey = np.asarray(np.clip((smooth - low) * (255 / max(high - low, 1e-6)), 0, 255), np.uint8)
    _, bright = cv2.threshold(grey, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    return float(np.mean(bright))


def guess_polarity(shares: Sequence[float]) -> str | None:
    """``bright`` or ``dark``: the lines are taken to be what covers less of the images.

    Args:
        shares: `bright_share` of some images of one kind.

    Returns:
        ``None`` where neither is clearly less: a gap in a bright line and a bridge between dark ones look the same
        there.
    """
    share = float(np.median(shares))
    return "bright" if share < _LEAST else "dark" if share > _MOST else None
