"""A folder into which files are dropped while ``sem-watch`` is killed again and again."""

import csv
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

RUNS = "is watched"


def write_image(path: Path, seed: int) -> None:
    """A small picture of lines, written in two parts as a slow microscope writes it."""
    rng = np.random.default_rng(seed)
    lines = np.tile(np.where(np.arange(64) % 16 < 8, 70, 180), (64, 1)) + rng.normal(0, 8, (64, 64))
    data = cv2.imencode(path.suffix, np.clip(lines, 0, 255).astype(np.uint8))[1].tobytes()
    with path.open("wb") as stream:
        stream.write(data[: len(data) // 2])
        stream.flush()
        stream.write(data[len(data) // 2 :])


def start(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    """``sem-watch`` as a process of its own, from ``in`` to ``out``, once it looks for files."""
    command = [sys.executable, "-m", "sem_lightning.commands.watch", "images=in", "output=out", "poll=0.02", *arguments]
    process = subprocess.Popen(command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert RUNS in line, line + process.stdout.read()
    return process


def drop_and_kill(folder: Path, kills: int, files: int, seed: int, *arguments: str) -> None:
    """Drop files one by one, and kill the watcher at a random moment after its first answer; as often as asked."""
    rng = np.random.default_rng(seed)
    (folder / "in").mkdir(exist_ok=True)
    for kill in range(kills):
        process = start(folder, *arguments)
        assert process.stdout is not None
        before, number = _length(folder), 0
        while _length(folder) == before or number < files // 2:
            if number < files:
                write_image(folder / "in" / f"{kill:03d}_{number:03d}.png", kill * files + number)
                number += 1
            time.sleep(0.02)
        end = time.monotonic() + float(rng.uniform(0, 0.3))
        for left in range(number, files):
            write_image(folder / "in" / f"{kill:03d}_{left:03d}.png", kill * files + left)
        time.sleep(max(0.0, end - time.monotonic()))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()


def _length(folder: Path) -> int:
    table = folder / "out" / "answers.csv"
    return table.stat().st_size if table.exists() else 0


def finish(folder: Path, enough: Callable[[], bool], *arguments: str) -> str:
    """Let a watcher answer what is left, end it by SIGTERM, and return what it printed."""
    process = start(folder, *arguments)
    end = time.monotonic() + 120
    while not enough() and time.monotonic() < end:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0, out
    return out


def rows(folder: Path) -> list[dict[str, str]]:
    """The rows of the table; none if it is not there."""
    table = folder / "out" / "answers.csv"
    if not table.exists():
        return []
    with table.open(newline="") as stream:
        return list(csv.DictReader(stream))


def faults(folder: Path) -> list[str]:
    """What is not as it should be: each file answered once in the table, the JSON files and the list."""
    expected = {path.name for path in (folder / "in").iterdir()}
    out = folder / "out"
    found = rows(folder)
    details = [row["details"] for row in found]
    listed = [json.loads(line)["path"] for line in (out / ".sem-watch" / "answered.jsonl").read_text().splitlines()]
    files = {path.relative_to(out).as_posix() for path in (out / "json").rglob("*") if not path.name.startswith(".")}
    said = [
        f"{name} {count} times in the table"
        for name, count in Counter(row["path"] for row in found).items()
        if count > 1
    ]
    said += [f"{name} {count} times in the list" for name, count in Counter(listed).items() if count > 1]
    said += [f"{name} is not answered" for name in sorted(expected - {row["path"] for row in found})]
    said += [f"{name} is not in the list" for name in sorted(expected - set(listed))]
    said += [f"{name} has no row" for name in sorted(files - set(details))]
    said += [f"{name} is missing" for name in sorted(set(details) - files)]
    said += [f"{row['path']} is {row['reason']}" for row in found if row["reason"] == "unreadable"]
    for name in files:
        json.loads((out / name).read_bytes())
    return said
