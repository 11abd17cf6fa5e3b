"""Chooses limits on the highest score of an image from labelled pairs, so that they hold promises."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from sem_lightning.checks import between, share
from sem_lightning.decision.intervals import clopper_pearson_upper, poisson_upper
from sem_lightning.decision.risk_control import allowed_escapes, allowed_events, defects_needed, trials_needed
from sem_lightning.decision.rule import UNSURE_NAME
from sem_lightning.errors import SettingError
from sem_lightning.inspection.evaluation import evaluate_inspections
from sem_lightning.inspection.inspection import DEFECT, highest_of
from sem_lightning.inspection.labels import read_labels
from sem_lightning.inspection.limits import CONFIDENCE, FALSE_PLACES, InspectionLimits
from sem_lightning.inspection.outcomes import Outcomes
from sem_lightning.inspection.places import CANDIDATE_SCORE
from sem_lightning.io.atomic import printable
from sem_lightning.synthesis.defects.mix import GOOD
from sem_lightning.version import __version__

_EVEN = 0.0  # log odds, where no place of the clean pairs asks for a limit


def choose_limits(
    outcomes: Outcomes,
    false_places: float = FALSE_PLACES,
    confidence: float = CONFIDENCE,
    max_escape: float | None = None,
) -> InspectionLimits:
    """Limits that labelled pairs allow, for ``Inspector(limits=...)``.

    Each bound holds with ``confidence`` for pairs like these that the limits were not chosen on. Pairs that could not
    be compared are left out.

    Args:
        outcomes: See `label_inspections`.
        false_places: Bound on the expected number of places in a clean pair, from 0.0001 to 100.
        confidence: Between 0 and 1.
        max_escape: Bound on the share of defective pairs that are good, between 0 and 1; ``None`` for none.

    Raises:
        SettingError: Too few pairs for a bound, pairs compared with several networks, or a value out of its range.
    """
    between("false_places", false_places, 1e-4, 100, "places in a clean image")
    for key, value in (("confidence", confidence), ("max_escape", max_escape)):
        if value is not None:
            share(key, value)
    compared = [(each.truth.is_defective, each.peaks) for each in outcomes.labelled if each.peaks is not None]
    networks = {each.network for each in outcomes.labelled if each.peaks is not None}
    if len(networks) > 1:
        raise SettingError("network", "the pairs were compared with several networks, or with and without one")
    network = next(iter(networks), None)
    clean = [peaks for is_defective, peaks in compared if not is_defective]
    defective = [highest_of(peaks) for is_defective, peaks in compared if is_defective]
    check_counts(len(clean), len(defective), false_places, confidence, max_escape)
    defect_from, places_bound = _bound_places(clean, false_places, confidence, network)
    good_below = escape_bound = None
    if max_escape is not None:
        good_below, escape_bound = _bound_escapes(defective, max_escape, confidence)
    limits = InspectionLimits(
        defect_from=defect_from,
        good_below=good_below,
        confidence=confidence,
        false_places=false_places,
        false_places_bound=places_bound,
        clean_pairs=len(clean),
        clean_peaks=sum(peak >= defect_from for peaks in clean for peak in peaks),
        overkill=0,
        max_escape=max_escape,
        escape_bound=escape_bound,
        defective_pairs=len(defective),
        escapes=0,
        unsure=0,
        left_out=len(outcomes.labelled) - len(compared),
        network=network,
        version=__version__,
    )
    decided = [[limits.decide(highest)[0] for highest in each] for each in (map(highest_of, clean), defective)]
    return replace(
        limits,
        overkill=decided[0].count(DEFECT),
        escapes=decided[1].count(GOOD),
        unsure=sum(each.count(UNSURE_NAME) for each in decided),
    )


def open_outcomes(
    table: str | Path,
    images: Sequence[Path],
    bounds: tuple[float, float, float | None] | None,
    say: Callable[[str], object],
) -> Outcomes:
    """What collects the outcomes of images with labels.

    Args:
        table: See `read_labels`.
        images: The images that will be compared.
        bounds: On false places, its confidence, and on escapes, of limits to choose; ``None`` if none are chosen.
        say: Called with a sentence if images with labels are not compared.

    Raises:
        UserError: The table cannot be used, or has no labels of these images, or too few for the bounds.
    """
    labels = read_labels(table)
    good, defective = labels.count(images)
    if missing := labels.missing(images):
        say(f"labels: {len(missing)} of the labelled images are not inspected, such as {missing[0]}")
    if bounds is not None:
        check_counts(good, defective, *bounds)
    return Outcomes(labels)


def evaluate_outcomes(outcomes: Outcomes, bounds: tuple[float, float, float | None] | None, file: Path | None) -> str:
    """The rates as text. If there are bounds, limits are chosen for them and written, and the text has them as well.

    Raises:
        UserError: The bounds cannot be met.
        OSError: The folder is not writable or full.
    """
    said = str(evaluate_inspections(outcomes))
    if bounds is None or file is None:
        return said
    chosen = choose_limits(outcomes, *bounds)
    chosen.save(file)
    return f"{said}\n{chosen}\n{printable(file)} holds these limits"


def check_counts(
    clean: int, defective: int, false_places: float, confidence: float, max_escape: float | None = None
) -> None:
    """Check that so many pairs allow the bounds.

    Raises:
        SettingError: Too few of them, with the number that is needed.
    """
    if allowed_events(clean, false_places, confidence) is None:
        raise SettingError(
            "false_places",
            f"{false_places:g} cannot be promised with confidence {confidence:g} from {clean} clean pairs; that takes "
            f"{trials_needed(false_places, confidence)} of them",
        )
    if max_escape is not None and allowed_escapes(defective, max_escape, confidence) is None:
        raise SettingError(
            "max_escape",
            f"{max_escape:g} cannot be promised with confidence {confidence:g} from {defective} defective pairs; that "
            f"takes {defects_needed(max_escape, confidence)} of them",
        )


def _bound_places(
    clean: Sequence[tuple[float, ...]], false_places: float, confidence: float, network: str | None
) -> tuple[float, float]:
    """The lowest limit that no more peaks of clean pairs reach than are allowed, and the bound on their number."""
    allowed = allowed_events(len(clean), false_places, confidence)
    assert allowed is not None
    peaks = sorted((peak for each in clean for peak in each), reverse=True)
    if len(peaks) > allowed:
        limit = float(np.nextafter(np.float32(peaks[allowed]), np.float32(np.inf)))
    else:
        limit = peaks[-1] if peaks else _EVEN
    if network is None:
        limit = max(limit, CANDIDATE_SCORE)  # lower peaks are not kept
    return limit, poisson_upper(allowed, confidence) / len(clean)


def _bound_escapes(highest: Sequence[float], max_escape: float, confidence: float) -> tuple[float, float]:
    """The highest limit below which no more defective pairs lie than are allowed, and the bound on their share."""
    allowed = allowed_escapes(len(highest), max_escape, confidence)
    assert allowed is not None
    limit = sorted(highest)[allowed]
    if math.isinf(limit):
        raise SettingError(
            "max_escape",
            f"{max_escape:g} cannot be promised: in {highest.count(limit)} of {len(highest)} defective pairs the "
            f"network finds nothing to look at, and {allowed} may escape",
        )
    return limit, clopper_pearson_upper(allowed, len(highest), confidence)
