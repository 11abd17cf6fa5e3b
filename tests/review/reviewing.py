"""Starts ``sem-review`` as a process of its own, and a browser before it."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conftest import make_simulator

from sem_lightning.io.images import encode_image
from sem_lightning.review.answers import Answer
from sem_lightning.review.store import STORE, LabelStore

_PATIENCE = 120.0  # seconds for a server to start, on a machine with other work


@dataclass
class Reviewing:
    """A server that answers."""

    process: "subprocess.Popen[bytes]"
    port: int
    output: Path

    def ask(self, path: str, content: Any = None, **headers: str) -> tuple[int, Any]:
        """Status and JSON, or bytes; ``content`` is posted as JSON, and bytes as they are."""
        url = f"http://127.0.0.1:{self.port}/{path}"
        body = content if content is None or isinstance(content, bytes) else json.dumps(content).encode()
        given = {"Content-Type": "application/json"} | {key.replace("_", "-"): value for key, value in headers.items()}
        try:
            with urllib.request.urlopen(urllib.request.Request(url, body, given), timeout=60) as answer:
                status, kind, found = answer.status, answer.headers["content-type"], answer.read()
        except urllib.error.HTTPError as error:
            status, kind, found = error.code, error.headers["content-type"], error.read()
        return status, json.loads(found) if kind.startswith("application/json") else found

    def is_ready(self, log: Path) -> bool:
        """Whether it answers at the port that it has printed."""
        found = re.search(r"http://\S+:(\d+);", log.read_text())
        self.port = int(found[1]) if found else 0
        try:
            return bool(found) and self.ask("page/icon.svg")[0] == 200
        except OSError:  # refused, or closed
            return False

    def answers(self) -> list[Answer]:
        """What counts, as another process reads it from the disk."""
        return stored(self.output)

    def kill(self) -> None:
        """``kill -9``."""
        self.process.kill()
        self.process.wait()


def stored(output: Path) -> list[Answer]:
    """The answers that count, the oldest first."""
    store = LabelStore(output / STORE)
    try:
        return [each.answer for each in store.valid_answers()]
    finally:
        store.close()


def write_images(folder: Path, count: int, *overrides: str) -> list[Path]:
    """Simulated images in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    simulator = make_simulator("imaging.image_size=64", *overrides)
    paths = [folder / f"{number:03d}.png" for number in range(count)]
    for number, path in enumerate(paths):
        path.write_bytes(encode_image(simulator.sample(number).image, ".png", 1.0))
    return paths


def start(
    images: Path, output: Path, *arguments: str, port: int = 0, variables: dict[str, str] | None = None
) -> Reviewing:
    """A server that is to be killed by the caller."""
    given = [f"images={images}", f"output={output}", f"port={port}", "device=cpu", "reviewer=anna", *arguments]
    command = [sys.executable, "-m", "sem_lightning.commands.review", *given]
    log = images.parent / f"{output.name}.log"
    with log.open("wb") as stream:
        environment = os.environ | (variables or {})
        process = subprocess.Popen(command, cwd=images.parent, env=environment, stdout=stream, stderr=stream)
    started, latest = Reviewing(process, 0, output), time.monotonic() + _PATIENCE
    try:
        while not started.is_ready(log):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < latest, f"no answer after {_PATIENCE:g} s: {log.read_text()}"
            time.sleep(0.02)
    except BaseException:
        started.kill()
        raise
    return started


@contextmanager
def reviewing(
    images: Path, output: Path, *arguments: str, variables: dict[str, str] | None = None
) -> Iterator[Reviewing]:
    """A server on a free port, ended at the end."""
    started = start(images, output, *arguments, variables=variables)
    try:
        yield started
    finally:
        started.kill()


@contextmanager
def browser() -> Iterator[Any]:
    """A real browser without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield opened
        opened.close()


@dataclass
class Person:
    """Somebody at a browser."""

    page: Any

    @staticmethod
    def sits_down(opened: Any, port: int, name: str = "anna", width: int = 1200, height: int = 760) -> "Person":
        """Open the page in a browser of one's own."""
        page = opened.new_context(viewport={"width": width, "height": height}).new_page()
        page.problems = []
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        page.goto(f"http://127.0.0.1:{port}/")
        person = Person(page)
        person.sees_an_image()
        if name != "anna":
            page.fill("#reviewer", name)
            page.keyboard.press("Enter")
            page.reload()
            person.sees_an_image()
            assert page.input_value("#reviewer") == name
        return person

    def sees_an_image(self) -> None:
        """Wait until one is shown."""
        self.page.wait_for_selector("#stage[data-image]")

    @property
    def image(self) -> str:
        """Number of the image that is shown."""
        return str(self.page.get_attribute("#stage", "data-image"))

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.page.inner_text("#name"))

    def presses(self, *keys: str) -> None:
        """Press keys that show another image, each once that is there."""
        for key in keys:
            before = self.image
            self.page.keyboard.press(key)
            self.page.wait_for_selector(f'#stage:not([data-image="{before}"])', timeout=10_000)

    def reads(self, text: str, at: str = "#said") -> None:
        """Wait until a text is there."""
        self.page.wait_for_selector(f"{at}:has-text({json.dumps(text)})", timeout=10_000)

    def drags(self, start: Sequence[float], end: Sequence[float], size: int = 64) -> None:
        """Drag from one place of an image of this size to another, in its pixels."""
        edge = self.page.locator("#stage").bounding_box()
        scale = min(edge["width"], edge["height"]) / size * 0.98
        left = edge["x"] + (edge["width"] - size * scale) / 2
        top = edge["y"] + (edge["height"] - size * scale) / 2
        mouse = self.page.mouse
        mouse.move(left + start[0] * scale, top + start[1] * scale)
        mouse.down()
        mouse.move(left + end[0] * scale, top + end[1] * scale, steps=3)
        mouse.up()
