"""The service as a process on loopback: right answers, refusals in one line, and an orderly end."""

import base64
import http.client
import json
import os
import signal
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import Run
from hostile import ALLOWED, fault_of, hostile_requests, images, multipart, of_form, request, send
from service import Started, service

import sem_lightning as sl

SECONDS = 3.0
FORM = "multipart/form-data; boundary=edge"
LIMITS = ("limits.request_mb=1", "limits.held_mb=8", f"limits.seconds={SECONDS:g}", "limits.megapixels=4")


@pytest.fixture(scope="module")
def started(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    with service(tmp_path_factory.mktemp("service"), f"ckpt={checkpoint}", "device=cpu", *LIMITS) as found:
        yield found


def test_answers_are_those_of_the_predictor_however_the_image_is_sent(
    started: Started, checkpoint: Path, tmp_path: Path
) -> None:
    for kind, data in images().items():
        path = tmp_path / f"a.{kind}"
        path.write_bytes(data)
        (expected,) = sl.load(checkpoint, device="cpu").predict(path)
        status, found = started.ask(data, "application/octet-stream")
        (answer,) = found["answers"]
        assert status == 200 and answer["label"] == expected.label and answer["decision"] == expected.decision
        assert answer["probabilities"] == {name: round(p, 6) for name, p in expected.probabilities.items()}
        assert len(answer["places"]) == len(expected.regions)
        text = json.dumps({"images": [{"name": "b", "data": base64.b64encode(data).decode()}] * 3}).encode()
        for body, kind_of_body, names in (
            (multipart(("image", "../b", data)), FORM, ["../b"]),
            (text, "application/json", ["b"] * 3),
        ):
            status, found = started.ask(body, kind_of_body)
            assert [each["name"] for each in found["answers"]] == names
            assert all({**each, "name": "image"} == answer for each in found["answers"])


def test_a_reference_gives_places_and_registration(started: Started) -> None:
    data = images()["png"]
    status, found = started.ask(multipart(("image", "a", data), ("reference", "b", images()["jpg"])), FORM)
    (answer,) = found["answers"]
    assert status == 200 and answer["decision"] in ("good", "defect", "unsure") and "registration" in answer
    status, found = started.ask(multipart(("image", "a", data), ("reference", "b", data)), FORM)
    assert found["answers"][0]["reason"] == "same image"


def test_the_page_gets_pictures_of_files_that_browsers_do_not_show(started: Started) -> None:
    url = f"http://127.0.0.1:{started.port}/picture"
    for data in images().values():
        with urllib.request.urlopen(urllib.request.Request(url, data), timeout=60) as answer:
            found = cv2.imdecode(np.frombuffer(answer.read(), np.uint8), cv2.IMREAD_UNCHANGED)
        assert (
            found is not None
            and found.shape == (64, 64)
            and found.dtype == np.uint8
            and (found.min(), found.max()) == (0, 255)
        )
    for body, length, status in ((b"no image", 8, 422), (b"", 1_000_001, 413)):  # refused by its length alone
        client = http.client.HTTPConnection("127.0.0.1", started.port, timeout=60)
        client.request("POST", "/picture", body, {"Content-Length": str(length)})
        answer = client.getresponse()
        assert answer.status == status and b"error" in answer.read()
        client.close()


def test_it_describes_itself_and_counts(started: Started) -> None:
    started.ask(images()["png"], "image/png")
    described = json.loads(started.get("/openapi.json")[1])
    assert set(described["paths"]) == {"/predict", "/health", "/ready", "/metrics"}
    assert "multipart/form-data" in described["paths"]["/predict"]["post"]["requestBody"]["content"]
    status, page = started.get("/")
    assert status == 200 and b"<form>" in page and b"http://" not in page and b"https://" not in page
    assert b'sem_requests_total{status="200"}' in started.get("/metrics")[1]
    assert started.get("/health")[0] == started.get("/ready")[0] == 200


def test_hostile_requests_get_one_line_and_harm_nothing(started: Started) -> None:
    before = started.memory()
    faults = []
    for kind in hostile_requests(truncations=3, flips=4):
        if 408 in kind.statuses:  # takes all the time there is
            continue
        begun = time.monotonic()
        fault = fault_of(kind, *send(started.port, kind.wire, 60))
        if time.monotonic() - begun > SECONDS + 20:
            fault = f"{kind.name}: {time.monotonic() - begun:.0f} s"
        faults += [fault] if fault else []
    assert faults == []
    assert started.memory() - before < 500
    assert started.ask(images()["png"], "image/png")[0] == 200 and started.get("/ready")[0] == 200
    assert "Traceback" not in started.log.read_text()


def test_a_slow_client_is_told_so_and_delays_nobody(started: Started) -> None:
    wire = request(images()["png"], "image/png")
    with (
        socket.create_connection(("127.0.0.1", started.port), 60) as slow,
        socket.create_connection(("127.0.0.1", started.port), 60) as silent,
    ):
        slow.sendall(wire[:-10])
        silent.sendall(b"POST /predict HTTP/1.1\r\nHost:")
        assert started.ask(images()["png"], "image/png")[0] == 200
        assert b" 408 " in slow.recv(1000)
        assert silent.recv(1000) == b""


@pytest.mark.parametrize(
    ("arguments", "variables", "message"),
    [
        (("host=0.0.0.0",), {}, "host: 0.0.0.0 is reached by other machines, which needs a key"),
        (("host=::",), {}, "host: :: is reached by other machines"),
        ((), {"SEM_SERVE_KEY": "short"}, "SEM_SERVE_KEY: found a key of 5 characters, expected 16"),
        (("port=70000",), {}, "port: found 70000, expected 0 to 65535"),
        (("limits.queue=1",), {}, "limits.queue: found 1, expected 32"),
        (("limits.seconds=nan",), {}, "limits.seconds: found nan"),
        (("polarity=auto",), {}, "polarity: found 'auto', expected one of bright, dark"),
    ],
)
def test_mistakes_are_one_line(
    run: Run, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], variables: dict[str, str], message: str
) -> None:
    monkeypatch.delenv("SEM_SERVE_KEY", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    done = run("serve", *arguments)
    assert done.code == 1 and done.err.startswith(f"error: {message}") and done.err.count("\n") == 1, done.err
    assert "short" not in done.err


def test_a_port_in_use_is_one_line(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run("serve", f"port={taken.getsockname()[1]}")
    assert done.code == 1 and done.err.startswith("error: port: 127.0.0.1:"), done.err


def test_the_kinds_are_many_and_their_statuses_are_known() -> None:
    kinds = list(hostile_requests())
    assert len({kind.name for kind in kinds}) == len(kinds) >= 300
    assert all(kind.statuses <= ALLOWED | {0} for kind in kinds)
    assert of_form(("image", "a", b"x")) in {request(multipart(("image", "a", b"x")), FORM)}


def test_what_was_taken_is_answered_before_the_end(started: Started) -> None:
    body = multipart(*[("image", str(i), images()["png"]) for i in range(32)])
    answers: list[tuple[int, int]] = []

    def ask() -> None:
        status, content = started.ask(body, FORM)
        answers.append((status, len(content.get("answers", []))))

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for each in threads:
        each.start()
    while b"sem_waiting_images 0.0\n" in started.get("/metrics")[1]:
        assert threads[0].is_alive() or threads[1].is_alive()
    os.kill(started.process.pid, signal.SIGTERM)
    for each in threads:
        each.join()
    # a slow machine may refuse one of them by its pace, and then at once
    assert (200, 32) in answers and set(answers) <= {(200, 32), (429, 0)}
    assert started.process.wait(30) == 0
    assert started.log.read_text().endswith("stopped; every request that was taken is answered\n")
