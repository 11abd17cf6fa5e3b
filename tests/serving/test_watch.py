"""The watcher answers each file once: whole files, pairs, after changes, and after being killed at any moment."""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Run
from dropped import drop_and_kill, faults, finish, rows, write_image

from sem_lightning.errors import SettingError, UserError
from sem_lightning.inspection.references import InspectionPair
from sem_lightning.io.atomic import write_json
from sem_lightning.io.images import ImageError, read_gray
from sem_lightning.serving import journal as journal_module
from sem_lightning.serving.journal import Answered, Journal, Publication
from sem_lightning.serving.verdicts import Verdict, refuse
from sem_lightning.serving.watcher import Watcher, WatchTimes

TIMES = WatchTimes(settle=2, give_up=10, poll=1)


class Judge:
    """Says ``good`` of every image that can be read."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def judge(self, pairs: Iterable[InspectionPair]) -> Iterator[Verdict]:
        for pair in pairs:
            self.asked.append(pair.image.name)
            try:
                if pair.fault is not None:
                    raise ImageError(pair.fault)
                read_gray(pair.image)
            except ImageError as error:
                yield refuse(pair, pair.fault or "unreadable", str(error))
            else:
                names = "; ".join(Path(each).name for each in pair.references)
                yield Verdict(("good", "", "good", 0, names), {"path": pair.image.name})


def watcher(folder: Path, reference: str | None = None) -> tuple[Watcher, Judge]:
    (folder / "in").mkdir(exist_ok=True)
    judge: Any = Judge()
    out = folder / "out"
    return Watcher(folder / "in", out, Journal(out), judge, reference, TIMES), judge


def test_a_file_is_taken_when_it_is_whole(tmp_path: Path) -> None:
    found, judge = watcher(tmp_path)
    image = tmp_path / "in" / "a.png"
    write_image(image, 0)
    whole = image.read_bytes()
    image.write_bytes(whole[:500])
    found.look(0)
    found.look(1)
    assert judge.asked == []  # may still grow
    found.look(2)
    found.look(5)
    assert judge.asked == ["a.png"] and rows(tmp_path) == []  # cannot be read, and is not tried again
    image.write_bytes(whole)
    found.look(6)
    found.look(7.9)
    assert rows(tmp_path) == []
    found.look(8)
    found.look(100)
    (row,) = rows(tmp_path)
    assert row == {"path": "a.png", "decision": "good", "reason": "", "label": "good", "places": "0", "reference": "",
                   "details": "json/a.png.json"}  # fmt: skip
    assert json.loads((tmp_path / "out" / row["details"]).read_bytes())["path"] == "a.png"


def test_what_stays_unreadable_is_answered_once(tmp_path: Path) -> None:
    found, judge = watcher(tmp_path)
    (tmp_path / "in" / "broken.png").write_bytes(b"\x89PNG")
    for now in (0, 2, 9, 10, 11, 50):
        found.look(now)
    assert [(row["decision"], row["reason"]) for row in rows(tmp_path)] == [("unsure", "unreadable")]
    assert len(judge.asked) == 2 and found.in_words() == "unsure 1"


def test_a_restart_and_a_touched_file_give_no_second_answer_but_another_content_does(tmp_path: Path) -> None:
    found, _ = watcher(tmp_path)
    image = tmp_path / "in" / "lot 1" / "=a,b.png"
    image.parent.mkdir()
    write_image(image, 0)
    found.look(0)
    found.look(2)
    for _ in range(2):
        found, judge = watcher(tmp_path)
        os.utime(image, ns=(1, image.stat().st_mtime_ns + 1))
        found.look(0)
        found.look(2)
        assert judge.asked == []
    assert [row["path"] for row in rows(tmp_path)] == ["lot 1/=a,b.png"]
    write_image(image, 1)
    found.look(3)
    found.look(5)
    details = [row["details"] for row in rows(tmp_path)]
    assert details == ["json/lot 1/=a,b.png.json", "json/lot 1/=a,b.png.2.json"]
    assert all((tmp_path / "out" / name).is_file() for name in details)
    (tmp_path / "out" / "answers.csv").rename(tmp_path / "taken.csv")  # by the line's software
    write_image(image.with_name("c.png"), 2)
    found.look(6)
    found.look(8)
    assert [row["path"] for row in rows(tmp_path)] == ["lot 1/c.png"]


@pytest.mark.parametrize("reference", ["{name}_ref.png", "refs", "in/refs"])
def test_an_image_waits_for_its_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reference: str) -> None:
    monkeypatch.chdir(tmp_path)
    beside = "{" in reference
    folder = Path("in") if beside else Path(reference)
    folder.mkdir(parents=True)
    found, judge = watcher(Path(), reference)
    late = folder / ("a_ref.png" if beside else "a.png")
    write_image(Path("in/a.png"), 0)
    write_image(Path("in/lonely.png"), 1)
    write_image(folder / ("b_ref.png" if beside else "b.png"), 2)  # its image comes never
    found.look(0)
    found.look(3)
    assert judge.asked == []
    write_image(late, 3)
    found.look(4)
    assert judge.asked == []
    for now in (6, 7, 10, 30):
        found.look(now)
    assert [(row["path"], row["reason"], row["reference"]) for row in rows(Path())] == [
        ("a.png", "", late.name),
        ("lonely.png", "no reference", ""),
    ]


def test_mistakes_are_named(tmp_path: Path, run: Run) -> None:
    with pytest.raises(SettingError, match=r"\{nmae\} stands for nothing"):
        watcher(tmp_path, "{nmae}_ref.png")
    with pytest.raises(SettingError, match=r"output: .* holds the watched folder"):
        Watcher(tmp_path / "in", tmp_path, Journal(tmp_path / "out"), Judge(), None, TIMES)  # type: ignore[arg-type]
    for argument, message in {
        "images=nowhere": "images: found no folder nowhere",
        "give_up=1": "give_up: found 1, expected 2",
        "reference=design": "reference: found design",
    }.items():
        done = run("watch", "images=in", argument)
        assert done.code == 1 and done.err.startswith(f"error: {message}"), done.err
    (tmp_path / "out" / ".sem-watch" / "answered.jsonl").write_text("{\n")
    with pytest.raises(UserError, match="line 1: damaged"):
        Journal(tmp_path / "out")


def publication(name: str) -> Publication:
    return Publication(name, Answered(1, 2, "f" * 64, 1), ("good", "", "good", 0, ""), {"path": name})


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("part", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("step", range(5))
def test_a_crash_at_any_step_of_publishing_loses_and_repeats_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int, part: float
) -> None:
    """Each write is stopped before it, in the middle, or after it."""
    (tmp_path / "in").mkdir()
    for name in ("a.png", "b.png", "c.png"):
        (tmp_path / "in" / name).touch()
    Journal(tmp_path / "out").publish([publication("a.png")])
    steps = iter(range(100))
    append = journal_module._append

    def torn_append(path: Path, start: int, text: str) -> None:
        last = next(steps) == step
        append(path, start, text[: int(len(text) * part)] if last else text)
        if last:
            raise Killed

    def torn_json(path: Path, content: Any) -> None:
        last = next(steps) == step
        if not last or part == 1:
            write_json(path, content)
        if last:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(journal_module, "_append", torn_append)
        patch.setattr(journal_module, "write_json", torn_json)
        with pytest.raises(Killed):
            Journal(tmp_path / "out").publish([publication("b.png"), publication("c.png")])
    again = Journal(tmp_path / "out")
    missing = [name for name in ("b.png", "c.png") if again.answered(name) is None]
    assert missing == (["b.png", "c.png"] if step == 0 and part < 1 else [])
    if missing:
        again.publish([publication(name) for name in missing])
    assert faults(tmp_path) == []


def test_a_killed_watcher_answers_each_file_once(tmp_path: Path) -> None:
    arguments = ("reference=self", "settle=0.1", "give_up=30")
    drop_and_kill(tmp_path, 2, 12, 0, *arguments)
    out = finish(tmp_path, lambda: len(rows(tmp_path)) >= 24, *arguments)
    assert faults(tmp_path) == [] and out.splitlines()[-1].startswith("stopped; ")
