"""What several tests share: composed simulators, and the real commands run in a folder of their own."""

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # pytest runs one process a core

import absl.logging
import cv2
import hypothesis
import numpy as np
import numpy.typing as npt
import pytest
import torch

from sem_lightning.commands import (
    calibrate,
    cloud,
    evaluate,
    export,
    fit,
    generate,
    inspect,
    predict,
    preview,
    report,
    review,
    serve,
    train,
    watch,
)
from sem_lightning.config.training import compose_training
from sem_lightning.evaluation import evaluate as evaluating
from sem_lightning.model.classifier import SEMClassifier
from sem_lightning.synthesis.simulator import Simulator
from sem_lightning.training import train as training

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell does so in the background, and Ctrl-C is tested
    signal.signal(signal.SIGINT, signal.default_int_handler)

# OpenVINO imports absl, whose handler closes its stream when Hydra sets up logging: that would be pytest's.
absl.logging.get_absl_handler().python_handler.stream = sys.__stderr__

# The same examples in every run; --hypothesis-profile=random searches further, as the nightly workflow does.
hypothesis.settings.register_profile("default", derandomize=True)
hypothesis.settings.register_profile("random", derandomize=False, print_blob=True)
hypothesis.settings.load_profile("default")

COMMANDS = {
    "train": train.main,
    "calibrate": calibrate.main,
    "cloud": cloud.main,
    "generate": generate.main,
    "evaluate": evaluate.main,
    "export": export.main,
    "fit": fit.main,
    "inspect": inspect.main,
    "predict": predict.main,
    "preview": preview.main,
    "report": report.main,
    "review": review.main,
    "serve": serve.main,
    "watch": watch.main,
}

# A task that a small ResNet18 sees in seconds: small images, few of them.
TINY = (
    "model.network=resnet18_small",
    "imaging.image_size=64",
    "data.train_per_class=8",
    "data.val_per_class=3",
    "data.test_per_class=4",
    "data.calibration_per_class=2",
    "data.batch_size=8",
    "data.num_workers=0",
    "trainer.accelerator=cpu",
    "trainer.max_epochs=1",
    "callbacks.progress_bar=false",
    "logger=none",
)


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def figures() -> None:
    """Asked for by tests whose runs shall draw figures."""


@pytest.fixture(autouse=True)
def only_asked_for_figures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out half of a tiny run's time, its figures, where a test does not look at them."""
    if "figures" not in request.fixturenames:
        for module in (training, evaluating):
            monkeypatch.setattr(module, "save_figures", lambda report, folder: {})


make_simulator = Simulator.compose  # the simulator of conf/preview.yaml with overrides


@pytest.fixture(scope="session")
def simulator() -> Simulator:
    """The default task."""
    return make_simulator()


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained classifier: its tests ask what is done with its answers, not whether they are right."""
    torch.manual_seed(0)
    return save_checkpoint(make_classifier(), tmp_path_factory.mktemp("checkpoint") / "best.ckpt")


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one tiny run with ``seed=5``, for tests that begin where a training ended."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "save_figures", lambda report, folder: {})
        training.train(compose_training(*TINY, "seed=5"), folder)
    return folder


def make_classifier(**options: Any) -> SEMClassifier:
    """An untrained small classifier; the weights follow from torch's seed."""
    known: dict[str, Any] = {"classes": ["good", "gap", "bridge"], "image_size": 64, "network": "resnet18_small"}
    return SEMClassifier(**(known | {"pixel_size": 1.0, "polarity": "bright"} | options))


def save_checkpoint(classifier: SEMClassifier, path: Path) -> Path:
    """A checkpoint as training writes it, without the optimiser's state."""
    checkpoint: dict[str, Any] = {
        "state_dict": classifier.state_dict(),
        "hyper_parameters": {"settings": classifier.settings.to_dict()},
    }
    classifier.on_save_checkpoint(checkpoint)
    torch.save(checkpoint, path)
    return path


@dataclass
class Finished:
    """A command that has run: exit code, both outputs, and the folder it ran in."""

    code: int
    out: str
    err: str
    folder: Path

    def run_folder(self, command: str = "train") -> Path:
        """The newest run's folder."""
        return sorted((self.folder / "outputs" / command).iterdir())[-1]

    def result(self, command: str = "train") -> dict[str, Any]:
        name = "report.json" if command == "evaluate" else "result.json"
        result: dict[str, Any] = json.loads((self.run_folder(command) / name).read_text())
        return result


Run = Callable[..., Finished]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in a temporary folder, as its script would: ``run("train", "seed=1")``."""
    monkeypatch.chdir(tmp_path)

    def run_command(command: str, *arguments: str) -> Finished:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", [f"sem-{command}", *arguments])
        code = 0
        try:
            COMMANDS[command]()
        except SystemExit as exit_:
            code = int(exit_.code or 0)
        out, err = capsys.readouterr()
        return Finished(code, out, err, tmp_path)

    return run_command


def read_image(path: Path, flags: int = cv2.IMREAD_COLOR) -> npt.NDArray[Any]:
    """What OpenCV finds in the file, which has to be an image."""
    image = cv2.imread(str(path), flags)
    assert image is not None, path
    return image


needs_browser = pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium here")


def shown_in_browser(page_file: Path) -> Iterator[Any]:
    """A page in a wide and a narrow window: all of it is shown, without an error or anything from elsewhere."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        problems: list[str] = []
        requested: list[str] = []
        for width in (1200, 400):
            page = browser.new_page(viewport={"width": width, "height": 800})
            page.on("console", lambda message: problems.append(message.text))
            page.on("request", lambda request: requested.append(request.url))
            page.goto(page_file.as_uri())
            assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 100)")
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            yield page
        assert problems == []
        assert [url for url in requested if not url.startswith(("file:", "data:"))] == []
        browser.close()


def with_bar(image: np.ndarray, rows: int, ground: int, quality: int | None) -> npt.NDArray[np.float32]:
    """The image above a bar as microscopes burn it in: one colour, text, a scale."""
    ink = 255 if ground < 128 else 0
    bar = np.full((rows, image.shape[1]), ground, np.uint8)
    cv2.putText(bar, "HV 5.00 kV  WD 4.1 mm  x 120 000", (8, rows * 2 // 3), cv2.FONT_HERSHEY_PLAIN, rows / 28, ink, 1)
    cv2.rectangle(bar, (image.shape[1] - 90, rows // 2), (image.shape[1] - 10, rows // 2 + 2), ink, -1)
    whole = np.vstack([image, bar])
    if quality is not None:
        decoded = cv2.imdecode(cv2.imencode(".jpg", whole, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 0)
        assert decoded is not None
        whole = decoded
    return whole.astype(np.float32) / np.float32(255)
