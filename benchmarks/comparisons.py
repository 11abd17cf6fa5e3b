"""What the benchmarks of comparisons with a reference share: seeds, the ways to compare, and tables."""

import math
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from sem_lightning.decision.intervals import mean_rate_interval, wilson_interval
from sem_lightning.inspection.inspector import Inspector
from sem_lightning.inspection.limits import FALSE_PLACES
from sem_lightning.io.gray_image import as_gray_image
from sem_lightning.synthesis.field import Float32
from sem_lightning.synthesis.pairs import Pair

CHOICE_SEED, TEST_SEEDS = 2901, (2920, 2921, 2922)


def to_float(pixels: "np.ndarray[Any, np.dtype[Any]]") -> Float32:
    return as_gray_image(pixels).pixels


def pictures(pair: Pair) -> tuple[Float32, Float32]:
    return to_float(pair.image.image), to_float(pair.reference)


def make_inspectors(network: str | None) -> dict[str, Inspector]:
    """The ways to compare with a reference, by the heads of their columns."""
    found = {"difference": Inspector(FALSE_PLACES, network=None)}
    if network is not None:
        found["difference and network"] = Inspector(FALSE_PLACES, network=network)
    return found


def plain_difference(image: Float32, reference: Float32) -> float:
    """The largest smoothed difference after phase correlation and equal mean and deviation."""
    window = np.asarray(cv2.createHanningWindow(image.shape[::-1], cv2.CV_32F), np.float32)
    (x, y), _ = cv2.phaseCorrelate(image, reference, window)
    inside = 1 + int(max(abs(x), abs(y)))
    if 2 * inside >= min(image.shape):
        return 0.0
    moved = cv2.warpAffine(reference, np.array([[1, 0, -x], [0, 1, -y]], np.float32), image.shape[::-1])
    one, other = ((each - each.mean()) / each.std() for each in (image, moved))
    return float(np.abs(cv2.GaussianBlur(one - other, (0, 0), 2))[inside:-inside, inside:-inside].max())


def best_limit(of_defective: list[float], of_good: list[float]) -> float:
    """The limit with the highest balanced accuracy if what is above it counts as defective."""
    defective, good = np.array(of_defective), np.array(of_good)
    tried = np.concatenate([defective, good])
    return float(max(tried, key=lambda limit: np.mean(defective > limit) + np.mean(good <= limit)))


def balanced(judged: list[tuple[bool, bool]]) -> str:
    """Balanced accuracy with a 95 % interval."""
    right = [[called == truth for is_defect, called in judged if is_defect == truth] for truth in (True, False)]
    value = sum(sum(each) / len(each) if each else math.nan for each in right) / 2
    low, high = mean_rate_interval([(sum(each), len(each)) for each in right])
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


def share(hits: Sequence[bool]) -> str:
    """A share with a 95 % interval; ``-`` of none."""
    if not hits:
        return "-"
    low, high = wilson_interval(sum(hits), len(hits))
    return f"{sum(hits) / len(hits):.3f} [{low:.3f}, {high:.3f}]"


def print_shares(title: str, rows: dict[str, list[dict[str, bool]]]) -> None:
    methods = list(next(iter(rows.values()))[0])
    print(f"\n| {title} | of | {' | '.join(methods)} |")
    print("| --- | ---: |" + " ---: |" * len(methods))
    for name, called in rows.items():
        cells = [share([each[method] for each in called]) for method in methods]
        print(f"| {name} | {len(called)} | {' | '.join(cells)} |")
