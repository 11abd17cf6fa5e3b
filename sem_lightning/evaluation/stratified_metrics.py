"""Metrics stratified by image metadata, and the detection limit: the smallest defect size that is found."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import isotonic_regression

from sem_lightning.decision.intervals import wilson_interval
from sem_lightning.decision.scores import Floats
from sem_lightning.evaluation.test_predictions import TestPredictions

_BINS = 8
_DOSE_BINS = 4
_FEWEST = 20  # images in a bin
FOUND = 0.95  # capture rate that defines the detection limit
_RESAMPLES = 200
_SUPPORT = 0.85  # lower end of the 95 % interval of the capture rate above the limit must exceed this

UNITS = {"severity": "", "dose": "electrons per pixel", "size": "nm"}


@dataclass(frozen=True)
class Bin:
    """Images with a condition between ``low`` and ``high``.

    Attributes:
        low: Smallest value in the bin.
        high: Largest value.
        middle: Median value.
        rates: Events and trials of ``accuracy`` (correct class), ``capture`` (of the defects) and ``overkill``.
    """

    low: float
    high: float
    middle: float
    rates: dict[str, tuple[int, int]]

    def to_dict(self) -> dict[str, Any]:
        return {
            "low": self.low,
            "high": self.high,
            "median": self.middle,
            **{
                name: {"events": hits, "trials": n, "interval_95": list(wilson_interval(hits, n))}
                for name, (hits, n) in self.rates.items()
            },
        }


def stratify(predictions: TestPredictions) -> dict[str, list[Bin]]:
    """Bins of equal numbers of images for each known condition.

    Severity and size belong to defects, so good images count only for the dose.
    """
    defective = predictions.labels > 0
    table = {}
    for name, values in predictions.metadata.items():
        known = np.isfinite(values) & (defective if name != "dose" else True)
        if int(known.sum()) < 2 * _FEWEST or np.ptp(values[known]) == 0:
            continue
        table[name] = [_count(predictions, values, chosen) for chosen in _equal_bins(values, known, _BINS)]
    return table


def _equal_bins(values: Floats, known: npt.NDArray[np.bool_], most: int) -> list[npt.NDArray[np.int64]]:
    indices = np.flatnonzero(known)
    order = indices[np.argsort(values[indices], kind="stable")]
    return [part for part in np.array_split(order, max(1, min(most, len(order) // _FEWEST))) if len(part)]


def _count(predictions: TestPredictions, values: Floats, chosen: npt.NDArray[np.int64]) -> Bin:
    defective, called = predictions.labels[chosen] > 0, predictions.verdicts.decisions[chosen] > 0
    rates = {"accuracy": (int(predictions.correct[chosen].sum()), len(chosen))}
    if predictions.knows_good:
        rates["capture"] = (int((defective & ~predictions.passed[chosen]).sum()), int(defective.sum()))
        if not defective.all():
            rates["overkill"] = (int((~defective & called).sum()), int((~defective).sum()))
    here = values[chosen]
    return Bin(float(here.min()), float(here.max()), float(np.median(here)), rates)


@dataclass(frozen=True)
class DetectionLimit:
    """The smallest defect size at which 95 % are found.

    Attributes:
        what: The images: ``all doses``, a range of doses, or a class.
        defects: Number of defects.
        size: The limit in nm; NaN if no size reaches 95 %.
        interval: 95 % bootstrap interval in nm; its end is infinite if some resamples do not reach 95 %.
        smallest: Smallest tested defect in nm; a limit there is an upper bound.
        largest: Largest tested defect in nm.
    """

    what: str
    defects: int
    size: float
    interval: tuple[float, float]
    smallest: float
    largest: float

    def describe(self) -> str:
        """The limit as text."""
        if np.isnan(self.size):
            return f"above {self.largest:.3g} nm"
        if self.size <= self.smallest:
            return f"below {self.smallest:.3g} nm"
        high = f"{self.interval[1]:.3g}" if np.isfinite(self.interval[1]) else "?"
        return f"{self.size:.3g} nm [{self.interval[0]:.3g}, {high}]"

    def to_dict(self) -> dict[str, Any]:
        finite = [value if np.isfinite(value) else None for value in (self.size, *self.interval)]
        return {
            "what": self.what,
            "defects": self.defects,
            "size_nm": finite[0],
            "interval_95": finite[1:],
            "smallest_tested_nm": self.smallest,
            "largest_tested_nm": self.largest,
        }

    @staticmethod
    def from_dict(limit: dict[str, Any]) -> "DetectionLimit":
        """The part of a result of `to_dict` that `describe` needs."""
        size = np.nan if limit["size_nm"] is None else limit["size_nm"]
        low, high = (np.inf if end is None else end for end in limit["interval_95"])
        ends = (limit["smallest_tested_nm"], limit["largest_tested_nm"])
        return DetectionLimit(limit["what"], limit["defects"], size, (low, high), *ends)


def detection_limits(predictions: TestPredictions) -> list[DetectionLimit]:
    """Limits for all doses, for each range of doses and for each class; empty if sizes are unknown."""
    sizes, doses = predictions.metadata["size"], predictions.metadata["dose"]
    known = np.isfinite(sizes) & (sizes > 0) & (predictions.labels > 0)
    if not predictions.knows_good or int(known.sum()) < 2 * _FEWEST:
        return []
    rows = [("all doses", np.flatnonzero(known))]
    if np.isfinite(doses[known]).all() and np.ptp(doses[known]) > 0:
        for chosen in _equal_bins(doses, known, _DOSE_BINS):
            rows.append((f"dose {doses[chosen].min():.0f} to {doses[chosen].max():.0f}", chosen))
    for i, label in enumerate(predictions.classes[1:], start=1):
        rows.append((label, np.flatnonzero(known & (predictions.labels == i))))
    return [_limit(what, sizes[chosen], ~predictions.passed[chosen]) for what, chosen in rows if len(chosen) >= _FEWEST]


def _limit(what: str, sizes: Floats, captured: npt.NDArray[np.bool_]) -> DetectionLimit:
    rng = np.random.default_rng(0)
    resampled = []
    for _ in range(_RESAMPLES):
        chosen = rng.integers(len(sizes), size=len(sizes))
        resampled.append(find_limit(sizes[chosen], captured[chosen]))
    ends = np.sort(np.nan_to_num(resampled, nan=np.inf))[[int(0.025 * _RESAMPLES), int(0.975 * _RESAMPLES)]]
    return DetectionLimit(
        what,
        len(sizes),
        find_limit(sizes, captured),
        (float(ends[0]), float(ends[1])),
        float(sizes.min()),
        float(sizes.max()),
    )


def find_limit(sizes: Floats, captured: npt.NDArray[np.bool_]) -> float:
    """The smallest size above which 95 % are captured, by isotonic regression of capture on size.

    Returns:
        A size; NaN if no size reaches 95 %, or if too few images are above it, because these may be captured by chance.
    """
    distinct, places, counts = np.unique(sizes, return_inverse=True, return_counts=True)
    hits = np.bincount(places, weights=captured)
    fitted = isotonic_regression(hits / counts, weights=counts.astype(np.float64)).x
    enough = np.flatnonzero(fitted >= FOUND - 1e-12)
    if not len(enough):
        return math.nan
    first = int(enough[0])
    supported = wilson_interval(int(hits[first:].sum()), int(counts[first:].sum()))[0] >= _SUPPORT
    return float(distinct[first]) if supported else math.nan
