"""What a comparison with a reference gives."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from sem_lightning.synthesis.field import Float32

Matrix = npt.NDArray[np.float64]

_MOSTLY = 0.9  # share of an image from which it counts as compared
DEFECT = "defect"  # decision on an image with at least one place, and label of a place whose class is not known


@dataclass(frozen=True, eq=False)
class Registration:
    """How a reference lies on an image.

    Attributes:
        matrix: float64 [2, 3]: the reference's (x, y) of the image's (x, y, 1), pixels.
        correlation: Correlation of the two where they overlap, both smoothed; -1 to 1.
        overlap: Share of the image that the reference shows.
        residual: Estimated error of the position, pixels (root mean square over parts of the image).
        row_shifts: float32 [H]: further columns by which each row of the reference has to move right.
        shape: Height and width of the image.
        periods: Shifts (x, y) in pixels by which the reference could lie elsewhere as well; empty if it fits only here.
        fault: Why the two cannot be compared; ``None`` if they can.
    """

    matrix: Matrix
    correlation: float
    overlap: float
    residual: float
    row_shifts: Float32
    shape: tuple[int, int]
    periods: tuple[tuple[float, float], ...] = ()
    fault: str | None = None

    @property
    def shift(self) -> tuple[float, float]:
        """Movement (x, y) of the reference's content against the image's, in the middle of an image, pixels."""
        height, width = self.shape
        middle = np.array([(width - 1) / 2, (height - 1) / 2])
        x, y = self.matrix[:, :2] @ middle + self.matrix[:, 2] - middle
        return float(x), float(y)

    @property
    def rotation(self) -> float:
        """Angle by which the reference's content is turned against the image's, degrees, clockwise as displayed."""
        (a, b), (c, d) = self.matrix[:, :2]
        return math.degrees(math.atan2(c - b, a + d))

    @property
    def scale(self) -> float:
        """Size of the reference's content over that of the image's."""
        return math.sqrt(abs(float(np.linalg.det(self.matrix[:, :2]))))


class Boxed(Protocol):
    """What has a box, in the file's pixels."""

    @property
    def x(self) -> float: ...
    @property
    def y(self) -> float: ...
    @property
    def width(self) -> float: ...
    @property
    def height(self) -> float: ...


@dataclass(frozen=True)
class Place:
    """A place where an image differs from its reference by more than noise and roughness do.

    Attributes:
        x: Left edge of the box, in the file's pixels.
        y: Upper edge.
        width: Width of the box.
        height: Height of the box.
        label: Class of the defect, or `DEFECT` where it is not known.
        score: Standard deviations of a clean pair's differences by which the strongest part differs.
        area: Pixels that differ.
        brighter: Whether the image is brighter there than its reference.
        log_odds: Natural logarithm of the odds that it is a defect, see `PlaceClassifier.rate`; ``None`` without a
            network.
        layout: Its middle (x, y) in the layout, um, or in a mask's pixels; ``None`` where no design is compared.
    """

    x: int
    y: int
    width: int
    height: int
    label: str
    score: float
    area: int
    brighter: bool
    log_odds: float | None = None
    layout: tuple[float, float] | None = None

    @property
    def middle(self) -> tuple[float, float]:
        """Middle (x, y) of the box."""
        return self.x + (self.width - 1) / 2, self.y + (self.height - 1) / 2

    def joined(self, other: "Place") -> "Place":
        """This place with a box that covers that of another one as well."""
        x, y = min(self.x, other.x), min(self.y, other.y)
        width = max(self.x + self.width, other.x + other.width) - x
        height = max(self.y + self.height, other.y + other.height) - y
        score, area = max(self.score, other.score), self.area + other.area
        return replace(self, x=x, y=y, width=width, height=height, score=score, area=area)

    def overlaps(self, other: "Boxed", margin: int = 0) -> bool:
        """Whether its box and another one share an area, one of them grown by a margin."""
        return (
            self.x - margin < other.x + other.width
            and other.x - margin < self.x + self.width
            and self.y - margin < other.y + other.height
            and other.y - margin < self.y + self.height
        )


