"""Answers the files that come into a folder."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sem_lightning.errors import SettingError
from sem_lightning.inspection.references import InspectionPair, reference_finder
from sem_lightning.io.result_files import check_spared
from sem_lightning.serving.arrivals import Arrival, Arrivals, FileState, digest, name_in
from sem_lightning.serving.journal import TABLE, Answered, Journal, Publication
from sem_lightning.serving.verdicts import Classifying, Inspecting, Verdict

_AT_ONCE = 32  # files whose answers are published together


@dataclass(frozen=True)
class WatchTimes:
    """When files are taken.

    Attributes:
        settle: Seconds for which a whole file has not changed.
        give_up: Seconds after which a file that cannot be read, or has no reference, is answered as such.
        poll: Seconds between two looks into the folder.
    """

    settle: float
    give_up: float
    poll: float


@dataclass(frozen=True)
class _Taken:
    """A file that is judged now, and the digest of its content."""

    arrival: Arrival
    pair: InspectionPair
    sha256: str


class Watcher:
    """Looks into a folder again and again, and publishes an answer to each file once.

    Args:
        folder: Where files come, with subfolders.
        journal: Where answers go, and what is answered.
        output: The journal's folder, which is not watched.
        judge: Judges files.
        reference: See `reference_finder`; ``None`` for a judge that needs none.
        times: When files are taken.

    Raises:
        SettingError: No such reference, or the output is the watched folder or one around it.
    """

    def __init__(
        self,
        folder: Path,
        output: Path,
        journal: Journal,
        judge: Classifying | Inspecting,
        reference: str | None,
        times: WatchTimes,
    ) -> None:
        around, watched = output.resolve(), folder.resolve()
        if around == watched or around in watched.parents:
            raise SettingError("output", f"{output} holds the watched folder; name one beside it or in it")
        if reference is not None:
            reference_finder(folder, reference)
            check_spared([("output", output / TABLE)], [("reference", [Path(reference).expanduser()])])
        self.count: Counter[str] = Counter()
        self._folder = folder
        self._journal = journal
        self._judge = judge
        self._reference = reference
        self._times = times
        self._arrivals = Arrivals(folder, output)
        self._tried: dict[Path, FileState] = {}  # could not be judged as they are

    def run(self, say: Callable[[str], object]) -> None:
        """Look for ever.

        Args:
            say: Called with a line for each look that has published answers.
        """
        while True:
            before = self.count.total()
            self.look(time.monotonic())
            if self.count.total() > before:
                say(f"{self.count.total() - before} files answered; {self.in_words()}")
            time.sleep(self._times.poll)

    def in_words(self) -> str:
        """How many files were decided how since the start."""
        return ", ".join(f"{name} {count}" for name, count in sorted(self.count.items())) or "none"

    def look(self, now: float) -> None:
        """Answer the files that are whole.

        Args:
            now: Time in seconds, of a clock that is never set.
        """
        waiting = list(self._pairs(self._arrivals.look(now), now))
        for start in range(0, len(waiting), _AT_ONCE):
            self._answer([taken for each in waiting[start : start + _AT_ONCE] if (taken := self._take(*each))])

    def _pairs(self, arrivals: Sequence[Arrival], now: float) -> Iterator[tuple[Arrival, InspectionPair]]:
        """The files that wait for an answer and are ready for it, with their references."""
        times = self._times
        new = [each for each in arrivals if each.age >= times.settle and not self._is_answered(each)]
        if not new:
            return
        find = reference_finder(self._folder, self._reference) if self._reference else _without_reference
        for each in new:
            over = each.age >= times.give_up
            if self._tried.get(each.path) == each.state and not over:
                continue
            pair = find(each.path)
            if pair is None:
                continue
            references = [path for path in pair.references if isinstance(path, Path)]
            whole = pair.fault is None and self._arrivals.are_settled(references, times.settle, now)
            if whole or over:
                yield each, pair

    def _is_answered(self, arrival: Arrival) -> bool:
        known = self._journal.answered(name_in(self._folder, arrival.path))
        return known is not None and known.state == arrival.state

    def _take(self, arrival: Arrival, pair: InspectionPair) -> _Taken | None:
        sha256 = digest(arrival.path)
        unreadable = sha256 is None and arrival.age >= self._times.give_up
        return _Taken(arrival, pair, sha256 or "") if sha256 or unreadable else None

    def _answer(self, taken: Sequence[_Taken]) -> None:
        """Judge files together, and publish what is final of those that have not changed meanwhile."""
        same = [each for each in taken if self._is_same(each)]
        others = [each for each in taken if not self._is_same(each)]
        published = [Publication(self._name(each), self._answered(each), None, {}) for each in same]
        verdicts = list(self._judge.judge([each.pair for each in others])) if others else []
        decided: list[str] = []
        for each, verdict in zip(others, verdicts, strict=True):
            if FileState.of(each.arrival.path) != each.arrival.state:
                continue
            if not verdict.is_final and each.arrival.age < self._times.give_up:
                self._tried[each.arrival.path] = each.arrival.state
                continue
            self._tried.pop(each.arrival.path, None)
            published.append(self._publication(each, verdict))
            decided.append(str(verdict.row[0]))
        if published:
            self._journal.publish(published)
        self.count.update(decided)

    def _is_same(self, taken: _Taken) -> bool:
        """Whether only the time of an answered file has changed."""
        known = self._journal.answered(self._name(taken))
        return known is not None and known.sha256 == taken.sha256 != ""

    def _publication(self, taken: _Taken, verdict: Verdict) -> Publication:
        details = {"sha256": taken.sha256, **verdict.details}
        return Publication(self._name(taken), self._answered(taken), verdict.row, details)

    def _answered(self, taken: _Taken) -> Answered:
        known = self._journal.answered(self._name(taken))
        version = 1 if known is None else known.version + (known.sha256 != taken.sha256)
        return Answered(taken.arrival.state.size, taken.arrival.state.mtime_ns, taken.sha256, version)

    def _name(self, taken: _Taken) -> str:
        return name_in(self._folder, taken.arrival.path)


def _without_reference(image: Path) -> InspectionPair:
    return InspectionPair(image, ())
