"""The report of comparisons on one page: image, registered reference, difference and verdict side by side."""

import heapq
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Generic, TypeVar

import cv2

from sem_lightning.decision.rule import UNSURE_NAME
from sem_lightning.inspection.inspection import DEFECT, EdgePlacement, Inspection
from sem_lightning.inspection.panels import WHITE_AT, Picture, draw_difference, draw_image, draw_reference
from sem_lightning.inspection.references import InspectionPair
from sem_lightning.inspection.writers import describe_registration
from sem_lightning.io.atomic import printable
from sem_lightning.io.html_page import data_uri, in_words, write_html
from sem_lightning.io.result_files import DecisionCount
from sem_lightning.synthesis.defects.mix import GOOD

SHOWN = 50  # pairs with pictures
LISTED = 1000  # pairs in the table
_PLACES = 20  # of a pair, as text
_SIDE = 480  # pixels of a picture's longer side
_LETTERS = 0.75  # the page shrinks pictures to a quarter of its width
_QUALITY = 85  # of JPEG
_COLUMNS = ("image", "decision", "reason", "places", "strongest", "shift (x, y)", "turn", "scale", "correlation",
            "overlap", "residual", "remarks")  # fmt: skip

Item = TypeVar("Item")
_Interest = tuple[int, float]


class _MostInteresting(Generic[Item]):
    """Keeps the items of highest interest; earlier ones first where it is equal."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._heap: list[tuple[_Interest, int, Item]] = []
        self._number = itertools.count(0, -1)

    def takes(self, interest: _Interest) -> bool:
        """Whether an item of this interest would be kept now."""
        return len(self._heap) < self._limit or interest > self._heap[0][0]

    def add(self, interest: _Interest, item: Item) -> None:
        entry = (interest, next(self._number), item)
        if len(self._heap) < self._limit:
            heapq.heappush(self._heap, entry)
        else:
            heapq.heappushpop(self._heap, entry)

    def __iter__(self) -> Iterator[Item]:
        return (item for _, _, item in sorted(self._heap, key=lambda entry: entry[:2], reverse=True))


class InspectionReport:
    """Collects what the page shows: the most interesting pairs, so that its size does not grow with their number.

    Defects come first, the strongest before others; then what is unsure; then good pairs, the least alike first.

    Args:
        shown: Number of pairs with pictures.
        listed: Number of pairs in the table.
    """

    def __init__(self, shown: int = SHOWN, listed: int = LISTED) -> None:
        self._pictures: _MostInteresting[dict[str, Any]] = _MostInteresting(shown)
        self._rows: _MostInteresting[list[str]] = _MostInteresting(listed)
        self._shown, self._listed = shown, listed

    def add(self, inspection: Inspection) -> None:
        """Take the next result; its pictures are encoded only if they may be shown."""
        interest = _interest_of(inspection)
        self._rows.add(interest, _row_of(inspection))
        if self._pictures.takes(interest):
            self._pictures.add(interest, _show(inspection))

    def add_unusable(self, pair: InspectionPair, reason: str, error: str) -> None:
        """Take the next pair, which could not be compared."""
        blank = [""] * (len(_COLUMNS) - 4)
        self._rows.add((1, 0.0), [_name(pair.image), UNSURE_NAME, reason, *blank, printable(error)])

    def write(self, path: Path, count: DecisionCount, facts: dict[str, Any]) -> None:
        """Write the page atomically.

        Args:
            path: The output file.
            count: Decisions of all pairs.
            facts: Keys and values that say how they were compared.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        total = count.decisions.total()
        variables = {
            "cards": [(name, count.decisions[name]) for name in (DEFECT, UNSURE_NAME, GOOD)],
            "reasons": count.reasons.most_common(),
            "total": total,
            "columns": _COLUMNS,
            "rows": list(self._rows),
            "pairs": list(self._pictures),
            "shown": self._shown,
            "listed": self._listed,
            "white_at": WHITE_AT,
            "facts": {key: in_words(value) for key, value in facts.items()},
        }
        write_html(path, "inspection/inspection.html.j2", variables)


def _interest_of(inspection: Inspection) -> _Interest:
    if inspection.decision == DEFECT:
        return 2, inspection.places[0].score
    correlation = inspection.registration.correlation if inspection.registration else -1.0
    return (0 if inspection.decision == GOOD else 1), -correlation


def _row_of(inspection: Inspection) -> list[str]:
    found = describe_registration(inspection.registration)
    numbers = [""] * 6 if found is None else [
        f"{found['shift_x']:.1f}, {found['shift_y']:.1f}", f"{found['rotation_deg']:.2f}°", f"{found['scale']:.4f}",
        f"{found['correlation']:.3f}", f"{found['overlap']:.0%}",
        "" if found["residual"] is None else f"{found['residual']:.2f}",
    ]  # fmt: skip
    places = inspection.places
    strongest = f"{places[0].label} {places[0].score:.1f}" if places else ""
    count = str(len(places)) if places else ""
    remarks = printable("; ".join(inspection.remarks))
    return [_name(inspection.path), inspection.decision, inspection.reason or "", count, strongest, *numbers, remarks]


def _show(inspection: Inspection) -> dict[str, Any]:
    """What the template shows of a pair."""
    panels = (
        ("image", draw_image(inspection, _SIDE, _LETTERS)),
        ("reference, registered", draw_reference(inspection, _SIDE)),
        ("difference", draw_difference(inspection, _SIDE)),
    )
    nm = inspection.pixel_size
    places = [
        f"{place.label} {place.score:.1f} at ({place.x}, {place.y}), {place.width} x {place.height} pixels"
        + (f", {place.width * nm:.3g} x {place.height * nm:.3g} nm" if nm else "")
        + (", brighter" if place.brighter else ", darker")
        for place in inspection.places[:_PLACES]
    ]
    return {
        "name": _name(inspection.path),
        "decision": inspection.decision,
        "reason": inspection.reason,
        "references": [printable(name) for name in inspection.references],
        "panels": [(title, _encode(picture)) for title, picture in panels if picture is not None],
        "places": places,
        "edges": _describe_edges(inspection.edges) if inspection.edges else [],
        "more": max(0, len(inspection.places) - _PLACES),
        "remarks": [printable(remark) for remark in inspection.remarks],
    }


def _describe_edges(edges: EdgePlacement) -> list[str]:
    """Mean, spread and worst of what was measured against a design, one sentence each."""
    said = []
    for name, found in (("edges", edges.displacements), ("CD", edges.cd_errors), ("spaces", edges.space_errors)):
        if found.worst is not None:
            x, y = edges.points[found.worst]
            said.append(
                f"{name}, measured minus drawn: mean {found.mean:.2f}, 3 sigma {found.three_sigma:.2f}, worst "
                f"{found.values[found.worst]:.2f} {edges.unit} at ({x:.0f}, {y:.0f})"
            )
    return said


def _name(path: Path | None) -> str:
    return "array" if path is None else printable(path)


def _encode(picture: Picture) -> str:
    return data_uri(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes(), "jpeg")
