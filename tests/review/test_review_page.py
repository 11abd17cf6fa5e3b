"""The page as a person uses it, in a real browser before a real server."""

import random
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import needs_browser
from reviewing import Person, Reviewing, browser, reviewing, start, write_images

from sem_lightning.review.answers import Box
from sem_lightning.review.store import STORE

pytestmark = needs_browser
HOSTILE = "<img src=x onerror=document.title='run'>"  # the beginning of all names
LABELS = {"1": "good", "2": "gap", "3": "bridge", "u": "unsure"}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images that are judged already."""
    place = tmp_path_factory.mktemp("review")
    for path in write_images(place / "images", 90):
        path.rename(path.with_name(f"{HOSTILE}{path.name}"))
    return place


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Reviewing]:
    with reviewing(folder / "images", folder / "answers", "second=0") as started:
        yield started


@pytest.fixture
def anna(chromium: Any, server: Reviewing) -> Iterator[Person]:
    person = Person.sits_down(chromium, server.port)
    yield person
    assert person.page.problems == []
    person.page.context.close()


def test_twenty_images_by_keyboard_then_undo_and_reload(anna: Person, server: Reviewing) -> None:
    keys = [*"12u3" * 5]
    names = []
    for key in keys:
        names.append(anna.name)
        anna.presses(key)
        # it is on the disk when the next image is shown
        last = server.answers()[-1]
        assert (last.image, last.label, last.reviewer) == (names[-1], LABELS[key], "anna")
        assert last.said["probabilities"].keys() == {"good", "gap", "bridge"} and last.model.startswith("robust ")
    assert len(set(names)) == 20 and [each.image for each in server.answers()] == names
    anna.reads("20 of 90 (20 yours)", "#counts")
    anna.presses("z")
    assert anna.name == names[-1] and len(server.answers()) == 19
    anna.reads("19 of 90", "#counts")
    anna.presses("2")
    assert server.answers()[-1].label == "gap" and server.answers()[-1].image == names[-1]
    following = anna.name
    anna.page.reload()
    anna.sees_an_image()
    anna.reads("20 of 90", "#counts")
    assert anna.name == following  # nothing is lost, and nothing comes twice
    anna.presses("ArrowRight", "ArrowLeft")
    assert anna.name == following


def test_an_image_is_answered_again_after_going_back(anna: Person, server: Reviewing) -> None:
    name = anna.name
    anna.presses("1", "ArrowLeft")
    assert anna.name == name
    anna.reads("Your answer: good", "#mine")
    with anna.page.expect_request("**/api/answers") as sent:
        anna.presses("3")
    # after a restart with other images the same number would be another image
    assert sent.value.headers["sem-review-session"] == server.ask("api/session")[1]["identity"]
    assert [each.label for each in server.answers() if each.image == name] == ["bridge"]


def test_boxes_by_dragging(anna: Person, server: Reviewing) -> None:
    anna.drags((10.2, 20.2), (29.8, 35.8))
    anna.page.keyboard.press("1")
    anna.reads("An image that is good has no boxes; Backspace removes the last one.")
    anna.drags((50, 50), (90, 90))  # beyond the edge
    anna.presses("2")
    assert server.answers()[-1].boxes == (Box(10, 20, 20, 16), Box(50, 50, 14, 14))
    # zoomed and moved, the pixels are the same
    anna.page.keyboard.press("+")
    anna.page.keyboard.press("0")
    anna.drags((5.5, 5.5), (8.5, 9.5))
    anna.page.keyboard.press("Backspace")
    anna.presses("1")
    assert server.answers()[-1].boxes == ()
    anna.presses("ArrowLeft", "ArrowLeft")
    anna.reads("2 boxes", "#mine")


def test_the_grid_answers_many_at_once_and_undo_takes_them_all(anna: Person, server: Reviewing) -> None:
    before = len(server.answers())
    page = anna.page
    page.keyboard.press("g")
    page.wait_for_selector("#many:has(figure):not(:has(figure:not([data-image])))")  # what is not shown has no class
    count = page.locator("#many figure").count()
    for key in (" ", "ArrowRight", "ArrowDown", " "):
        page.keyboard.press(key)
        page.wait_for_timeout(30)
    assert page.get_by_role("listbox").get_by_role("option", selected=True).count() == 2  # a screen reader says so
    page.keyboard.press("3")
    page.wait_for_selector(f"#many:not(:has(figure:nth-child({count})))")
    assert [each.label for each in server.answers()[before:]] == ["bridge", "bridge"]
    page.keyboard.press("z")
    page.wait_for_selector(f"#many:has(figure:nth-child({count}))")
    assert len(server.answers()) == before
    page.keyboard.press("g")


def test_two_people_at_once_do_not_get_the_same_image(chromium: Any, server: Reviewing) -> None:
    before = len(server.answers())
    people = [Person.sits_down(chromium, server.port, name) for name in ("ben", "carl")]
    for number in range(12):
        people[number % 2].presses("123"[number % 3])
    new = server.answers()[before:]
    assert len({each.image for each in new}) == 12
    assert [each.reviewer for each in new] == ["ben", "carl"] * 6
    for person in people:
        person.page.context.close()


def test_a_locked_store_is_one_message_and_the_answer_is_given_later(anna: Person, server: Reviewing) -> None:
    before, name = len(server.answers()), anna.name
    other = sqlite3.connect(server.output / STORE, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    anna.page.keyboard.press("2")
    anna.reads("nothing was stored, and nothing is lost")
    assert anna.name == name
    other.execute("ROLLBACK")
    other.close()
    anna.presses("2")
    assert anna.page.inner_text("#said") == ""
    (new,) = server.answers()[before:]
    assert (new.image, new.label) == (name, "gap")


def test_an_image_that_is_deleted_is_an_item_with_a_message(anna: Person, server: Reviewing, folder: Path) -> None:
    _, found = server.ask("api/next?reviewer=anna&browser=x&strategy=random&count=90")
    gone = found["images"][-1]
    path = folder / "images" / gone["name"]
    content = path.read_bytes()
    path.unlink()
    anna.page.select_option("#strategy", "random")
    anna.page.wait_for_timeout(200)
    for _ in range(90):
        if anna.name == gone["name"]:
            break
        anna.presses("ArrowRight")
    anna.reads("is not there (any more)", "#fault")
    anna.page.keyboard.press("2")
    anna.reads("An image that cannot be shown has no class")
    anna.presses("u")
    assert (server.answers()[-1].image, server.answers()[-1].label) == (gone["name"], "unsure")
    assert anna.page.inner_text("#fault") == ""  # the rest goes on
    path.write_bytes(content)


def test_no_answer_is_taken_to_an_image_that_is_not_shown_yet(anna: Person, server: Reviewing) -> None:
    page, before = anna.page, len(server.answers())
    held: list[Any] = []
    is_open = threading.Event()
    page.route("**/api/picture/*", lambda route: route.continue_() if is_open.is_set() else held.append(route))
    page.reload()  # pictures that were fetched ahead are gone
    page.wait_for_timeout(300)
    page.keyboard.press("1")
    page.wait_for_timeout(100)
    assert len(server.answers()) == before
    is_open.set()
    for route in held:
        route.continue_()
    for _ in range(100):
        page.keyboard.press("3")
        page.wait_for_timeout(100)
        if len(server.answers()) > before:
            break
    assert {each.label for each in server.answers()[before:]} == {"bridge"}


def test_a_file_name_is_only_text(anna: Person) -> None:
    assert anna.name.startswith(HOSTILE)
    anna.page.keyboard.press("g")
    anna.page.wait_for_selector("#many figure[data-image]")
    assert anna.page.locator("#app img").count() == 0 and anna.page.title() == "sem-review, robust"


def test_a_phone_shows_all_of_it(chromium: Any, server: Reviewing) -> None:
    person = Person.sits_down(chromium, server.port, "dora", width=360, height=740)
    page = person.page
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    for label in LABELS.values():
        assert page.locator(f'#labels button[value="{label}"]').is_visible()
    before = person.image
    page.click('#labels button[value="gap"]')
    page.wait_for_selector(f'#stage:not([data-image="{before}"])')
    assert server.answers()[-1].reviewer == "dora"
    page.context.close()


def answers_outlive(chromium: Any, server: Reviewing, images: Path, delays: list[float]) -> None:
    """Kill the server some time after a key is pressed, restart it, and press the same key again."""

    def restart() -> None:
        server.process = start(images, server.output, "second=0", port=server.port).process

    if server.process.poll() is not None:
        restart()
    before = len(server.answers())
    person = Person.sits_down(chromium, server.port)
    shown: list[tuple[str, str]] = []
    for number, delay in enumerate(delays):
        person.presses("1")
        name, key = person.name, "123"[number % 3]
        person.page.keyboard.press(key)
        time.sleep(delay)
        server.kill()
        time.sleep(0.1)
        went_on = person.name != name
        if went_on:
            assert (name, LABELS[key]) in [(each.image, each.label) for each in server.answers()]
        restart()
        if not went_on:
            person.reads("does not answer")
            person.presses(key)
        shown.append((name, LABELS[key]))
    found = [(each.image, each.label) for each in server.answers()[before:]]
    assert len(found) == len({image for image, _ in found}) == 2 * len(delays) and set(shown) <= set(found)
    person.page.context.close()
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(20) == 0 and not (server.output / f"{STORE}-wal").exists()
    assert len(server.answers()) == before + len(found)


def test_no_answer_is_lost_when_the_server_is_killed(chromium: Any, server: Reviewing, folder: Path) -> None:
    answers_outlive(chromium, server, folder / "images", [0.004])


@pytest.mark.slow
def test_no_answer_is_lost_at_thirty_moments(chromium: Any, folder: Path) -> None:
    output, moments = folder / "killed_often", random.Random(0)
    with reviewing(folder / "images", output, "second=0") as server:
        answers_outlive(chromium, server, folder / "images", [moments.uniform(0, 0.06) for _ in range(30)])
