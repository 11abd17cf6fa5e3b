"""Kills commands at random moments and looks at what they leave.

python tests/reliability/kills.py --rounds 50                    # every command; 25 minutes on two cores
python tests/reliability/kills.py --rounds 5 sem-predict sweep   # some of them

A round starts the command in an empty folder, ends its main process by SIGKILL, SIGTERM, SIGINT and SIGHUP in turn at a
random moment of its usual time, and asks: Is every file under a final name whole? Is a process left? Does the same
command then end well, with the result of a run that nobody disturbed? A killed training is resumed from its last.ckpt.
"""

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tiny import SIMULATED, SPLITS, TRAINING, make_checkpoint, make_images
from whole import final_files, is_whole

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_IN_PROCESS = threading.Lock()  # networks are made from one generator of random numbers for all threads
SOON = 12.0  # seconds within which everything has to end
CODES = {  # or 0: it was done before
    signal.SIGKILL: (-9,),
    signal.SIGTERM: (143, -15),
    signal.SIGINT: (130, -2),
    signal.SIGHUP: (129, -1),
}


@dataclass(frozen=True)
class Case:
    """A command.

    Attributes:
        name: Its name in the table.
        prepare: Makes what it reads in an empty folder.
        first: Its arguments.
        again: Its arguments for the run after the kill, given the folder.
        result: What has to be the same as without a kill.
    """

    name: str
    prepare: Callable[[Path], object]
    first: tuple[str, ...]
    again: Callable[[Path], tuple[str, ...]]
    result: Callable[[Path], Any]


@dataclass
class Round:
    """What came of one kill."""

    number: signal.Signals
    alive: bool = False
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)


def contents(folder: Path) -> dict[str, str]:
    """Names and checksums of all files of a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def metrics(path: Path) -> dict[str, float]:
    found: dict[str, float] = json.loads(path.read_text())["metrics"]
    return found


def last_run(folder: Path) -> Path:
    return folder / ("second" if (folder / "second").exists() else "first")


def last_checkpoint(folder: Path) -> Path:
    """That of the second run, unless the first had trained to its end."""
    second = folder / "second" / "checkpoints" / "last.ckpt"
    return second if second.is_file() else folder / "first" / "checkpoints" / "last.ckpt"


def resume(folder: Path) -> tuple[str, ...]:
    last = folder / "first" / "checkpoints" / "last.ckpt"
    return (*TRAIN, "hydra.run.dir=second", *([f"resume_from={last}"] if last.is_file() else []))


def weights(path: Path) -> str:
    from sem_lightning.model.checkpoint import read_checkpoint

    state = read_checkpoint(path)["state_dict"]
    return hashlib.sha256(b"".join(state[name].numpy().tobytes() for name in sorted(state))).hexdigest()


def calibrated(folder: Path) -> tuple[str, str]:
    from sem_lightning.model.checkpoint import load_model

    path = folder / "out.ckpt"
    return weights(path), str(load_model(path).rule)


def read_nothing(folder: Path) -> None:
    """For commands that make their images themselves."""


def make_both(folder: Path) -> None:
    make_checkpoint(folder / "made.ckpt")
    make_images(folder / "images", 40)


TRAIN = ("train", *TRAINING, "data.num_workers=1", "trainer.max_epochs=4")
PREDICT = ("predict", "ckpt=made.ckpt", "images=images", "output=out.csv", "jsonl=out.jsonl", "device=cpu")
CALIBRATE = ("calibrate", "ckpt=made.ckpt", "output=out.ckpt", "device=cpu", "decision=argmax", SIMULATED[0], *SPLITS)
GENERATE = ("generate", "num_per_class=60", "shards=20", "output=set", "num_workers=2", SIMULATED[0])
SWEEP = ("train", "-m", "seed=0,1", *TRAINING, "data.num_workers=0", "trainer.max_epochs=1", "hydra.sweep.dir=sweep")
CASES = (
    Case("sem-generate", read_nothing, GENERATE, lambda folder: GENERATE, lambda folder: contents(folder / "set")),
    Case(
        "sem-train",
        read_nothing,
        (*TRAIN, "hydra.run.dir=first"),
        resume,
        lambda folder: (
            metrics(last_run(folder) / "result.json"),
            weights(last_run(folder) / "checkpoints/best.ckpt"),
            weights(last_checkpoint(folder)),
        ),
    ),
    Case(
        "sem-predict",
        make_both,
        PREDICT,
        lambda folder: PREDICT,
        lambda folder: [(folder / name).read_text() for name in ("out.csv", "out.jsonl")],
    ),
    Case("sem-calibrate", make_both, CALIBRATE, lambda folder: CALIBRATE, calibrated),
    Case(
        "sweep",
        read_nothing,
        SWEEP,
        lambda folder: SWEEP,
        lambda folder: {path.parent.name: metrics(path) for path in sorted((folder / "sweep").glob("*/result.json"))},
    ),
)


def start(folder: Path, arguments: tuple[str, ...]) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", f"sem_lightning.commands.{arguments[0]}", *arguments[1:]]
    with (folder / ".out").open("w") as out, (folder / ".err").open("w") as err:
        return subprocess.Popen(
            command,
            cwd=folder,
            stdout=out,
            stderr=err,
            text=True,
            start_new_session=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )


def session(leader: int) -> list[int]:
    """The processes that a session still has (Linux)."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                text = (entry / "stat").read_text()
            except OSError:
                continue
            state, _, _, number = text.rpartition(")")[2].split()[:4]
            if int(number) == leader and state not in "ZX":
                found.append(int(entry.name))
    return found


