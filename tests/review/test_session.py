"""Which image comes next for whom, what may be claimed, and what the server refuses."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Run
from reviewing import Reviewing, reviewing, stored, write_images

from sem_lightning.errors import SettingError
from sem_lightning.review import app
from sem_lightning.review.answers import Box
from sem_lightning.review.images import CHANGED, MissingImageError, ReviewImage, list_review_images
from sem_lightning.review.judgement import Judgement
from sem_lightning.review.opening import open_review
from sem_lightning.review.review_settings import CLASS_KEYS, STRATEGIES, AcceptanceSettings, ReviewOptions
from sem_lightning.review.session import ReviewSession
from sem_lightning.review.store import LabelStore

CLASSES = ["good", "gap", "bridge"]


def judged(good: float, decision: str) -> Judgement:
    said: dict[str, Any] = {
        "label": decision, "decision": decision, "reason": None, "ood_score": 1.0, "disagreement": 0.0, "places": [],
        "probabilities": {"good": good, "gap": 1 - good, "bridge": 0.0}, "width": 64, "height": 60, "data_bar_rows": 4,
    }  # fmt: skip
    return Judgement(said, np.array([good, 1.0], np.float32), b"")


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Any]:
    stores: list[LabelStore] = []

    def make_session(count: int = 40, good: int = 30, model: str = "m", **options: Any) -> ReviewSession:
        rng = np.random.default_rng(0)
        images = [ReviewImage(n, f"{n}.png", Path(f"{n}.png"), f"{n:064d}") for n in range(count)]
        images.append(ReviewImage(count, "broken.png", Path("broken.png"), "", "is no image"))
        judgements: dict[str, Judgement | str] = {
            image.sha256: judged(0.9 + 0.1 * rng.random(), "good") if n < good else judged(0.3, "gap")
            for n, image in enumerate(images[:count])
        }
        stores.append(LabelStore(tmp_path / f"{len(stores)}.sqlite"))
        return ReviewSession(images, judgements, stores[-1], CLASSES, model, ReviewOptions(**options))

    yield make_session
    for store in stores:
        store.close()


def test_two_browsers_get_different_images_and_what_is_answered_does_not_come_again(make: Any) -> None:
    session = make(second=0)
    ours, theirs = (session.next_images(name, name, "random", 8) for name in ("anna", "ben"))
    assert len({*ours, *theirs}) == 16
    assert session.next_images("anna", "anna", "random", 8) == ours
    session.add("anna", "1", [(number, "gap", []) for number in ours])
    later = session.next_images("anna", "anna", "random", 50)
    assert len(later) == 41 - 16 and not {*later} & {*ours, *theirs} and later[-1] == 40  # the broken one comes last
    # images that a closed browser holds come at the end, one by one
    assert session.next_images("anna", "anna", "random", 9, leave_out=later) == theirs[:1]


def test_some_images_come_to_two_reviewers(make: Any) -> None:
    session = make(second=0.5)
    everything: list[tuple[int, str, list[Box]]] = [(number, "gap", []) for number in range(40)]
    session.add("anna", "1", everything)
    again = session.next_images("ben", "b", "random", 50, leave_out=[40])
    assert 8 < len(again) < 32
    session.add("ben", "2", [(number, "good", []) for number in again[:5]])
    session.add("ben", "3", [(number, "gap", []) for number in again[5:]])
    assert session.next_images("carl", "c", "random", 50, leave_out=[40]) == []
    (agreement,) = session.progress("ben")["agreement"]
    assert agreement["images"] == len(again) and agreement["same"] == pytest.approx(1 - 5 / len(again))
    assert session.progress("ben")["labels"] == {"gap": 35, "disputed": 5}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_gives_each_of_its_images_once(make: Any, strategy: str) -> None:
    session = make(strategy=strategy)
    seen: list[int] = []
    while found := session.next_images("anna", "a", strategy, 7):
        seen += found
        session.add("anna", str(len(seen)), [(number, "unsure", []) for number in found])
    assert sorted(seen) == list(range(30 if strategy == "acceptance" else 41))


def test_the_claim_asks_for_images_until_it_is_made(make: Any) -> None:
    session = make(300, 250, acceptance=AcceptanceSettings(0.05))
    claim = session.progress("anna")["acceptance"]
    assert (claim["called_good"], claim["verdict"]) == (250, "open")
    needed = session.next_images("anna", "a", "acceptance", claim["more"])
    session.add("anna", "1", [(number, "good", []) for number in needed[:-1]])
    assert session.progress("anna")["acceptance"]["more"] == 1
    session.add("anna", "2", [(needed[-1], "unsure", [])])  # may be an escape
    state = session.progress("anna")["acceptance"]
    assert state["escapes"] == 1 and state["more"] > 1
    session.add("anna", "3", [(needed[-1], "good", [])])
    assert session.progress("anna")["acceptance"]["verdict"] == "claimed"
    session.undo("anna", "4")
    assert session.progress("anna")["acceptance"]["escapes"] == 1
    session.add("ben", "5", [(number, "gap", []) for number in needed[:13]])  # one reviewer's word is enough
    assert session.progress("anna")["acceptance"]["verdict"] == "refuted"


def test_answers_that_cannot_be_are_refused_together(make: Any) -> None:
    session = make()
    for said, key in (
        ((0, "dust", []), "label"),
        ((99, "gap", []), "id"),
        ((-1, "gap", []), "id"),
        ((40, "gap", []), "label"),
        ((1, "gap", [Box(60, 0, 5, 5)]), "boxes"),
        ((1, "good", [Box(0, 0, 5, 5)]), "boxes"),
    ):
        with pytest.raises(SettingError, match=f"^{key}: found"):
            session.add("anna", "1", [(2, "gap", []), said])
    assert session.store.count_rows() == 0
    session.add("anna", "1", [(1, "gap", [Box(59, 59, 5, 5)]), (40, "unsure", [])])


def test_a_second_start_judges_nothing_again_and_knows_what_was_said(tmp_path: Path) -> None:
    paths = write_images(tmp_path / "images", 5)
    (tmp_path / "images" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    paths[4].write_bytes(paths[3].read_bytes())  # the same content twice
    calls: list[tuple[int, int]] = []
    session = open_review(tmp_path / "images", tmp_path / "out", progress=lambda *call: calls.append(call))
    assert calls == [(5, 5)] and session.classes == CLASSES
    assert [session.describe(n, "anna")["error"] is not None for n in range(6)] == [False] * 5 + [True]
    session.add("anna", "1", [(0, "gap", [])])
    session.store.close()
    calls.clear()
    paths[1].write_bytes(write_images(tmp_path / "more", 6)[5].read_bytes())
    session = open_review(tmp_path / "images", tmp_path / "out", progress=lambda *call: calls.append(call))
    assert calls == [(2, 2)]  # the one that has changed, and the broken one
    assert session.describe(0, "anna")["mine"] == {"label": "gap", "boxes": []}
    assert session.describe(0, "ben")["mine"] is None
    paths[0].write_bytes(b"other")
    with pytest.raises(MissingImageError, match=CHANGED):
        session.image(0).read()
    session.store.close()


def test_the_identity_follows_images_classes_and_classifier(make: Any) -> None:
    first = make()
    assert make().identity == first.identity
    for images, classes, model in (
        ([*first.images[1:], first.images[0]], CLASSES, "m"),
        ([replace(first.images[0], sha256="f" * 64), *first.images[1:]], CLASSES, "m"),
        ([replace(first.images[0], name="other.png"), *first.images[1:]], CLASSES, "m"),
        (first.images, [*CLASSES, "dust"], "m"), (first.images, CLASSES, "n"),
    ):  # fmt: skip
        assert ReviewSession(images, {}, first.store, classes, model, ReviewOptions()).identity != first.identity


def test_no_key_of_a_class_has_another_meaning() -> None:
    page = (Path(app.__file__).parent / "page" / "main.js").read_text()
    taken = {
        each.strip('"') for each in re.findall(r'^  ("?.+?"?): ', page.partition("const everywhere")[2], re.MULTILINE)
    }
    assert {"z", "u", "v", "b", "a", "?"} <= taken and not taken & {*CLASS_KEYS}


def test_names_that_are_not_utf_8_are_items_with_an_error(tmp_path: Path) -> None:
    (path,) = write_images(tmp_path / "images", 1)
    path.rename(tmp_path / "images" / "caf\udce9.png")
    (found,) = list_review_images(tmp_path / "images", tmp_path / "out")
    assert found.error == "its name is not UTF-8; rename it" and found.name.encode()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reviewing]:
    place = tmp_path_factory.mktemp("server")
    write_images(place / "images", 4)
    key = {"SEM_SERVE_KEY": "a-key-of-16-or-more"}
    with reviewing(place / "images", place / "out", "host=127.0.0.1", variables=key) as started:
        yield started


KEY = {"Authorization": "Bearer a-key-of-16-or-more"}
ANSWER: dict[str, Any] = {"reviewer": "anna", "token": "t", "answers": [{"id": 0, "label": "gap", "boxes": []}]}


def test_nothing_but_the_page_is_given_without_the_key(server: Reviewing) -> None:
    assert server.ask("")[0] == server.ask("page/main.js")[0] == 200
    for path in ("session", "next?reviewer=a", "progress?reviewer=a", "picture/0", "heatmap/0"):
        status, found = server.ask(f"api/{path}")
        assert status == 401 and "no valid key" in found["error"]
    assert server.ask("api/answers", ANSWER)[0] == server.ask("api/undo", ANSWER)[0] == 401
    assert stored(server.output) == []
    assert server.ask("api/session", **KEY)[1]["classes"] == CLASSES


def test_what_the_page_never_sends_is_refused_in_one_line(server: Reviewing) -> None:
    for path in ("page/..%2fapp.py", "page/../app.py", "page/review.html.j2", "api/picture/..%2f..%2fetc", "nothing"):
        assert server.ask(path, **KEY)[0] == 404
    for path, status in (
        ("picture/99", 422), ("picture/-1", 404), ("picture/9999999999999", 404), ("next", 422),
        ("next?reviewer=a", 422),
        ("next?reviewer=a&strategy=best&count=-5", 422),
        ("next?reviewer=a&strategy=best&count=x", 422), ("next?reviewer=%0a&strategy=best", 422),
    ):  # fmt: skip
        found = server.ask(f"api/{path}", **KEY)
        assert found[0] == status and "\n" not in found[1]["error"], path
    entry = ANSWER["answers"][0]
    for content in (
        b"", b"{", b"[]", b"3", b"[" * 100_000, b"\xff", ANSWER | {"reviewer": ""}, ANSWER | {"token": 3},
        ANSWER | {"token": ""}, ANSWER | {"token": "\ud800"}, ANSWER | {"token": "x" * 101},
        ANSWER | {"answers": [entry] * 201},
        ANSWER | {"answers": [{"id": "0", "label": "gap"}]}, ANSWER | {"answers": [{"id": True, "label": "gap"}]},
        ANSWER | {"answers": [entry | {"label": "<b>"}]}, ANSWER | {"answers": [entry | {"boxes": [{"x": 1}]}]},
        ANSWER | {"answers": [entry | {"boxes": [{"x": 0, "y": 0, "width": 1e9, "height": 1}]}]}, {"token": "t"},
    ):  # fmt: skip
        status, found = server.ask("api/answers", content, **KEY)
        assert status == 422 and "\n" not in found["error"], content
    # a form of a foreign page is no JSON
    assert server.ask("api/answers", json.dumps(ANSWER).encode(), **KEY, Content_Type="text/plain")[0] == 415
    assert stored(server.output) == []


def test_the_same_request_twice_is_one_answer(server: Reviewing) -> None:
    assert [server.ask("api/answers", ANSWER, **KEY)[0] for _ in range(2)] == [200, 200]
    assert len(stored(server.output)) == 1
    status, found = server.ask("api/undo", {"reviewer": "anna", "token": "u"}, **KEY)
    assert status == 200 and [each["id"] for each in found["images"]] == [0] and stored(server.output) == []
    status, picture = server.ask("api/picture/0?small=1", **KEY)
    assert status == 200 and picture.startswith(b"\x89PNG")


def test_a_page_of_other_images_is_refused(server: Reviewing) -> None:
    identity = server.ask("api/session", **KEY)[1]["identity"]
    assert server.ask("api/answers", ANSWER | {"token": "i"}, **KEY, Sem_Review_Session=identity)[0] == 200
    assert server.ask("api/undo", {"reviewer": "anna", "token": "j"}, **KEY, Sem_Review_Session=identity)[0] == 200
    for path, content in (("answers", ANSWER), ("undo", ANSWER), ("picture/0", None), ("next?reviewer=a", None)):
        status, found = server.ask(f"api/{path}", content, **KEY, Sem_Review_Session="0" * 64)
        assert status == 409 and found["error"].endswith("reload the page")
    assert stored(server.output) == []


def test_a_second_command_on_the_same_answers_is_refused(server: Reviewing, run: Run) -> None:
    done = run("review", f"images={server.output.parent}/images", f"output={server.output}", "port=0")
    assert done.code == 1 and "output: another sem-review writes to" in done.err


def test_a_classifier_that_learnt_from_the_first_images_gets_an_order_of_its_own(make: Any) -> None:
    """Or the images that it was trained on would come first, and its escapes would be among the others."""
    first, again, second = make(100, 80), make(100, 80), make(100, 80, model="fine-tuned")
    assert first.order("acceptance") == again.order("acceptance") != second.order("acceptance")
    assert sorted(first.order("acceptance")) == sorted(second.order("acceptance"))
