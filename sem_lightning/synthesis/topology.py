"""Whether two prints of a design connect the same parts."""

import cv2
import numpy as np
import numpy.typing as npt

Bools = npt.NDArray[np.bool_]
_FEATURE, _GROUND = 8, 4  # pixels that touch at a corner belong together in the feature, and not in the ground


def same_topology(one: Bools, other: Bools) -> bool:
    """Whether each part of one print is one part of the other, in the feature and in the ground between.

    Parts at the border do not count by themselves, because the border cuts them at other pixels in each print.

    Args:
        one: bool [H, W], the feature's pixels.
        other: The same of the other print, at the same place.
    """
    return _same_parts(one, other, _FEATURE) and _same_parts(~one, ~other, _GROUND)


def _same_parts(one: Bools, other: Bools, connectivity: int) -> bool:
    parts, others = (
        np.asarray(cv2.connectedComponents(each.astype(np.uint8), connectivity=connectivity)[1], np.int32)
        for each in (one, other)
    )
    shared = np.zeros((parts.max() + 1, others.max() + 1), bool)
    shared[parts, others] = True
    shared = shared[1:, 1:]  # number 0 is what is outside
    unique = (shared.sum(axis=1) == 1)[:, None] & (shared.sum(axis=0) == 1) & shared
    return all(np.all(unique.any(axis=axis) | _at_border(each)) for axis, each in ((1, parts), (0, others)))


def _at_border(parts: npt.NDArray[np.int32]) -> Bools:
    """Which of the parts reach the border: bool [parts]."""
    found = np.zeros(parts.max() + 1, bool)
    for side in (parts[0], parts[-1], parts[:, 0], parts[:, -1]):
        found[side] = True
    return found[1:]
