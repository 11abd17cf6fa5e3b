"""Cuts large fields into tiles of the training size and joins the maps of the tiles."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
_LEAST_DOUBT = np.float32(0.01)  # so that tiles which are all sure of good blend as usual
MAP_STRIDE = 8  # pixels of the image for each cell of a stitched map


@dataclass(frozen=True)
class Tiling:
    """Positions of tiles in an image.

    Attributes:
        height: Height of the image, pixels.
        width: Width of the image.
        sides: Height and width of a tile.
        tops: First rows of the tiles.
        lefts: First columns of the tiles.
    """

    height: int
    width: int
    sides: tuple[int, int]
    tops: tuple[int, ...]
    lefts: tuple[int, ...]

    @staticmethod
    def plan(height: int, width: int, size: int, overlap: float) -> "Tiling":
        """Tiles on the map's grid that cover every pixel and overlap by at least ``overlap`` of their side."""
        return Tiling(height, width, (size, size), _starts(height, size, overlap), _starts(width, size, overlap))

    @staticmethod
    def whole(height: int, width: int) -> "Tiling":
        """The image as its only tile."""
        return Tiling(height, width, (height, width), (0,), (0,))

    def __len__(self) -> int:
        return len(self.tops) * len(self.lefts)

    def place(self, number: int) -> tuple[int, int]:
        """First row and column of a tile."""
        row, column = divmod(number, len(self.lefts))
        return self.tops[row], self.lefts[column]

    def cut(self, image: Float32, number: int) -> Float32:
        """One tile. Pixels beyond the image are mirrored."""
        top, left = self.place(number)
        tile = image[top : top + self.sides[0], left : left + self.sides[1]]
        below, right = self.sides[0] - tile.shape[0], self.sides[1] - tile.shape[1]
        if below or right:
            tile = np.asarray(cv2.copyMakeBorder(tile, 0, below, 0, right, cv2.BORDER_REFLECT_101), np.float32)
        return tile


def _starts(length: int, size: int, overlap: float) -> tuple[int, ...]:
    """Starts on the stitched map's grid; the last tile may reach a few pixels beyond the image."""
    if length <= size:
        return (0,)
    step = max(MAP_STRIDE, int(size * (1 - overlap)) // MAP_STRIDE * MAP_STRIDE)
    last = -(-(length - size) // MAP_STRIDE) * MAP_STRIDE
    return (*range(0, last, step), last)


def _ramp(count: int) -> Float32:
    """A triangular weight: it rises to the middle and falls again."""
    return np.asarray(1 - np.abs((np.arange(count, dtype=np.float32) + 0.5) * np.float32(2 / count) - 1), np.float32)


class Stitcher:
    """Blends the maps of tiles into one map of the whole image, at 1/8 of its pixels along each side.

    Args:
        tiling: Places of the tiles.
        channels: Channels of the maps.
        doubtful: Whether the first channel is the probability of good, and a tile that doubts it counts more. The tile
            least likely to be good decides about an image; where a neighbour that sees the defect at its border is
            sure of good, a plain mean would hide what decided.
    """

    def __init__(self, tiling: Tiling, channels: int, doubtful: bool = False) -> None:
        self.tiling = tiling
        self._doubtful = doubtful
        ends = (tiling.tops[-1] + tiling.sides[0], tiling.lefts[-1] + tiling.sides[1])
        shape = (-(-ends[0] // MAP_STRIDE), -(-ends[1] // MAP_STRIDE))
        self._sum = np.zeros((channels, *shape), np.float32)
        self._weight = np.zeros(shape, np.float32)
        # the border of a tile is covered better by its neighbour
        self._window = np.outer(*(_ramp(-(-side // MAP_STRIDE)) for side in tiling.sides)) + np.float32(0.01)

    def add(self, number: int, maps: Float32) -> None:
        """Add the maps [C, h, w] of a tile, at any resolution."""
        top, left = (start // MAP_STRIDE for start in self.tiling.place(number))
        height, width = self._window.shape
        part = (slice(top, top + height), slice(left, left + width))
        fine = np.stack([cv2.resize(one, (width, height), interpolation=cv2.INTER_LINEAR) for one in maps])
        weight = self._window
        if self._doubtful and len(self.tiling) > 1:
            weight = weight * np.square(1 - fine[0] + _LEAST_DOUBT)
        self._sum[(slice(None), *part)] += fine * weight
        self._weight[part] += weight

    def finish(self) -> Float32:
        """The blended maps [C, H / 8, W / 8], cropped to the image."""
        rows, columns = -(-self.tiling.height // MAP_STRIDE), -(-self.tiling.width // MAP_STRIDE)
        weight = np.maximum(self._weight, np.float32(1e-6))
        return np.asarray((self._sum / weight)[:, :rows, :columns], np.float32)
