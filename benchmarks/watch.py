"""Kills sem-watch at random moments while files come, and counts the answers to each file.

PYTHONPATH=tests/serving python benchmarks/watch.py [--kills 50] [--files 12]        10 minutes on two idle cores

Cells of each image are compared with each other (reference=self), because such a watcher starts within a second or two:
what is asked is whether each file is answered once, not how it is judged. Then a folder of many files says how many a
second are answered, and how long a look into the folder takes when all are.
"""

import argparse
import tempfile
import time
from pathlib import Path

from dropped import drop_and_kill, faults, finish, rows, write_image

from sem_lightning.inspection.inspector import Inspector
from sem_lightning.serving.journal import Journal
from sem_lightning.serving.verdicts import Inspecting
from sem_lightning.serving.watcher import Watcher, WatchTimes

ARGUMENTS = ("reference=self", "settle=0.1", "give_up=60")


def killed(folder: Path, kills: int, files: int) -> None:
    begun = time.perf_counter()
    drop_and_kill(folder, kills, files, 1, *ARGUMENTS)
    before = len(rows(folder))
    finish(folder, lambda: len(rows(folder)) >= kills * files, *ARGUMENTS)
    wrong = faults(folder)
    answered = len(rows(folder))
    seconds = time.perf_counter() - begun
    print(f"{kills} kills, {kills * files} files: {answered} rows ({before} before the last start), {seconds:.0f} s")
    print(f"files that are not answered exactly once: {len(wrong)}", *wrong[:10], sep="\n")


def many(folder: Path, files: int) -> None:
    (folder / "in").mkdir()
    for number in range(files):
        write_image(folder / "in" / f"{number:06d}.png", number)
    journal = Journal(folder / "out")
    times = WatchTimes(settle=0, give_up=60, poll=1)
    watcher = Watcher(folder / "in", folder / "out", journal, Inspecting(Inspector()), "self", times)
    for what in ("answered", "looked at again"):
        begun = time.perf_counter()
        watcher.look(time.monotonic())
        seconds = time.perf_counter() - begun
        print(f"{files} files {what} in {seconds:.2f} s, {files / seconds:.0f} a second")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--files", type=int, default=12, help="for each kill")
    parser.add_argument("--many", type=int, default=5000, help="files of the folder that is timed")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        killed(Path(folder), arguments.kills, arguments.files)
    with tempfile.TemporaryDirectory() as folder:
        many(Path(folder), arguments.many)


if __name__ == "__main__":
    main()
