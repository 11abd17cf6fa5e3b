"""Answers are appended, withdrawn, and on the disk, or refused in one line with nothing written."""

import multiprocessing
import os
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sem_lightning.errors import SettingError
from sem_lightning.review import database
from sem_lightning.review.answers import Answer, Box, check_reviewer
from sem_lightning.review.database import DatabaseError
from sem_lightning.review.store import LabelStore


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LabelStore]:
    opened = LabelStore(tmp_path / "labels.sqlite")
    yield opened
    opened.close()


def say(label: str = "gap", image: str = "a.png", reviewer: str = "anna", **more: Any) -> Answer:
    return Answer(image, more.pop("sha256", "0" * 64), reviewer, label, **more)


def valid(store: LabelStore) -> dict[tuple[str, str], str]:
    return {(each.answer.reviewer, each.answer.image): each.answer.label for each in store.valid_answers()}


def test_an_answer_comes_back_as_it_was_given(store: LabelStore, tmp_path: Path) -> None:
    given_answer = say(boxes=(Box(1, 2, 3, 4),), model="robust", said={"probabilities": {"good": 0.25}, "ood": None})
    (stored,) = store.add([given_answer], "t")
    assert stored.answer == given_answer and stored.at.endswith("+00:00")
    other = LabelStore(tmp_path / "labels.sqlite")  # as another process sees it
    assert other.valid_answers() == [stored] and other.answer_of("anna", "a.png", "0" * 64) == stored
    other.close()


def test_the_same_token_changes_nothing(store: LabelStore) -> None:
    once = store.add([say()], "t")
    assert store.add([say(model="the next", said={"label": "good"})], "t") == once and store.count_rows() == 1


@pytest.mark.parametrize("more", [[say("bridge")], [say(image="b.png")], [say(reviewer="ben")], [say(), say()], []])
def test_a_token_of_other_answers_is_refused(store: LabelStore, more: list[Answer]) -> None:
    store.add([say()], "t")
    with pytest.raises(SettingError, match=r"^token: 't' belongs to other answers"):
        store.add(more, "t")
    assert [each.answer for each in store.valid_answers()] == [say()] and store.count_rows() == 1


def test_reviewers_and_contents_do_not_overwrite_each_other(store: LabelStore) -> None:
    store.add([say("gap")], "1")
    store.add([say("good", reviewer="ben")], "2")
    store.add([say("bridge", sha256="1" * 64)], "3")
    assert [each.answer.label for each in store.valid_answers()] == ["gap", "good", "bridge"]
    store.add([say("bridge")], "4")
    assert [each.answer.label for each in store.valid_answers()] == ["good", "bridge", "bridge"]
    assert store.count_rows() == 4


def test_undo_appends_a_row_and_the_answer_before_counts_again(store: LabelStore) -> None:
    store.add([say("gap")], "1")
    store.add([say("bridge")], "2")
    store.add([say("good", reviewer="ben")], "3")
    assert [each.answer.label for each in store.withdraw_last("anna", "4")] == ["bridge"]
    assert [each.answer.label for each in store.withdraw_last("anna", "4")] == ["bridge"]  # repeated
    assert valid(store) == {("anna", "a.png"): "gap", ("ben", "a.png"): "good"}
    store.withdraw_last("anna", "5")
    assert store.withdraw_last("anna", "6") == [] and valid(store) == {("ben", "a.png"): "good"}
    assert store.count_rows() == 5


def test_answers_of_one_call_are_withdrawn_together(store: LabelStore) -> None:
    store.add([say(image="a.png"), say(image="b.png")], "1")
    store.add([say("good", image="c.png")], "2")
    store.withdraw_last("anna", "3")
    assert {each.answer.image for each in store.withdraw_last("anna", "4")} == {"a.png", "b.png"}
    assert valid(store) == {}


