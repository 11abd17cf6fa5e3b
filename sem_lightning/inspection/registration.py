"""Finds how a reference lies on an image: shift, rotation, scale, and the displacement of each row."""

import itertools
import math
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from sem_lightning.inspection.inspection import Matrix, Registration
from sem_lightning.inspection.large_defect import correlate_without_part, cut_off
from sem_lightning.inspection.levels import Level, about_middle, middle_of, shifted, square, warped
from sem_lightning.inspection.overlap_correlation import Peak, correlate_overlap, find_peaks
from sem_lightning.inspection.reliability import split_half_reliability
from sem_lightning.inspection.row_alignment import align_rows
from sem_lightning.inspection.scan_prior import with_scan_prior
from sem_lightning.synthesis.field import Float32

Shift = tuple[float, float]
OTHER_PLACE, LITTLE_OVERLAP, INVERTED = "other place", "little overlap", "inverted reference"

_REACH = 0.28  # of a side: the search goes a little beyond a quarter of the field
_TURNS = (-2.0, -1.0, 0.0, 1.0, 2.0)  # degrees
_SCALES = (0.97, 0.985, 1.0, 1.015, 1.03)
_CANDIDATES = 3
_SURE = 0.8  # correlation from which the search over turns and scales is left out
_TRIAL_STEPS = (3, 5, 1e-6)  # of candidates, most of which are another place, where the steps go on without end
_BEHIND = 0.1  # correlation behind that of the best candidate after its trial, from which one is given up
_STEPS = (3, 60, 1e-6)  # OpenCV's criteria of the refinement: both kinds, steps, increase of the correlation
_FINE_STEPS = (3, 25, 1e-6)
_MOST_PERIODS = 64
_SAME_PEAK = 3.0  # pixels at low resolution
_EQUAL = 0.005  # correlations of two shifts that differ by no more are equal
LEAST_CORRELATION = 0.87  # of the correlation that noise allows
_LEAST_RELIABILITY = 0.35
_LEAST_REPETITION = 0.5  # correlation of an image with itself, a period away
_LEAST_OVERLAP = 0.4
_LARGEST_TURN = 3.0  # degrees
_LARGEST_SCALE = 0.045
_LARGEST_SHEAR = 0.04
_INVERTED = 0.6  # of that correlation, with the negative, from which an image is inverted
_LEAST_PERIOD = 4  # pixels at low resolution; shorter ones are noise that neighbouring pixels share
_REPEATS = 0.8  # share of the highest correlation with itself from which a shift is a period


def register(image: Float32, reference: Float32) -> Registration:
    """Register a reference on an image.

    A search over all whole shifts up to a quarter of the field at low resolution, if need be for several rotations and
    scales; then refinement at rising resolution, and the shift of each row. Where several shifts fit equally well, as
    in a periodic pattern, the smallest one is taken.

    Args:
        image: float32 [H, W] in [0, 1].
        reference: float32 [h, w].
    """
    found = _register(image, reference, Level.coarse(image, reference))
    if found.fault is None:
        return found
    cut = [cut_off(each) for each in (image, reference)]
    if any(each is not None for each in cut):  # a defect of high contrast hides the pattern
        one, other = (each if less is None else less for each, less in zip((image, reference), cut, strict=True))
        again = _register(one, other, Level.coarse(one, other))
        if again.fault is None:
            return again
    lines = Level.of_lines(image, reference)  # where only lines are shown, the transform above may stretch along them
    again = found if lines.across_lines is None else _register(image, reference, lines)
    return again if again.fault is None else found


def register_near(
    image: Float32, reference: Float32, shift: Shift, least_correlation: float = LEAST_CORRELATION
) -> Registration:
    """Register a reference whose content lies about ``shift`` (x, y) pixels from the image's; see `register`.

    Args:
        image: float32 [H, W] in [0, 1].
        reference: float32 [h, w].
        shift: About the shift.
        least_correlation: Of the correlation that noise allows, below which it is another place.
    """
    coarse = Level.of_lines(image, reference)
    matrix, _ = coarse.refine(coarse.own(shifted(*shift)), _STEPS)
    return _finish(image, reference, coarse, matrix, (), least_correlation)


