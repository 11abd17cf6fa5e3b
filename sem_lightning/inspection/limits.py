"""Limits on an image's highest score that were chosen on labelled pairs, with what they promise."""

import dataclasses
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path

from sem_lightning.decision.rule import UNSURE_NAME
from sem_lightning.errors import SettingError, UserError
from sem_lightning.inspection.inspection import DEFECT
from sem_lightning.io.atomic import write_json
from sem_lightning.synthesis.defects.mix import GOOD
from sem_lightning.version import __version__

FALSE_PLACES = 0.1  # to be expected in a clean image, where nothing else is asked for
CONFIDENCE = 0.95  # of the bounds, where no other is asked for
BETWEEN = "between the limits"  # reason of an image that is neither good nor a defect
_KIND, _SCHEMA = "limits of sem-inspect", 1
_LARGEST_FILE = 1 << 16  # bytes
_HIGHEST = 1e6  # of scores and log odds
_ROUNDING = 1 + 1e-9  # of a bound


@dataclass(frozen=True)
class InspectionLimits:
    """Two limits on the highest score of an image, or on the highest log odds of its places with a network.

    Attributes:
        defect_from: From here on an image is a defect, and a place is listed.
        good_below: Below it, and below ``defect_from``, an image is good; ``None`` for all below ``defect_from``.
        confidence: Probability that each bound holds, between 0 and 1.
        false_places: Bound asked for on the expected number of places in a clean pair.
        false_places_bound: Upper bound that the clean pairs give on it.
        clean_pairs: Number of clean pairs that the limits were chosen on.
        clean_peaks: Number of peaks from ``defect_from`` in all of them, of which each place has at least one.
        overkill: Number of clean pairs that are defects with these limits.
        max_escape: Bound asked for on the share of defective pairs that are good; ``None`` for none.
        escape_bound: Upper bound that the defective pairs give on it; ``None`` without ``max_escape``.
        defective_pairs: Number of defective pairs that the limits were chosen on.
        escapes: Number of defective pairs that are good with these limits.
        unsure: Number of clean and defective pairs between the limits.
        left_out: Number of labelled pairs that could not be compared.
        network: SHA-256 of the network's file; ``None`` if the pairs were compared without one.
        version: Of the package.
    """

    defect_from: float
    good_below: float | None
    confidence: float
    false_places: float
    false_places_bound: float
    clean_pairs: int
    clean_peaks: int
    overkill: int
    max_escape: float | None
    escape_bound: float | None
    defective_pairs: int
    escapes: int
    unsure: int
    left_out: int
    network: str | None
    version: str

    def __post_init__(self) -> None:
        """Check the values, because limits may come from an untrusted file.

        Raises:
            ValueError: Values of another type, NaN, or out of range.
        """
        optional = (self.good_below, self.max_escape, self.escape_bound)
        numbers = (self.defect_from, self.confidence, self.false_places, self.false_places_bound)
        counts = (self.clean_pairs, self.clean_peaks, self.overkill, self.defective_pairs, self.escapes, self.unsure,
                  self.left_out)  # fmt: skip
        if not all(map(_is_finite, [*numbers, *(each for each in optional if each is not None)])):
            raise ValueError("a limit or a bound is no number")
        if not all(isinstance(each, int) and not isinstance(each, bool) and each >= 0 for each in counts):
            raise ValueError("a count is no whole number from 0")
        if not isinstance(self.version, str) or not isinstance(self.network, str | None):
            raise ValueError("network or version is no text")
        shares = (self.max_escape, self.escape_bound, self.confidence)
        if not (all(each is None or 0 < each <= 1 for each in shares) and 1e-4 <= self.false_places <= 100):
            raise ValueError("a bound is out of range")
        kept = [(self.false_places_bound, self.false_places), (self.escape_bound, self.max_escape)]
        if not all(bound is None or most is None or 0 <= bound <= most * _ROUNDING for bound, most in kept):
            raise ValueError("a bound is not the promised one")
        if not all(abs(each) <= _HIGHEST for each in (self.defect_from, self.good_below or 0.0)):
            raise ValueError(f"a limit is beyond {_HIGHEST:g}")
        parts = [(self.overkill, self.clean_pairs), (self.escapes, self.defective_pairs)]
        if not all(part <= whole for part, whole in parts):
            raise ValueError("a count is larger than the number of pairs")
        if (self.max_escape is None) != (self.good_below is None):
            raise ValueError("good_below and max_escape do not go together")

    def decide(self, highest: float) -> tuple[str, str | None]:
        """The decision on an image, and the reason if it is unsure.

        Args:
            highest: See `Inspection`.
        """
        if highest >= self.defect_from:
            return DEFECT, None
        if self.good_below is None or highest < self.good_below:
            return GOOD, None
        return UNSURE_NAME, BETWEEN

    def listed_from(self, decision: str) -> float:
        """The score, or log odds, from which the places of an image with this decision are listed."""
        return self.good_below if decision == UNSURE_NAME and self.good_below is not None else self.defect_from

    def check_network(self, network: str | None) -> None:
        """Refuse another network than the one that the limits were chosen with.

        Args:
            network: SHA-256 of its file; ``None`` for none.

        Raises:
            SettingError: It is another one.
        """
        if network != self.network:
            ours, other = (f"the network {each[:12]}" if each else "no network" for each in (self.network, network))
            raise SettingError("limits", f"were chosen with {ours}, found {other}; choose them again with save_limits")

    def __str__(self) -> str:
        what = "score" if self.network is None else "log odds"
        below = "" if self.good_below is None else f", good below {min(self.good_below, self.defect_from):.4g}"
        lines = [
            f"defect from a {what} of {self.defect_from:.4g}{below}",
            f"false places: at most {self.false_places:g} in a clean pair with confidence {self.confidence:g} (bound "
            f"{self.false_places_bound:.3g}: {self.clean_peaks} in {self.clean_pairs} clean pairs)",
        ]
        if self.max_escape is not None:
            lines.append(
                f"escape: at most {self.max_escape:g} with confidence {self.confidence:g} (bound "
                f"{self.escape_bound:.3g}: {self.escapes} of {self.defective_pairs} defective pairs are good)"
            )
        else:
            lines.append(f"escape: no promise; {self.escapes} of {self.defective_pairs} defective pairs are good")
        pairs = self.clean_pairs + self.defective_pairs
        lines.append(
            f"overkill: {self.overkill} of {self.clean_pairs} clean pairs; unsure: {self.unsure} of {pairs} pairs; "
            f"left out, because they cannot be compared: {self.left_out}"
        )
        return "\n".join(lines)

    def save(self, path: Path) -> None:
        """Write them atomically as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {"kind": _KIND, "schema": _SCHEMA, **dataclasses.asdict(self)})


def open_limits(path: str | Path) -> InspectionLimits:
    """Read limits.

    Raises:
        UserError: No such file, or not one that `InspectionLimits.save` has written.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise UserError(f"limits: {path} is no file; expected one that save_limits=... has written")
    try:
        with path.open("rb") as stream:
            content = json.loads(stream.read(_LARGEST_FILE), parse_constant=_refuse)
        if not isinstance(content, dict) or content.pop("kind", None) != _KIND:
            raise ValueError(f"its kind is not {_KIND!r}")
        if content.pop("schema", None) != _SCHEMA:
            raise ValueError(f"its schema is not {_SCHEMA}")
        limits = InspectionLimits(**content)
        _check_version(limits.version)
        return limits
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        reason = str(error).splitlines()[0].removeprefix("InspectionLimits.__init__() ")
        raise UserError(f"{path}: no limits that save_limits=... has written ({reason}); choose them again") from None


def _check_version(version: str) -> None:
    """Refuse limits of a later package, whose scores may be others."""
    found, ours = (re.match(r"(\d{1,6})\.(\d{1,6})", each) for each in (version, __version__))
    if found is None or (ours is not None and tuple(map(int, found.groups())) > tuple(map(int, ours.groups()))):
        raise ValueError(f"its version is {version[:20]!r}, this is {__version__}")


def _refuse(constant: str) -> None:
    raise ValueError(f"it holds {constant}")


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
