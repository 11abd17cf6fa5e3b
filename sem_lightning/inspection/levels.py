"""Two images at a lower resolution, and transforms between their pixels."""

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from sem_lightning.inspection.inspection import Matrix
from sem_lightning.inspection.large_defect import Part
from sem_lightning.metrology.orientation import LINES_FROM, find_orientation
from sem_lightning.synthesis.field import Float32

_COARSE_SIDE = 160  # pixels of the longer side in the search over all shifts
_ORIENTED_SIDE = 240  # pixels at which the direction of lines is measured
_SLOW = 12  # a side holds so many standard deviations of the blur whose result is slow change of brightness


@dataclass(frozen=True, eq=False)
class Level:
    """Both images at a lower resolution, smoothed, without slow changes of brightness.

    Attributes:
        image: float32 [h, w].
        reference: float32 [h, w].
        from_image: float64 [3, 3]: full (x, y, 1) of the level's, for the image.
        from_reference: The same for the reference.
        across_lines: Direction (x, y) across the reference's lines if it shows nothing else, which leaves the position
            along them open; ``None`` for other patterns.
    """

    image: Float32
    reference: Float32
    from_image: Matrix
    from_reference: Matrix
    across_lines: Matrix | None

    @staticmethod
    def of(image: Float32, reference: Float32, factor: float, across_lines: Matrix | None) -> "Level":
        """Both images reduced by a factor."""
        (small, grid), (small_reference, reference_grid) = shrink(image, factor), shrink(reference, factor)
        return Level(small, small_reference, grid, reference_grid, across_lines)

    @staticmethod
    def coarse(image: Float32, reference: Float32) -> "Level":
        """The level of the search over all shifts."""
        return Level.of(image, reference, max(1.0, max(image.shape) / _COARSE_SIDE), None)

    @staticmethod
    def of_lines(image: Float32, reference: Float32) -> "Level":
        """The same, with the direction of the lines if the reference shows mostly lines of one direction."""
        level = Level.coarse(image, reference)
        # averages of pixels keep white noise white, which the measure of the orientation subtracts
        factor = max(reference.shape) / _ORIENTED_SIDE
        sides = (round(reference.shape[1] / factor), round(reference.shape[0] / factor))
        if factor > 1 and min(sides) > 1:
            reference = np.asarray(cv2.resize(reference, sides, interpolation=cv2.INTER_AREA), np.float32)
        found = find_orientation(reference)
        if found.coherence < LINES_FROM:
            return level
        angle = math.radians(found.angle)
        return replace(level, across_lines=np.array([math.cos(angle), math.sin(angle)]))

    def full(self, matrix: Matrix) -> Matrix:
        """A transform between the level's pixels as one between full pixels."""
        return (self.from_reference @ square(matrix) @ np.linalg.inv(self.from_image))[:2]

    def own(self, matrix: Matrix) -> Matrix:
        """A transform between full pixels as one between the level's pixels."""
        return (np.linalg.inv(self.from_reference) @ square(matrix) @ self.from_image)[:2]

    def lay(self, matrix: Matrix) -> tuple[Float32, npt.NDArray[np.bool_]]:
        """The reference as it lies on the image, and where it shows something."""
        shown = warped(np.ones_like(self.reference), matrix, self.image.shape, cv2.BORDER_CONSTANT) > 0.99
        return warped(self.reference, matrix, self.image.shape), shown

    def refine(
        self, matrix: Matrix, criteria: tuple[int, int, float], left_out: Part | None = None
    ) -> tuple[Matrix, float]:
        """The transform near a first one with the highest correlation; -1 as correlation if none is found.

        A part of the image may be left out.

        It maximises the enhanced correlation coefficient (G. Evangelidis, E. Psarakis, IEEE Trans. Pattern Anal. Mach.
        Intell. 30, 1858 (2008)).
        """
        start, used = matrix.astype(np.float32), np.full(self.reference.shape, 255, np.uint8)
        if left_out is not None:
            sides = self.reference.shape[::-1]
            mask = left_out.mask(self.image.shape)
            moved = cv2.warpAffine(mask, matrix, sides, flags=cv2.INTER_NEAREST, borderValue=255)
            used = np.asarray(moved, np.uint8)
        try:
            correlation, found = cv2.findTransformECC(
                self.image, self.reference, start, cv2.MOTION_AFFINE, criteria, used, 3
            )
        except cv2.error:  # no overlap, or the steps do not converge
            return matrix, -1.0
        better: Matrix = np.asarray(found, np.float64)
        return (better if self.across_lines is None else self._without_sliding(better)), float(correlation)

    def _without_sliding(self, matrix: Matrix) -> Matrix:
        """The similarity with a transform's position, scale and direction across the lines, and no shift along them."""
        assert self.across_lines is not None
        across = matrix[:, :2].T @ self.across_lines
        scale = float(np.hypot(*across))
        own_frame = _frame(self.across_lines)
        linear = scale * own_frame.T @ _frame(across / scale)
        middle, centre = middle_of(self.image.shape), middle_of(self.reference.shape)
        target = own_frame @ (matrix[:, :2] @ middle + matrix[:, 2])
        target[1] = (own_frame @ centre)[1]
        return np.column_stack([linear, own_frame.T @ target - linear @ middle])