def find_periods(image: Float32) -> list[Shift]:
    """Shifts (x, y) in pixels at which an image repeats itself, the shortest first; none if it does not repeat.

    Args:
        image: float32 [H, W].
    """
    level = Level.of_lines(image, image)
    found = find_peaks(*correlate_overlap(level.image, level.image, _REACH), _MOST_PERIODS)

    def length(peak: Peak) -> float:
        """Length of a shift; of lines, across them."""
        shift = np.array([peak.x, peak.y])
        return float(np.hypot(*shift) if level.across_lines is None else abs(shift @ level.across_lines))

    found = [peak for peak in found if length(peak) > _LEAST_PERIOD]
    if not found or found[0].correlation < _LEAST_REPETITION:
        return []
    repeating = [peak for peak in found if peak.correlation >= _REPEATS * found[0].correlation]
    grid = level.from_image
    return [(peak.x * float(grid[0, 0]), peak.y * float(grid[1, 1])) for peak in sorted(repeating, key=length)]


def warp(
    reference: Float32, matrix: Matrix, shape: tuple[int, ...], row_shifts: Float32 | None = None
) -> tuple[Float32, npt.NDArray[np.bool_]]:
    """The reference as it lies on an image, and where it shows something.

    Args:
        reference: float32 [h, w].
        matrix: float64 [2, 3], see `Registration`.
        shape: Height and width of the image.
        row_shifts: See `Registration`; ``None`` for 0.

    Returns:
        float32 [H, W], its border repeated beyond it, and bool [H, W].
    """
    height, width = shape
    columns, rows = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    shifts = np.zeros(height, np.float32) if row_shifts is None else row_shifts
    (a, b, c), (d, e, f) = matrix.astype(np.float32)
    across = (a * columns)[None] + (b * rows + c - a * shifts)[:, None]
    along = (d * columns)[None] + (e * rows + f - d * shifts)[:, None]
    moved = cv2.remap(reference, across, along, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    lowest, rightmost = reference.shape[0] - 1, reference.shape[1] - 1
    shown = (across >= 0) & (across <= rightmost) & (along >= 0) & (along <= lowest)
    return np.asarray(moved, np.float32), shown


def _register(image: Float32, reference: Float32, coarse: Level) -> Registration:
    matrix, correlation = _search(coarse, (0.0,), (1.0,))
    if correlation < _SURE:
        turned, better = _search(coarse, _TURNS, _SCALES)
        matrix = turned if better > correlation else matrix
    matrix, others = _choose_period(coarse, matrix)
    periods = tuple((x * float(coarse.from_image[0, 0]), y * float(coarse.from_image[1, 1])) for x, y in others)
    return _finish(image, reference, coarse, matrix, periods, another_scan=True)


def _finish(
    image: Float32,
    reference: Float32,
    coarse: Level,
    matrix: Matrix,
    periods: tuple[Shift, ...],
    least_correlation: float = LEAST_CORRELATION,
    another_scan: bool = False,
) -> Registration:
    """The transform refined at full resolution, with the shifts of the rows and the verdict on it.

    Only the reference of another scan has noise and rough edges of its own, which a fit may follow.
    """
    factor = float(coarse.from_image[0, 0])
    # of the correlation that noise leaves to two images of the same place
    reliability = math.sqrt(math.prod(split_half_reliability(each, factor) for each in (image, reference)))
    correlation, part = _correlate(coarse, matrix), None
    if correlation < least_correlation * reliability:
        moved, shown = coarse.lay(matrix)
        correlation, part = correlate_without_part(coarse.image, moved, shown)
        matrix, _ = coarse.refine(matrix, _STEPS, part)
    found, judged_at = coarse.full(matrix), coarse
    for finer, criteria in ((2.0, _STEPS), (1.0, _FINE_STEPS)):
        if finer < factor or finer == 1:
            level = Level.of(image, reference, finer, coarse.across_lines)
            found = level.full(level.refine(level.own(found), criteria, part)[0])
            judged_at = level if finer > 1 else judged_at
    if another_scan:
        found = with_scan_prior(judged_at, found)
    moved, shown = warp(reference, found, image.shape)
    overlap = float(shown.mean())
    fault = _find_fault(found, correlation / reliability, reliability, overlap, least_correlation)
    if fault == OTHER_PLACE and coarse.across_lines is None:
        lowest = float(correlate_overlap(coarse.image, coarse.reference, _REACH)[0].min())
        fault = INVERTED if -lowest > max(_INVERTED * reliability, correlation) else fault
    row_shifts, residual = np.zeros(len(image), np.float32), math.nan
    if fault is None:
        row_shifts, residual = align_rows(image, moved, shown)
    return Registration(found, correlation, overlap, residual, row_shifts, (len(image), image.shape[1]), periods, fault)


def _correlate(level: Level, matrix: Matrix) -> float:
    """Correlation of both where they overlap."""
    moved, shown = level.lay(matrix)
    if np.count_nonzero(shown) < 2 or min(np.ptp(level.image[shown]), np.ptp(moved[shown])) == 0:
        return 0.0
    return float(np.corrcoef(level.image[shown], moved[shown])[0, 1])


def _find_fault(
    matrix: Matrix, correlation: float, reliability: float, overlap: float, least_correlation: float
) -> str | None:
    """Why a registration cannot be trusted; ``None`` if it can. The correlation is that of what noise allows."""
    if overlap < _LEAST_OVERLAP:
        return LITTLE_OVERLAP
    if reliability < _LEAST_RELIABILITY:
        return "too noisy"
    if correlation < least_correlation:
        return OTHER_PLACE
    stretch = np.linalg.svd(matrix[:, :2], compute_uv=False)
    turn = math.degrees(math.atan2(matrix[1, 0] - matrix[0, 1], matrix[0, 0] + matrix[1, 1]))
    if abs(turn) > _LARGEST_TURN or stretch[0] / stretch[1] > 1 + _LARGEST_SHEAR:
        return OTHER_PLACE
    if np.abs(stretch - 1).max() > _LARGEST_SCALE:
        return "other magnification"
    return None


def _search(level: Level, turns: Sequence[float], scales: Sequence[float]) -> tuple[Matrix, float]:
    """The best transform after a search over shifts for each rotation and scale, and its correlation."""
    starts: list[tuple[float, Matrix]] = []
    for turn in turns:
        for scale in scales:
            cos, sin = scale * math.cos(math.radians(turn)), scale * math.sin(math.radians(turn))
            around = about_middle(level.reference.shape, np.array([[cos, -sin], [sin, cos]]))
            turned = level.reference if turn == 0 and scale == 1 else _turned(level.reference, around)
            found = find_peaks(*correlate_overlap(level.image, turned, _REACH), _CANDIDATES)
            starts += [(peak.correlation, around @ square(shifted(peak.x, peak.y))) for peak in found]
    starts.sort(key=lambda start: -start[0])
    candidates = [matrix for _, matrix in starts[:_CANDIDATES]]
    tried = [level.refine(matrix, _TRIAL_STEPS)[1] for matrix in candidates]
    chosen = itertools.compress(candidates, (each >= max(tried) - _BEHIND for each in tried))
    refined = [level.refine(matrix, _STEPS) for matrix in chosen]
    return max(refined, key=lambda each: each[1])


def _turned(reference: Float32, around: Matrix) -> Float32:
    return warped(reference, around, reference.shape)


def _choose_period(level: Level, matrix: Matrix) -> tuple[Matrix, list[tuple[int, int]]]:
    """The transform moved by whole periods to the least shift that fits as well as any, and the other shifts."""
    around = about_middle(level.reference.shape, matrix[:, :2])
    peaks = find_peaks(*correlate_overlap(level.image, _turned(level.reference, around), _REACH), _MOST_PERIODS)
    equal = [(peak.x, peak.y) for peak in peaks if peak.correlation >= peaks[0].correlation - _EQUAL]
    down, across = ((b - a) / 2 for a, b in zip(level.image.shape, level.reference.shape, strict=True))
    x, y = min(equal, key=lambda shift: math.hypot(shift[0] - across, shift[1] - down))
    others = sorted((each for each in equal if each != (x, y)), key=lambda each: math.hypot(each[0] - x, each[1] - y))
    chosen = around @ square(shifted(x, y))
    middle = np.array([*middle_of(level.image.shape), 1])
    if math.hypot(*(chosen @ middle - matrix @ middle)) > _SAME_PEAK:
        found, correlation = level.refine(chosen, _STEPS)
        matrix = found if correlation > 0 else chosen
    return matrix, [(a - x, b - y) for a, b in others[:2]]
