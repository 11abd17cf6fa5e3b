"""Images per second of sem-predict, end to end from PNG files, against references in the same run.

python benchmarks/predict.py [--files 600] [--rounds 3] [--many 100000]        10 minutes

References: (a) the bare network on tensors at its best batch size, (b) a plain loop that opens one file with Pillow,
resizes, normalises and calls the network, (c) only reading and preparing. Then memory over many files, with a fast
network for 32 pixels, because only the number of files matters.
"""

import argparse
import contextlib
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

from sem_lightning.config.compose import compose_simulator
from sem_lightning.inference.prediction import Prediction
from sem_lightning.inference.predictor import Predictor
from sem_lightning.inference.preprocessing import Preprocessing
from sem_lightning.inference.reader import read_ahead
from sem_lightning.inference.writers import PredictionWriter
from sem_lightning.io.gray_image import open_image
from sem_lightning.model.checkpoint import rule_state
from sem_lightning.model.classifier import SEMClassifier
from sem_lightning.synthesis.simulator import render

SIZE = 128
BATCHES = (8, 16, 32, 64)


def write_files(folder: Path, count: int) -> list[Path]:
    simulator = compose_simulator(f"imaging.image_size={SIZE}")
    paths = []
    for index in range(count):
        paths.append(folder / f"{index:06d}.png")
        cv2.imwrite(str(paths[-1]), render(simulator.draw(0, 0, index, simulator.classes[index % 3])).image)
    return paths


def predict(paths: list[Path], predictor: Predictor, folder: Path) -> None:
    writer = PredictionWriter(predictor.classes, folder / "predictions.csv", None, None)
    with writer.open():
        for found in predictor.stream(paths):
            assert isinstance(found, Prediction)
            writer.add(found)


def plain_loop(paths: list[Path], classifier: SEMClassifier) -> None:
    for path in paths:
        with Image.open(path) as file:
            pixels = np.asarray(file.convert("L").resize((SIZE, SIZE)), np.float32) / 255
        with torch.inference_mode():
            classifier(torch.from_numpy((pixels - 0.5) / 0.25)[None, None]).logits.softmax(1)


def bare(count: int, classifier: SEMClassifier, batch_size: int) -> None:
    batch = torch.rand(batch_size, 1, SIZE, SIZE)
    with torch.inference_mode():
        for _ in range(count // batch_size):
            classifier(batch)


def read_alone(paths: list[Path]) -> None:
    how = Preprocessing(SIZE, None)
    for _ in read_ahead(paths, lambda path: how.prepare(open_image(path))):
        pass


def clock(count: int, work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return count / (time.perf_counter() - started)


def measure_memory(folder: Path, paths: list[Path], many: int) -> None:
    """Peak memory of sem-predict for lists of different length."""
    torch.manual_seed(0)
    classifier = SEMClassifier(classes=["good", "gap", "bridge"], image_size=32)
    state = {"state_dict": classifier.state_dict(), "decision_rule": rule_state(classifier.rule)}
    torch.save(state | {"hyper_parameters": {"settings": classifier.settings.to_dict()}}, folder / "tiny.ckpt")
    for count in (many // 10, many):
        listed = itertools.islice(itertools.cycle(paths), count)
        (folder / "list.txt").write_text("\n".join(path.name for path in listed))
        code = (
            "import resource, sys; from sem_lightning.commands.predict import main; main(); "
            "print(f'peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB')"
        )
        arguments = [f"ckpt={folder / 'tiny.ckpt'}", f"images={folder / 'list.txt'}", f"output={folder / 'many.csv'}"]
        started = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
        rate = count / (time.perf_counter() - started)
        print(f"{count} files (32 pixels): {done.stdout.splitlines()[-1]}, {rate:.0f} images/s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--many", type=int, default=100_000, help="files for the memory test; 0 for none")
    arguments = parser.parse_args()
    torch.set_num_threads(os.cpu_count() or 1)
    classifier = SEMClassifier(classes=["good", "gap", "bridge"], image_size=SIZE).eval()
    predictor = Predictor(classifier.trained)
    with tempfile.TemporaryDirectory() as name, contextlib.suppress(KeyboardInterrupt):
        folder = Path(name)
        paths = write_files(folder, arguments.files)
        bare(128, classifier, 32)
        best = max(BATCHES, key=lambda size: clock(256, lambda: bare(256, classifier, size)))
        contestants: dict[str, Callable[[], None]] = {
            f"bare network, batch {best}": lambda: bare(len(paths), classifier, best),
            "sem-predict": lambda: predict(paths, predictor, folder),
            "plain loop": lambda: plain_loop(paths, classifier),
            "reading alone": lambda: read_alone(paths),
        }
        rates: dict[str, list[float]] = {name: [] for name in contestants}
        for _ in range(arguments.rounds):
            for name, work in contestants.items():
                rates[name].append(clock(len(paths), work))
        ours = rates["sem-predict"]
        for name, values in rates.items():
            ratio = statistics.median(mine / theirs for mine, theirs in zip(ours, values, strict=True))
            print(f"{name:24} {statistics.median(values):8.1f} images/s   sem-predict is {ratio:5.2f} times that")
        if arguments.many:
            measure_memory(folder, paths, arguments.many)


if __name__ == "__main__":
    main()
