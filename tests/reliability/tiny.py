"""A task that takes seconds, and how to run commands on it."""

import contextlib
import importlib
import io
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from sem_lightning.model.checkpoint import write_checkpoint
from sem_lightning.model.classifier import SEMClassifier

SIZE = 64
SIMULATED = (f"imaging.image_size={SIZE}", "data.num_workers=0")
SPLITS = (
    "data.train_per_class=8",
    "data.val_per_class=3",
    "data.test_per_class=4",
    "data.calibration_per_class=2",
)
TRAINING = (
    "model.network=resnet18_small",
    f"imaging.image_size={SIZE}",
    *SPLITS,
    "data.batch_size=8",
    "trainer.accelerator=cpu",
    "callbacks.progress_bar=false",
    "logger=none",
)


@dataclass(frozen=True)
class Ended:
    """A command that has run in this process: its exit code and what it printed."""

    code: int
    out: str
    err: str

    @property
    def is_one_line(self) -> bool:
        """Whether it ended with one line for the user, which names an error."""
        return self.code == 1 and "Traceback" not in self.err and self.err.strip().splitlines()[-1][:7] == "error: "

    def __str__(self) -> str:
        last = self.err.strip().splitlines()[-1:] or ["nothing"]
        return f"exit code {self.code}, {'a traceback, ' * ('Traceback' in self.err)}last line: {last[0]}"


def run(folder: Path, command: str, *arguments: str) -> Ended:
    """Run ``sem-<command>`` in a folder, in this process."""
    main = importlib.import_module(f"sem_lightning.commands.{command}").main
    os.chdir(folder)
    sys.argv = [f"sem-{command}", *arguments]
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as exit_:
            code = int(exit_.code or 0)
    return Ended(code, out.getvalue(), err.getvalue())


def make_checkpoint(path: Path) -> Path:
    """An untrained small classifier."""
    torch.manual_seed(0)
    classes = ["good", "gap", "bridge"]
    classifier = SEMClassifier(
        classes=classes, image_size=SIZE, network="resnet18_small", pixel_size=1.0, polarity="bright"
    )
    state = {
        "state_dict": classifier.state_dict(),
        "hyper_parameters": {"settings": classifier.settings.to_dict()},
    }
    classifier.on_save_checkpoint(state)
    write_checkpoint(path, state)
    return path


def make_images(folder: Path, count: int) -> Path:
    """Images of noisy lines."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    lines = 90 + 80 * (np.arange(SIZE) // 8 % 2)
    for number in range(count):
        image = np.clip(lines + rng.normal(0, 12, (SIZE, SIZE)), 0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / f"{number:03d}.png"), image)
    return folder