@settings(max_examples=40, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from("ab"), st.sampled_from(["undo", "gap", "good"]), st.sampled_from("xyz")), max_size=20
    )
)
def test_what_counts_is_what_a_plain_model_says(
    steps: list[tuple[str, str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    opened = LabelStore(tmp_path_factory.mktemp("model") / "labels.sqlite")
    history: dict[str, list[tuple[str, str]]] = {"a": [], "b": []}
    for number, (reviewer, what, image) in enumerate(steps):
        if what == "undo":
            opened.withdraw_last(reviewer, str(number))
            history[reviewer] = history[reviewer][:-1]
        else:
            opened.add([say(what, image, reviewer)], str(number))
            history[reviewer].append((image, what))
    expected = {(reviewer, image): what for reviewer, said in history.items() for image, what in said}
    assert valid(opened) == expected
    opened.close()


def test_rows_are_never_changed_or_deleted(store: LabelStore, tmp_path: Path) -> None:
    store.add([say()], "1")
    other = sqlite3.connect(tmp_path / "labels.sqlite")
    for statement in ("UPDATE answers SET label = 'good'", "DELETE FROM answers"):
        with pytest.raises(sqlite3.IntegrityError, match="answers are never"):
            other.execute(statement)
    other.close()
    assert valid(store) == {("anna", "a.png"): "gap"}


def test_a_locked_store_says_so_and_goes_on_later(
    store: LabelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_PATIENCE", 0.01)
    hurried = LabelStore(tmp_path / "labels.sqlite")
    other = sqlite3.connect(tmp_path / "labels.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseError, match=r"labels.sqlite: another program holds it; close that program$"):
        hurried.add([say()], "1")
    other.execute("ROLLBACK")
    other.close()
    assert hurried.count_rows() == 0
    hurried.add([say()], "1")
    assert hurried.count_rows() == 1
    hurried.close()


def test_a_full_disk_says_so_and_writes_nothing(store: LabelStore) -> None:
    store.add([say()], "1")
    with store._database.transaction() as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")
    many = [say("good", image=f"{number}.png", said={"x": "y" * 2000}) for number in range(20)]
    with pytest.raises(DatabaseError, match=r"the disk is full; make room$"):
        store.add(many, "2")
    assert valid(store) == {("anna", "a.png"): "gap"} and store.count_rows() == 1
    with store._database.transaction() as connection:
        connection.execute("PRAGMA max_page_count = 1000000")
    assert len(store.add(many, "2")) == 20


def test_what_is_no_store_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database, but long enough to be read as one " * 20)
    with pytest.raises(DatabaseError, match="text: it is no SQLite file"):
        LabelStore(tmp_path / "text")
    other = sqlite3.connect(tmp_path / "foreign")
    other.execute("CREATE TABLE mine (x)")
    other.commit()
    other.close()
    with pytest.raises(DatabaseError, match="foreign: belongs to another program"):
        LabelStore(tmp_path / "foreign")
    with pytest.raises(DatabaseError, match="it cannot be opened"):
        LabelStore(tmp_path / "missing" / "labels.sqlite")


def _answer_for_ever(path: Path, told: int) -> None:
    opened = LabelStore(path)
    for number in range(100_000):
        opened.add([say(image=f"{number}.png")], str(number))
        os.write(told, b".")


def test_what_was_answered_outlives_a_killed_process(tmp_path: Path) -> None:
    heard, told = os.pipe()
    process = multiprocessing.get_context("fork").Process(target=_answer_for_ever, args=(tmp_path / "s", told))
    process.start()
    os.close(told)
    acknowledged = 0
    while acknowledged < 50:
        acknowledged += len(os.read(heard, 100))
    assert process.pid
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    while rest := os.read(heard, 1000):
        acknowledged += len(rest)
    os.close(heard)
    opened = LabelStore(tmp_path / "s")
    assert acknowledged <= opened.count_rows() <= acknowledged + 1
    opened.close()


def test_answers_that_cannot_be_are_refused() -> None:
    with pytest.raises(SettingError, match="boxes: found 1 of an image that is good, expected none"):
        say("good", boxes=(Box(0, 0, 1, 1),))
    with pytest.raises(SettingError, match="boxes: found 201"):
        say(boxes=(Box(0, 0, 1, 1),) * 201)
    for numbers in ((0, 0, 0, 1), (-1, 0, 1, 1), (0, 0, 1, 1 << 20), (0.5, 0, 1, 1)):
        with pytest.raises(SettingError, match="expected whole pixels"):
            Box(*numbers)
    assert check_reviewer(" Anna B. ") == "Anna B."
    for name in ("", "  ", "a\nb", "x" * 65, None, 3):
        with pytest.raises(SettingError, match="reviewer: found"):
            check_reviewer(name)
