"""Values of environment variables are used, and neither shown in errors nor stored."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import TINY, Run
from omegaconf import OmegaConf

from sem_lightning.config.environment import hide_variables
from sem_lightning.config.error_lines import describe
from sem_lightning.errors import UserError

SPLITS = [each for each in TINY if each.startswith(("imaging.", "data."))] + ["decision=argmax"]


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEM_SECRET", "hunter2")
    monkeypatch.setenv("SEM_SHORT", "a")


@pytest.mark.parametrize("argument", ["images=/no/{}/x", "device={}", "output=/dev/null/{}/x.csv", "pixel_size={}"])
def test_errors_name_the_variable(run: Run, argument: str) -> None:
    given = ["images=x.png", argument.format("${oc.env:SEM_SECRET}")]
    done = run("predict", *given)
    assert done.code == 1 and "hunter2" not in done.out + done.err and done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("preview", ["per_class=1", "output={}/x.png"]),
        ("generate", ["num_per_class=1", "output={}", "imaging.image_size=64"]),
        ("predict", ["images={}.png", "output={}.csv"]),
        ("calibrate", ["output={}/x.ckpt", *SPLITS]),
        ("evaluate", ["hydra.run.dir={}", *SPLITS[:-1]]),
    ],
)
def test_success_lines_name_the_variable(run: Run, checkpoint: Path, command: str, arguments: list[str]) -> None:
    Path("hunter2.png").write_bytes(cv2.imencode(".png", np.zeros((64, 64), np.uint8))[1].tobytes())
    trained = [f"ckpt={checkpoint}"] if command in ("predict", "calibrate", "evaluate") else []
    done = run(command, *trained, *(each.format("${oc.env:SEM_SECRET}") for each in arguments))
    assert done.code == 0 and list(done.folder.glob("hunter2*")), done.err
    assert "${oc.env:SEM_SECRET}" in done.out and "hunter2" not in done.out + done.err


def test_files_of_a_run_name_the_variable(run: Run) -> None:
    tiny = [each for each in TINY if not each.startswith("data.")]
    done = run("train", *tiny, "data=folder", "data.root=set/${oc.env:SEM_SECRET}")
    assert done.code == 1 and "${oc.env:SEM_SECRET}" in done.err
    stored = [path.read_text(errors="replace") for path in done.folder.rglob("*") if path.is_file()]
    assert not any("hunter2" in text for text in stored)
    config = OmegaConf.load(next(done.folder.rglob("outputs/train/*/config.yaml")))
    assert config.data.root == "set/hunter2"  # the file still works, where the variable is set


def test_only_values_that_were_used_and_are_long_enough_are_hidden() -> None:
    assert hide_variables("hunter2") in ("hunter2", "${oc.env:SEM_SECRET}")  # another test may have used it
    config = OmegaConf.create({"one": "${oc.env:SEM_SECRET}", "two": "${oc.env:SEM_SHORT}", "three": "${oc.env:NO,x}"})
    assert (config.one, config.two, config.three) == ("hunter2", "a", "x")
    content = {"a": ["x hunter2 y", 2, None], "b": "hunter"}
    assert hide_variables(content) == {"a": ["x ${oc.env:SEM_SECRET} y", 2, None], "b": "hunter"}


def test_a_line_is_short_and_printable() -> None:
    line = describe(UserError(f"key: found {'a' * 5000}\x1b[31m, expected less"))
    assert len(line) < 1100 and line.startswith("key: found aaa") and line.endswith("\\x1b[31m, expected less")
    assert describe(RecursionError()) == "the settings are nested too deeply"
