"""Whether the lines of images are bright or dark, as far as images can tell."""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from sem_lightning.io.images import center_crop
from sem_lightning.synthesis.field import Float32

# Lines as wide as their spaces look the same either way; only a clear minority tells. Bright rims of edges add about
# 0.06 to what is bright, so that the doubtful shares lie around that much more than a half.
_LEAST, _MOST = 0.47, 0.65

LARGEST = 512  # pixels along a side: of larger images the middle, which says as much
_SMOOTHING = 1.2  # pixels
_NARROWEST = 4.5  # pixels: noise alone, so smoothed, has lines of 3.8, and finer ones break
_UNEVEN = 0.85  # of the longer side: means over such squares are the light's doing
_SPECK = 0.5  # of the square of a line's width; what is smaller is noise
VISIBLE = 1.75  # pieces: more than one defect makes of lines without ends
FEWEST_VOTES = 6
_SHARE, _AGREEING = 0.2, 0.85  # votes for one polarity, of all images and of all votes


def bright_share(image: Float32) -> float:
    """The share of an image [H, W] in [0, 1] that is bright rather than dark, by Otsu's threshold.

    N. Otsu, IEEE Trans. Syst. Man Cybern. 9, 62 (1979), after a blur that takes the noise off.
    """
    return float(np.mean(_bright_part(np.asarray(cv2.GaussianBlur(image, (0, 0), 1.5), np.float32))))


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


def bright_pieces(image: Float32) -> float:
    """How many pieces the bright part of an image [H, W] in [0, 1] falls into: its Euler number, the border left out.

    Each end of a bright wire adds a half, each end of a dark one takes a half away; where a wire branches it is the
    other way round, and lines that cross the image add nothing. Counted by the corners of the outline: S. B. Gray,
    Local properties of binary images in two dimensions, IEEE Trans. Comput. C-20, 551 (1971). Images with
    nothing but noise, or lines about as fine, have none.
    """
    image = center_crop(image, LARGEST)
    wide = round(_UNEVEN * max(image.shape))
    even = cv2.GaussianBlur(image, (0, 0), _SMOOTHING) - cv2.blur(image, (wide, wide), borderType=cv2.BORDER_REFLECT)
    bright = _bright_part(np.asarray(even, np.float32))
    # the deepest fifth of the narrower part: half of its lines' width
    depths = [cv2.distanceTransform((bright == side).astype(np.uint8), cv2.DIST_L2, 3) for side in (0, 1)]
    width = 2 * min(float(np.percentile(depth[depth > 0], 80)) if depth.any() else 0.0 for depth in depths)
    if width < _NARROWEST:
        return 0.0
    for side in (0, 1):
        _, numbers, boxes, _ = cv2.connectedComponentsWithStats((bright == side).astype(np.uint8), connectivity=4)
        small = boxes[:, cv2.CC_STAT_AREA] < max(_SPECK * width**2, 4)
        small[0] = False  # the other part
        bright[small[numbers]] = 1 - side
    corners = cv2.boxFilter(bright, cv2.CV_8U, (2, 2), normalize=False)[1:, 1:]  # of four neighbours, how many
    return float(np.sum(corners == 1) - np.sum(corners == 3)) / 4


def polarity_of_ends(pieces: Sequence[float]) -> str | None:
    """``bright`` or ``dark``: of which wires a good part of the images show ends, as metal has them and lines have not.

    Args:
        pieces: Of some images of one kind, see `sem_lightning.fitting.measure.wire_end_balance`.

    Returns:
        ``None`` where too few show any, or they do not agree.
    """
    votes = {"bright": sum(n >= VISIBLE for n in pieces), "dark": sum(n <= -VISIBLE for n in pieces)}
    winner = max(votes, key=lambda polarity: votes[polarity])
    enough = max(FEWEST_VOTES, _SHARE * len(pieces), _AGREEING * sum(votes.values()))
    return winner if votes[winner] >= enough else None


def _bright_part(image: Float32) -> npt.NDArray[np.uint8]:
    low, high = np.percentile(image, [0.5, 99.5])
    grey = np.asarray(np.clip((image - low) * (255 / max(high - low, 1e-6)), 0, 255), np.uint8)
    return np.asarray(cv2.threshold(grey, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)[1], np.uint8)
