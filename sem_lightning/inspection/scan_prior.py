"""What scans do to a transform: little more than shift, rotation and scale, however freely it was fitted."""

import numpy as np

from sem_lightning.inspection.inspection import Matrix
from sem_lightning.inspection.levels import Level, middle_of
from sem_lightning.synthesis.field import Float32

# Standard deviation of shear and of the difference of both scales. Simulated drift makes 0.002; others may make more.
_SPREAD = 0.006
# Full pixels that err together, because edges are rough over a length. Chosen with the spread on 138 pairs (seed 2905).
_CORRELATED = 200.0


def with_scan_prior(level: Level, matrix: Matrix) -> Matrix:
    """The most likely transform, given the one that fits best and how little a scan shears or stretches to one side.

    A pattern of nearly parallel lines leaves shear along the lines free, and the best fit then follows noise and rough
    edges. Shear and the difference of both scales are taken as normally distributed around 0; the fit is as sure as the
    gradients of both images make it (maximum a posteriori, with the Gauss-Newton matrix of the fit).

    Args:
        level: Both images at some resolution.
        matrix: float64 [2, 3], the best fit between full pixels; see `Registration`.

    Returns:
        float64 [2, 3].
    """
    own = level.own(matrix)
    moved, used = level.lay(own)
    used[[0, -1]], used[:, [0, -1]] = False, False
    if np.count_nonzero(used) < 2 or np.ptp(moved[used]) == 0:
        return matrix
    slope, offset = np.polyfit(moved[used], level.image[used], 1)
    moved = (slope * moved + offset).astype(np.float32)
    variance = float(np.var((level.image - moved)[used])) * _CORRELATED / float(level.from_image[0, 0]) ** 2
    # the noise of one image is not that of the other, so that their product holds the gradients of the pattern alone
    known = _sensitivity(level.image, used) @ _sensitivity(moved, used).T / max(variance, 1e-12)
    values, vectors = np.linalg.eigh((known + known.T) / 2)
    known = (vectors * np.maximum(values, 0)) @ vectors.T
    across, down = np.diag(level.from_reference)[:2, None] / np.diag(level.from_image)[None, :2]
    scan = np.array([[across[0], 0, 0, 0, -down[1], 0], [0, across[1], 0, down[0], 0, 0]]) / _SPREAD
    middle = middle_of(level.image.shape)
    best = np.column_stack([own[:, :2], own[:, :2] @ middle + own[:, 2]]).ravel()
    prior = scan.T @ scan
    # the shortest step, which leaves what neither of both says
    likely = (best - np.linalg.lstsq(known + prior, prior @ best, rcond=1e-9)[0]).reshape(2, 3)
    return level.full(np.column_stack([likely[:, :2], likely[:, 2] - likely[:, :2] @ middle]))


def _sensitivity(image: Float32, used: "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]") -> Matrix:
    """Change of each used pixel with the six numbers of a transform about the middle: float64 [6, pixels]."""
    down, across = np.gradient(image, axis=0), np.gradient(image, axis=1)
    (middle_x, middle_y), (y, x) = middle_of(image.shape), np.nonzero(used)
    right, below = across[used].astype(np.float64), down[used].astype(np.float64)
    x, y = x - middle_x, y - middle_y
    return np.stack([right * x, right * y, right, below * x, below * y, below])