def _frame(direction: Matrix) -> Matrix:
    """The rotation that turns a direction (x, y) of length 1 to the x axis."""
    x, y = direction
    return np.array([[x, y], [-y, x]])


def square(matrix: Matrix) -> Matrix:
    """A transform [2, 3] with a third row, so that transforms can be multiplied."""
    return np.vstack([matrix, [0.0, 0.0, 1.0]])


def shifted(x: float, y: float) -> Matrix:
    """The transform that adds (x, y)."""
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y]])


def shrink(image: Float32, factor: float) -> tuple[Float32, Matrix]:
    """An image at a lower resolution, without slow changes; and full (x, y, 1) of its pixels': float64 [3, 3]."""
    height, width = image.shape
    small = np.asarray(cv2.GaussianBlur(image, (0, 0), max(0.8 * factor, 1.0)), np.float32)
    if factor > 1:
        sides = (max(round(width / factor), 1), max(round(height / factor), 1))
        small = np.asarray(cv2.resize(small, sides, interpolation=cv2.INTER_AREA), np.float32)
    across, down = width / small.shape[1], height / small.shape[0]
    grid = np.array([[across, 0, (across - 1) / 2], [0, down, (down - 1) / 2], [0, 0, 1]])
    return without_slow(small, max(small.shape)), grid


def without_slow(image: Float32, side: int) -> Float32:
    """An image less what is left of it when blurred by a twelfth of a side, in pixels.

    The blur is computed at a quarter of the pixels along each side.
    """
    height, width = image.shape
    small = cv2.resize(image, (max(width // 4, 1), max(height // 4, 1)), interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(small, (0, 0), max(max(side // 4, 1) / _SLOW, 0.5))
    return np.asarray(image - cv2.resize(blurred, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def warped(reference: Float32, matrix: Matrix, shape: tuple[int, ...], border: int = cv2.BORDER_REPLICATE) -> Float32:
    """The reference as it lies on an image of this shape."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(reference, matrix, shape[::-1], flags=flags, borderMode=border), np.float32)


def about_middle(shape: tuple[int, ...], linear: Matrix) -> Matrix:
    """The transform with this linear part, float64 [2, 2], that leaves the middle of an image where it is."""
    middle = middle_of(shape)
    return np.column_stack([linear, middle - linear @ middle])


def middle_of(shape: tuple[int, ...]) -> Matrix:
    """The place (x, y) of the middle of an image, float64 [2], pixels."""
    return np.array([(shape[1] - 1) / 2, (shape[0] - 1) / 2])
