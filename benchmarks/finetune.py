"""Accuracy against the number of labelled images, with and without the packaged classifier as the start.

python benchmarks/finetune.py [--seeds 0 1] [--output docs/images/finetune.png]     40 minutes on two cores

Two unseen simulated microscopes replace a real one: conf/microscope/metal.yaml, where the classifier is accurate, and a
fast scan of lines in extreme noise, where it is not. Of n labelled images of each class a quarter (at least one) is for
validation, the rest for training; a single one is used for both. The test has 200 other images of each class.
"""

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from sem_lightning.config.compose import compose_simulator
from sem_lightning.synthesis.simulator import Simulator, render

COUNTS = (1, 2, 5, 10, 20)
TESTED = 200
STYLES = {
    "microscope=metal": ("microscope=metal",),
    "pattern=any_line_space imaging=low_dose noise=extreme": (
        "pattern=any_line_space", "imaging=low_dose", "noise=extreme",
    ),
}  # fmt: skip
STARTS = {
    "from the packaged classifier": ("init_from=robust",),
    "and WiSE-FT alpha 0.5": ("init_from=robust", "model.wise_ft_alpha=0.5"),
    "from nothing": (
        "init_from=null",
        "model=resnet10",
        "model.pooling=peak_statistics",
        "model.learning_rate=0.001",
        "model.frozen=nothing",
    ),
}


def write_images(folder: Path, simulator: Simulator, most: int, seed: int) -> list[tuple[str, str, int]]:
    """Test images, and ``most`` labelled ones of each class: name, label, number within the class (-1 for tests)."""
    rows = []
    folder.mkdir()
    for split, count in ((2, TESTED), (0, most)):
        for number in range(count * len(simulator.classes)):
            label = simulator.classes[number % len(simulator.classes)]
            name = f"{split}_{number:05d}.png"
            cv2.imwrite(str(folder / name), np.asarray(render(simulator.draw(seed, split, number, label)).image))
            rows.append((name, label, -1 if split == 2 else number // len(simulator.classes)))
    return rows


def list_images(folder: Path, rows: list[tuple[str, str, int]], count: int) -> None:
    """Write labels.csv for ``count`` labelled images of each class."""
    held_back = max(1, count // 4)
    with (folder / "labels.csv").open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["filename", "label", "split"])
        for name, label, number in rows:
            if number == 0 and count == 1:
                shutil.copy(folder / name, folder / f"again_{name}")
                table.writerow([f"again_{name}", label, "train"])
            if number < count:
                table.writerow([name, label, "test" if number < 0 else "val" if number < held_back else "train"])


def run(module: str, *arguments: str) -> None:
    code = f"from sem_lightning.commands.{module} import main; main()"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, env=environment)
    if done.returncode:
        raise SystemExit(done.stderr)


def measure_packaged(folder: Path, results: Path) -> float:
    """Accuracy on the test images without labels."""
    data = ("data=folder", f"data.root={folder}", "device=cpu")
    run("evaluate", "ckpt=robust", *data, f"hydra.run.dir={results}")
    return float(json.loads((results / "report.json").read_text())["metrics"]["test/accuracy"])


def measure(folder: Path, start: tuple[str, ...], seed: int, results: Path) -> float:
    """Accuracy on the test images after training on the other images in ``labels.csv``."""
    data = (f"data.root={folder}", "trainer.accelerator=cpu")
    run(
        "train", "experiment=finetune", *start, *data, f"seed={seed}", f"hydra.run.dir={results}", "logger=none",
        "callbacks.progress_bar=false",
    )  # fmt: skip
    return float(json.loads((results / "result.json").read_text())["metrics"]["test/accuracy"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--output", type=Path, default=Path("docs/images/finetune.png"))
    arguments = parser.parse_args()
    figure, panels = plt.subplots(1, len(STYLES), figsize=(6 * len(STYLES), 4), layout="constrained", sharey=True)
    with ThreadPoolExecutor(os.cpu_count()) as side_by_side:
        learnt = {
            style: [side_by_side.submit(learn, style, compose_simulator(*settings), seed) for seed in arguments.seeds]
            for style, settings in STYLES.items()
        }
    for axes, (style, futures) in zip(panels, learnt.items(), strict=True):
        runs = [each.result() for each in futures]
        for start in STARTS:
            curve = {count: [each[start][count] for each in runs] for count in runs[0][start]}
            cells = " | ".join(f"{count}: {np.mean(each):.3f}" for count, each in curve.items())
            print(f"| {style} | {start} | {cells} |", flush=True)
            axes.plot(list(curve), [np.mean(each) for each in curve.values()], "o-", label=start)
            for count, each in curve.items():
                axes.plot([count] * len(each), each, "k.", markersize=3)
        axes.axhline(1 / 3, linestyle=":", color="grey")
        axes.set(xlabel="labelled images of each class", title=style, ylim=(0, 1))
    panels[0].set_ylabel(f"accuracy on {3 * TESTED} unseen images")
    panels[0].legend(loc="lower right")
    figure.savefig(arguments.output, dpi=80)


def learn(style: str, simulator: Simulator, seed: int) -> dict[str, dict[int, float]]:
    """Accuracies of one seed's images for each start and number of labelled images."""
    found: dict[str, dict[int, float]] = {name: {} for name in STARTS}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "images"
        rows = write_images(folder, simulator, max(COUNTS), seed)
        list_images(folder, rows, 1)
        unlabelled = measure_packaged(folder, Path(name) / "0")
        for start, settings in STARTS.items():
            if "init_from=robust" in settings:
                found[start][0] = unlabelled
            for count in COUNTS:
                list_images(folder, rows, count)
                found[start][count] = measure(folder, settings, seed, Path(name) / f"{count}-{len(settings)}")
                print(f"{style}, seed {seed}, {start}, {count} of each: {found[start][count]:.3f}", flush=True)
    return found


if __name__ == "__main__":
    main()
