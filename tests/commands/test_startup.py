"""Commands start quickly: what they do not need is not imported."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

# Prints, after a command has run, its exit code and which of some modules it has imported.
PROGRAM = """
import importlib, sys
names, command = sys.argv[1].split(","), sys.argv[2]
sys.argv = [f"sem-{command}", *sys.argv[3:]]
code = 0
try:
    importlib.import_module(f"sem_lightning.commands.{command}").main()
except SystemExit as exit_:
    code = exit_.code
print("exit", code, "imported", *(name for name in names if name in sys.modules))
"""
SLOW = ("torch", "lightning", "torchvision", "torchmetrics", "scipy.stats", "matplotlib")


def imported(folder: Path, modules: tuple[str, ...], command: str, *arguments: str) -> tuple[int, list[str], str]:
    """Exit code, those of ``modules`` that a command imports, and what it says on standard error."""
    program = [sys.executable, "-c", PROGRAM, ",".join(modules), command, *arguments]
    done = subprocess.run(program, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()[-1].split()
    assert said[0] == "exit" and said[2] == "imported", done.stdout
    return int(said[1]), said[3:], done.stderr


def test_what_is_looked_for_would_be_found(tmp_path: Path) -> None:
    code, found, _ = imported(tmp_path, ("cv2", "hydra", "torch"), "predict", "--help")
    assert code == 0 and found == ["cv2", "hydra"]


@pytest.mark.parametrize(
    "command",
    [
        "predict",
        "inspect",
        "train",
        "evaluate",
        "calibrate",
        "export",
        "generate",
        "fit",
        "preview",
        "cloud",
        "serve",
        "watch",
        "review",
    ],
)
def test_help_needs_nothing_that_computes(command: str, tmp_path: Path) -> None:
    modules = (*SLOW, "sem_lightning.inference.predictor")
    assert imported(tmp_path, modules, command, "--help")[:2] == (0, [])


@pytest.mark.parametrize(
    ("command", "argument", "message"),
    [
        ("train", "noise.sgima=1", "noise.sgima: no such key; the keys are "),
        ("evaluate", "noise.sgima=1", "noise.sgima: no such key; the keys are "),
        ("predict", "noise.sgima=1", "noise"),
        ("train", "noise.dose=-1", "noise.dose: found -1"),
        ("train", "model.learning_rate=-1", "model.learning_rate: found -1"),
        ("evaluate", "data.batch_size=1", "data.batch_size: found 1"),
        ("predict", "images=nowhere", "images: found no images at nowhere"),
        ("inspect", "noise.sgima=1", "noise"),
        ("export", "noise.dose=-1", "ckpt: needs a value"),
        ("inspect", "images=nowhere", "reference: needs a value"),
        ("serve", "noise.sgima=1", "noise"),
        ("watch", "images=nowhere", "images: found no folder nowhere"),
        ("review", "port=70000", "images: needs a value"),
        ("serve", "limits.images=0", "limits.images: found 0"),
    ],
)
def test_a_mistake_is_named_before_anything_that_computes_is_imported(
    command: str, argument: str, message: str, tmp_path: Path
) -> None:
    code, found, err = imported(tmp_path, SLOW, command, argument)
    assert code == 1 and err.startswith(f"error: {message}") and found == []


def test_predicting_needs_nothing_that_trains_or_draws(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(3):
        image = np.random.default_rng(number).integers(0, 256, (64, 64), dtype=np.uint8)
        cv2.imwrite(str(tmp_path / "in" / f"{number}.png"), image)
    arguments = (f"ckpt={checkpoint}", "images=in", "jsonl=lines.jsonl", "device=cpu")
    code, found, err = imported(tmp_path, SLOW, "predict", *arguments)
    assert code == 0 and found == ["torch"], err
    assert len((tmp_path / "lines.jsonl").read_text().splitlines()) == 3


def test_predicting_with_the_packaged_classifier_needs_no_torch(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    (tmp_path / "in").mkdir()
    cv2.imwrite(str(tmp_path / "in" / "0.png"), np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8))
    code, found, err = imported(tmp_path, SLOW, "predict", "images=in", "device=cpu")
    assert (code, found) == (0, []), err