@dataclass(frozen=True, eq=False)
class Deviations:
    """What an image shows minus what its design draws, at each point of the design's outline.

    Attributes:
        values: float64 [n], in the unit of the `EdgePlacement`; NaN where nothing is found.
    """

    values: Matrix

    @property
    def mean(self) -> float:
        """Mean; NaN if nothing is found."""
        return float(np.mean(self._found)) if len(self._found) else math.nan

    @property
    def three_sigma(self) -> float:
        """Three standard deviations."""
        return 3 * float(np.std(self._found)) if len(self._found) else math.nan

    @property
    def worst(self) -> int | None:
        """Number of the point with the largest one; ``None`` if nothing is found."""
        return int(np.nanargmax(np.abs(self.values))) if len(self._found) else None

    @property
    def _found(self) -> Matrix:
        return self.values[np.isfinite(self.values)]


@dataclass(frozen=True, eq=False)
class EdgePlacement:
    """How far the edges in an image lie from those of its design, for about each pixel of them.

    Attributes:
        points: float64 [n, 2]: x and y on the design's outline, in the image's pixels.
        layout: float64 [n, 2]: the same in the layout, um, or in a mask's pixels.
        displacements: Of the edge along the normal, positive where the feature is larger than drawn.
        cd_errors: Measured minus drawn width of the feature, from the point along the normal to the edge opposite.
        space_errors: The same of the space on the other side of the edge.
        cds: float64 [n], drawn widths of the feature; NaN where the CD error is.
        spaces: float64 [n], drawn widths of the space.
        unit: Of all but the places: ``nm`` or ``pixels``.
    """

    points: Matrix
    layout: Matrix
    displacements: Deviations
    cd_errors: Deviations
    space_errors: Deviations
    cds: Matrix
    spaces: Matrix
    unit: str


@dataclass(frozen=True, eq=False)
class Inspection:
    """The result for one image and its reference.

    Attributes:
        path: The image's file; ``None`` for an array.
        references: The references' files, or a word: ``self``, ``array``.
        decision: ``good``, `DEFECT`, or ``unsure``.
        reason: Why it is ``unsure``; ``None`` for other decisions.
        places: Where the two differ, the strongest first.
        registration: ``None`` if it was not tried.
        shape: Height and width in the file's pixels, without the data bar.
        pixel_size: Pixel size of the image in nm, if known.
        data_bar_rows: Rows of the image's data bar that were cropped.
        remarks: What was assumed or noticed, one sentence each.
        image: float32 [H, W] in [0, 1].
        reference: float32 [H, W], registered; NaN where it shows nothing. ``None`` if it could not be registered.
        difference: float32 [H, W], standard deviations of a clean pair; 0 where nothing can be compared. ``None`` as
            above.
        edges: Of a comparison with a design; ``None`` otherwise.
        peaks: What could be a place at some limit, the highest first: scores, or with a network log odds. ``None`` if
            the two could not be compared, and for designs.
        network: SHA-256 of the network's file; ``None`` without one.
        compared: Share of the image, without its border, that was compared, to which the decision is limited; ``None``
            if none was.
    """

    path: Path | None
    references: tuple[str, ...]
    decision: str
    reason: str | None
    places: tuple[Place, ...]
    registration: Registration | None
    shape: tuple[int, int]
    pixel_size: float | None
    data_bar_rows: int
    remarks: tuple[str, ...]
    image: Float32
    reference: Float32 | None
    difference: Float32 | None
    edges: EdgePlacement | None = None
    peaks: tuple[float, ...] | None = None
    network: str | None = None
    compared: float | None = None

    @property
    def is_partly_compared(self) -> bool:
        """Whether more than a tenth of the image was not compared, so that ``good`` says nothing of that part."""
        return self.compared is not None and self.compared < _MOSTLY

    @property
    def highest(self) -> float | None:
        """The highest of the peaks, whatever the limit is; minus infinity where a network found nothing to look at."""
        return None if self.peaks is None else highest_of(self.peaks)


def describe_compared(compared: float) -> list[str]:
    """A remark on the share of an image that was compared, if more than a tenth was not."""
    return [f"compared {math.floor(100 * compared)} % of the image"] if compared < _MOSTLY else []


def highest_of(peaks: tuple[float, ...]) -> float:
    """The first of falling peaks; minus infinity if there are none."""
    return peaks[0] if peaks else -math.inf
