"""Estimates whether the lines of images are bright or dark."""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from sem_lightning.io.images import center_crop
from sem_lightning.synthesis.field import Float32

# Lines as wide as their spaces fit both polarities; only a clear minority of one grey level decides. Bright rims add
# about 0.06 to the bright share, so the undecided interval is centred above one half.
_LEAST, _MOST = 0.47, 0.65

LARGEST = 512  # pixels along a side; only the middle of larger images is used
_SMOOTHING = 1.2  # pixels
_NARROWEST = 4.5  # pixels; smoothed noise has lines of 3.8, and finer lines break
_UNEVEN = 0.85  # of the longer side; means over such squares come from uneven illumination
_SPECK = 0.5  # of the square of a line's width; smaller pieces are noise
VISIBLE = 1.75  # pieces; more than one defect causes in lines without ends
FEWEST_VOTES = 6
_SHARE, _AGREEING = 0.2, 0.85  # least share of votes for one polarity, of all images and of all votes


def bright_share(image: Float32) -> float:
    """The bright share of an image [H, W] in [0, 1], by Otsu's threshold.

    N. Otsu, IEEE Trans. Syst. Man Cybern. 9, 62 (1979), after a blur that reduces noise.
    """
    return float(np.mean(_bright_part(np.asarray(cv2.GaussianBlur(image, (0, 0), 1.5), np.float32))))


def guess_polarity(shares: Sequence[float]) -> str | None:
    """``bright`` or ``dark``: the grey level that covers less of the images is assumed to be the lines.

    Args:
        shares: `bright_share` of some images of one kind.

    Returns:
        ``None`` if neither is clearly less. A gap in a bright line then looks like a bridge between dark lines.
    """
    share = float(np.median(shares))
    return "bright" if share < _LEAST else "dark" if share > _MOST else None


def bright_pieces(image: Float32) -> float:
    """Number of pieces of the bright part of an image [H, W] in [0, 1]: its Euler number without the border.

    Each end of a bright wire adds 1/2, each end of a dark wire subtracts 1/2; branches have the opposite sign. Lines
    that cross the image add nothing. Counted from the corners of the outline: S. B. Gray, Local properties of binary
    images in two dimensions, IEEE Trans. Comput. C-20, 551 (1971). Images of noise or of very fine lines give 0.
    """
    image = center_crop(image, LARGEST)
    wide = round(_UNEVEN * max(image.shape))
    even = cv2.GaussianBlur(image, (0, 0), _SMOOTHING) - cv2.blur(image, (wide, wide), borderType=cv2.BORDER_REFLECT)
    bright = _bright_part(np.asarray(even, np.float32))
    # the deepest fifth of the narrower part gives half of its line width
    depths = [cv2.distanceTransform((bright == side).astype(np.uint8), cv2.DIST_L2, 3) for side in (0, 1)]
    width = 2 * min(float(np.percentile(depth[depth > 0], 80)) if depth.any() else 0.0 for depth in depths)
    if width < _NARROWEST:
        return 0.0
    for side in (0, 1):
        _, numbers, boxes, _ = cv2.connectedComponentsWithStats((bright == side).astype(np.uint8), connectivity=4)
        small = boxes[:, cv2.CC_STAT_AREA] < max(_SPECK * width**2, 4)
        small[0] = False  # the other part
        bright[small[numbers]] = 1 - side
    corners = cv2.boxFilter(bright, cv2.CV_8U, (2, 2), normalize=False)[1:, 1:]  # bright pixels of four
    return float(np.sum(corners == 1) - np.sum(corners == 3)) / 4


def polarity_of_ends(pieces: Sequence[float]) -> str | None:
    """``bright`` or ``dark`` wires, if enough images show their ends; lines have no ends.

    Args:
        pieces: Values of images of one kind, see `sem_lightning.metrology.pattern_family.wire_end_balance`.

    Returns:
        ``None`` if too few images show ends, or if they disagree.
    """
    votes = {"bright": sum(n >= VISIBLE for n in pieces), "dark": sum(n <= -VISIBLE for n in pieces)}
    winner = max(votes, key=lambda polarity: votes[polarity])
    enough = max(FEWEST_VOTES, _SHARE * len(pieces), _AGREEING * sum(votes.values()))
    return winner if votes[winner] >= enough else None


def _bright_part(image: Float32) -> npt.NDArray[np.uint8]:
    low, high = np.percentile(image, [0.5, 99.5])
    grey = np.asarray(np.clip((image - low) * (255 / max(high - low, 1e-6)), 0, 255), np.uint8)
    return np.asarray(cv2.threshold(grey, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)[1], np.uint8)