def wait_for_end(process: "subprocess.Popen[str]") -> tuple[float, int, list[int]]:
    """Seconds until nothing of a session is left, the exit code of its leader, and what is left after all."""
    started = time.monotonic()
    while (process.poll() is None or session(process.pid)) and time.monotonic() < started + SOON:
        time.sleep(0.02)
    seconds, left = time.monotonic() - started, session(process.pid)
    for each in left:
        os.kill(each, signal.SIGKILL)
    return seconds, process.wait(), left


def kill_once(case: Case, number: signal.Signals, moment: float, wanted: Any) -> Round:
    """One round: ``moment`` is the second of the kill."""
    outcome = Round(number)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        with _IN_PROCESS:
            case.prepare(folder)
        process = start(folder, case.first)
        time.sleep(moment)
        outcome.alive = process.poll() is None
        if outcome.alive:
            process.send_signal(number)
        outcome.seconds, code, left = wait_for_end(process)
        if left:
            outcome.faults.append(f"{len(left)} processes left")
        if code not in (0, *CODES[number]):
            outcome.faults.append(f"exit code {code}: {last_line(folder)}")
        if number != signal.SIGKILL and "Traceback" in (folder / ".err").read_text():
            outcome.faults.append(f"traceback: {last_line(folder)}")
        outcome.faults += [f"half-written: {path.name}" for path in final_files(folder) if not is_whole(path)]
        second = start(folder, case.again(folder))
        failed = second.wait() != 0
        with _IN_PROCESS:
            other = not failed and case.result(folder) != wanted
        if failed:
            outcome.faults.append(f"the next run: {last_line(folder)}")
        elif other:
            outcome.faults.append("another result")
        elif leftovers := list(folder.glob("*.tmp*")) + list(folder.glob(".*.tmp*")):
            outcome.faults.append(f"left behind: {leftovers[0].name}")
    return outcome


def last_line(folder: Path) -> str:
    return ((folder / ".err").read_text().strip().splitlines() or ["nothing was said"])[-1]


def try_case(case: Case, rounds: int, jobs: int, seed: int) -> list[Round]:
    """Kill a command ``rounds`` times, ``jobs`` at a time."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        case.prepare(folder)
        started = time.monotonic()
        code = start(folder, case.first).wait()
        usual = time.monotonic() - started
        if code:
            sys.exit(f"{case.name} does not run: {last_line(folder)}")
        wanted = case.result(folder)
    rng = random.Random(f"{seed} {case.name}")
    plan = [(SIGNALS[each % len(SIGNALS)], rng.uniform(0, usual)) for each in range(rounds)]
    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(lambda each: kill_once(case, each[0], each[1], wanted), plan))


def table(found: dict[str, list[Round]]) -> str:
    lines = [
        "| command | kills | alive when killed | nothing lost, half-written or left running | longest end, s |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    faults = []
    for name, rounds in found.items():
        right = sum(not each.faults for each in rounds)
        alive, longest = sum(each.alive for each in rounds), max(each.seconds for each in rounds)
        lines.append(f"| {name} | {len(rounds)} | {alive} | {right} | {longest:.1f} |")
        faults += [f"- {name}, {each.number.name}: {fault}" for each in rounds for fault in each.faults]
    return "\n".join([*lines, "", *faults]).rstrip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", help=", ".join(case.name for case in CASES))
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--jobs", type=int, default=2, help="rounds at a time")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chosen = [case for case in CASES if case.name in (options.cases or [each.name for each in CASES])]
    found = {}
    for case in chosen:
        found[case.name] = try_case(case, options.rounds, options.jobs, options.seed)
        print(table({case.name: found[case.name]}).splitlines()[2], file=sys.stderr, flush=True)
    print(table(found))


if __name__ == "__main__":
    main()
