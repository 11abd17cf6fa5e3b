"""Kinds of input and of misuse, each tried in a process of its own."""

import multiprocessing
import os
import resource
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

_PATIENCE = 60.0  # seconds


@dataclass(frozen=True)
class Kind:
    """One kind of input.

    Attributes:
        name: What is tried, in a few words; unique within its area.
        check: Makes the input in the empty folder that it is given and uses the product on it. Returns ``None`` if the
            product did what is right, else one line that says what it did instead.
    """

    name: str
    check: Callable[[Path], str | None]


@dataclass(frozen=True)
class Outcome:
    """What came of one kind.

    Attributes:
        name: That of the kind.
        fault: ``None`` if the product did what is right, else what it did instead.
        seconds: Wall-clock time.
        peak: Memory that the process reached above what it had at its start, MB.
    """

    name: str
    fault: str | None
    seconds: float
    peak: float


def try_kinds(kinds: Iterable[Kind]) -> list[Outcome]:
    """Try each kind in a forked process, so that a crash or a hang is the outcome of that kind alone."""
    return [_try(kind) for kind in kinds]


def _try(kind: Kind) -> Outcome:
    context = multiprocessing.get_context("fork")  # the imports are shared, so a kind takes milliseconds
    ours, theirs = context.Pipe(duplex=False)
    with tempfile.TemporaryDirectory() as folder:
        process = context.Process(target=_work, args=(kind, Path(folder), theirs))
        started = time.monotonic()
        process.start()
        theirs.close()
        fault, peak = "no answer", 0.0
        try:
            if ours.poll(_PATIENCE):
                fault, peak = ours.recv()
        except EOFError:
            process.join()
            fault = f"the process ended with {process.exitcode}"
        seconds = time.monotonic() - started
        if process.is_alive() and fault == "no answer":
            os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
    return Outcome(kind.name, fault, seconds, peak)


def _work(kind: Kind, folder: Path, answer: Connection) -> None:
    before = _resident()
    try:
        fault = kind.check(folder)
    except BaseException:
        fault = traceback.format_exc().strip().splitlines()[-1]
    peak = max(0.0, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before)
    answer.send((fault, peak))


def _resident() -> float:
    """Resident memory of this process, MB (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def table(areas: dict[str, list[Outcome]]) -> str:
    """A Markdown table with a row for each area, and a list of what was not as expected."""
    lines = [
        "| area | kinds | as expected | not | longest, s | peak memory, MB |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    faults = []
    for area, outcomes in areas.items():
        wrong = [each for each in outcomes if each.fault is not None]
        longest = max((each.seconds for each in outcomes), default=0.0)
        peak = max((each.peak for each in outcomes), default=0.0)
        count = len(outcomes)
        lines.append(f"| {area} | {count} | {count - len(wrong)} | {len(wrong)} | {longest:.1f} | {peak:.0f} |")
        faults += [f"- {area}, {each.name}: {each.fault}" for each in wrong]
    return "\n".join([*lines, "", *faults]).rstrip()
