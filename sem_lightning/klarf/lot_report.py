"""The report of a lot on one page: wafer maps, a Pareto of classes and decisions, and what could not be used."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sem_lightning.decision.intervals import wilson_interval
from sem_lightning.decision.rule import UNSURE_NAME
from sem_lightning.io.atomic import printable
from sem_lightning.io.html_page import data_uri, in_words, write_html
from sem_lightning.klarf.document import Pair, Wafer
from sem_lightning.klarf.judging import UNREADABLE, WITHOUT_ANSWER, JudgedDefect
from sem_lightning.klarf.lot_figures import choose_colours, draw_pareto, draw_wafer, encode_png
from sem_lightning.klarf.read import KlarfFile

SHOWN_WAFERS = 25
_SHOWN_ERRORS = 100


class LotReport:
    """Collects the answers for a lot.

    Args:
        lot: The KLARF file.
        decisions: Every decision but ``unsure``: the classes of a classifier, or those of a comparison.
    """

    def __init__(self, lot: KlarfFile, decisions: Sequence[str]) -> None:
        self._lot = lot
        self._decisions = [*decisions, UNSURE_NAME, *WITHOUT_ANSWER]
        self._places: list[tuple[Wafer, Pair | None]] = []
        self._decided: list[str] = []
        self._labels: list[str] = []
        self._errors: list[str] = []

    def add(self, judged: JudgedDefect) -> None:
        """Take the next answer."""
        missing = judged.reason or UNREADABLE
        self._places.append((judged.defect.wafer, judged.defect.position))
        self._decided.append(judged.decision or missing)
        self._labels.append((judged.label or judged.decision) if judged.decision else missing)
        if judged.error:
            self._errors.append(printable(judged.error))

    def write(self, path: Path, facts: dict[str, Any]) -> None:
        """Write the page atomically.

        Args:
            path: The output file.
            facts: Keys and values that say how the defects were judged.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        names = [*self._decisions, *sorted(set(self._labels) - set(self._decisions))]
        wafers = list({id(wafer): wafer for wafer, _ in self._places}.values())
        judged = sum(each not in WITHOUT_ANSWER for each in self._decided)
        variables = {
            "lot": printable(", ".join(dict.fromkeys(wafer.lot for wafer in wafers)) or "unnamed"),
            "file": printable(self._lot.path or "KLARF"),
            "version": self._lot.version,
            "total": len(self._decided),
            "judged": judged,
            "cards": self._cards(judged),
            "paretos": [(title, _draw_pareto(each, names, title)) for title, each in self._kinds().items()],
            "rows": self._rows(judged),
            "wafers": [self._map(wafer, names) for wafer in wafers[:SHOWN_WAFERS]],
            "more_wafers": max(0, len(wafers) - SHOWN_WAFERS),
            "errors": self._errors[:_SHOWN_ERRORS],
            "more_errors": max(0, len(self._errors) - _SHOWN_ERRORS),
            "facts": {key: in_words(value) for key, value in facts.items()},
        }
        write_html(path, "klarf/lot.html.j2", variables)

    def _kinds(self) -> dict[str, list[str]]:
        return {"by decision": self._decided, "by class": self._labels}

    def _cards(self, judged: int) -> list[tuple[str, int, str]]:
        """Decisions with their counts and the intervals of their shares."""
        counts = Counter(self._decided)
        cards = []
        for name in self._decisions:
            if name in WITHOUT_ANSWER:
                if counts[name]:
                    cards.append((name, counts[name], "keep their class number"))
                continue
            low, high = wilson_interval(counts[name], judged)
            cards.append((name, counts[name], f"[{low:.1%}, {high:.1%}] of those with an answer"))
        return cards

    def _rows(self, judged: int) -> list[list[str]]:
        """Counts of each class and decision, with intervals."""
        decided, labels = Counter(self._decided), Counter(self._labels)
        rows = []
        for name in dict.fromkeys([*self._decisions, *sorted(labels)]):
            if name not in WITHOUT_ANSWER and (decided[name] or labels[name]):
                rows.append([name, *(_share(counts[name], judged) for counts in (decided, labels))])
        return rows

    def _map(self, wafer: Wafer, names: Sequence[str]) -> dict[str, Any]:
        own = [number for number, (each, _) in enumerate(self._places) if each is wafer]
        placed = [number for number in own if self._places[number][1] is not None]
        points = np.array([self._places[number][1] for number in placed], np.float64).reshape(-1, 2)
        kinds = {title: [each[number] for number in placed] for title, each in self._kinds().items() if placed}
        pictures = [
            (title, data_uri(encode_png(draw_wafer(wafer, points, names, each, title))))
            for title, each in kinds.items()
        ]
        radius = (wafer.diameter or float("inf")) / 2
        return {
            "name": printable(wafer.name or "unnamed"),
            "slot": printable(wafer.slot),
            "defects": len(own),
            "without": len(own) - len(placed),
            "outside": int((np.hypot(points[:, 0], points[:, 1]) > radius).sum()),
            "pictures": pictures,
        }


def _draw_pareto(each: Sequence[str], names: Sequence[str], title: str) -> str:
    """The picture's address; defects without an answer do not count."""
    counts = Counter(name for name in each if name not in WITHOUT_ANSWER)
    return data_uri(encode_png(draw_pareto(counts, choose_colours(names), title)))


def _share(events: int, trials: int) -> str:
    low, high = wilson_interval(events, trials)
    return f"{events} ({events / trials:.1%}, [{low:.1%}, {high:.1%}])" if trials else str(events)
