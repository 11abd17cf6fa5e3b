"""The harness itself: a fault, a crash and a hang are told from what is right."""

import os
import signal
from pathlib import Path

import kind
import pytest
from kind import Kind, table, try_kinds


def crash(folder: Path) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def hang(folder: Path) -> None:
    os.read(os.pipe()[0], 1)


def fail(folder: Path) -> None:
    raise ValueError("broken")


def test_each_outcome_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kind, "_PATIENCE", 0.5)
    kinds = [
        Kind("right", lambda folder: None),
        Kind("wrong", lambda folder: "black"),
        Kind("error", fail),
        Kind("crash", crash),
        Kind("hang", hang),
    ]
    outcomes = try_kinds(kinds)
    faults = [each.fault for each in outcomes]
    assert faults == [None, "black", "ValueError: broken", "the process ended with -9", "no answer"]
    text = table({"images": outcomes})
    assert "| images | 5 | 1 | 4 |" in text
    assert "- images, wrong: black" in text


def test_memory_is_that_of_the_kind() -> None:
    def use(folder: Path) -> None:
        bytearray(b"x" * (200 << 20))

    small, large = try_kinds([Kind("small", lambda folder: None), Kind("large", use)])
    assert small.peak < 100 < 190 < large.peak
