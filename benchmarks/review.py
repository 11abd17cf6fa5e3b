"""Accuracy against the number of answers, for several orders in which a person gets the images.

python benchmarks/review.py [--seeds 0 1 2 3 4] [--budgets 30 90] [--styles 2]     20 minutes on two cores

Two simulated microscopes that the packaged classifier was not trained on, see benchmarks/finetune.py, give 300 images
each, 70 % of them good. An oracle answers the first ones in the order of a strategy with the true class; a quarter of
these (at least one of each class) is for validation, and the packaged classifier is fine-tuned on the rest. The test
has 60 other images of each class. Where not every class was found, nothing is fine-tuned.
The intervals are Student's, of the mean over the seeds, and of the difference to the random order with the same seed.
"""

import argparse
import csv
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from finetune import STYLES, measure, measure_packaged
from scipy.stats import t

from sem_lightning.config.compose import compose_simulator
from sem_lightning.review.opening import open_review
from sem_lightning.synthesis.simulator import Simulator, render

ORDERS = ("random", "uncertainty", "best")
POOL, GOOD, TESTED = 300, 0.7, 60
Labels = dict[str, str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--budgets", type=int, nargs="+", default=[30, 90])
    parser.add_argument("--styles", type=int, default=len(STYLES))
    given = parser.parse_args()
    for style, settings in list(STYLES.items())[: given.styles]:
        simulator = compose_simulator(*settings)
        with ThreadPoolExecutor(os.cpu_count()) as side_by_side:
            runs = list(side_by_side.map(lambda seed, made=simulator: learn(made, seed, given.budgets), given.seeds))
        print(f"| {style} | without answers | {describe([each['', 0] for each in runs])} | |")
        for budget in given.budgets:
            for order in ORDERS:
                accuracies = [each[order, budget] for each in runs]
                gains = [each[order, budget] - each["random", budget] for each in runs]
                print(
                    f"| {style} | {budget} answers, {order} | {describe(accuracies)} | {describe(gains)} |", flush=True
                )


def describe(values: list[float]) -> str:
    """The mean and its 95 % interval."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return f"{mean:.3f}"
    half = float(t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))
    return f"{mean:.3f} [{mean - half:.3f}, {mean + half:.3f}]"


def learn(simulator: Simulator, seed: int, budgets: list[int]) -> dict[tuple[str, int], float]:
    """The accuracy for each order and number of answers, and without any."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        truth = write_pool(folder / "pool", simulator, seed)
        session = open_review(folder / "pool", folder / "answers")
        orders = {each: session.order(each) for each in ORDERS}
        names = [image.name for image in session.images]
        session.store.close()
        tests = write_tests(folder / "pool" / "tests", simulator, seed)
        write_labels(folder / "pool", {}, tests)
        without = measure_packaged(folder / "pool", folder / "before")
        found = {("", 0): without}
        print(f"seed {seed}, without answers: {without:.3f}", flush=True)
        for order, numbers in orders.items():
            for budget in budgets:
                answers = {names[number]: truth[names[number]] for number in numbers[:budget]}
                found[order, budget] = without
                if write_labels(folder / "pool", answers, tests):
                    start = ("init_from=robust",)
                    found[order, budget] = measure(folder / "pool", start, seed, folder / f"{order}{budget}")
                print(f"seed {seed}, {order}, {budget} answers: {found[order, budget]:.3f}", flush=True)
    return found


def write_pool(folder: Path, simulator: Simulator, seed: int) -> Labels:
    """Images to review, and their true classes."""
    rng = np.random.default_rng(seed)
    defects = simulator.classes[1:]
    labels = ["good" if rng.random() < GOOD else str(rng.choice(defects)) for _ in range(POOL)]
    return write(folder, simulator, seed, 0, labels)


def write_tests(folder: Path, simulator: Simulator, seed: int) -> Labels:
    labels = [label for label in simulator.classes for _ in range(TESTED)]
    return {f"tests/{name}": label for name, label in write(folder, simulator, seed, 2, labels).items()}


def write(folder: Path, simulator: Simulator, seed: int, split: int, labels: list[str]) -> Labels:
    folder.mkdir(parents=True)
    for number, label in enumerate(labels):
        image = np.asarray(render(simulator.draw(seed, split, number, label)).image, np.uint8)
        cv2.imwrite(str(folder / f"{split}_{number:05d}.png"), image)
    return {f"{split}_{number:05d}.png": label for number, label in enumerate(labels)}


def write_labels(folder: Path, answers: Labels, tests: Labels) -> bool:
    """Write labels.csv. Returns whether there are images of each class to train on and to validate with."""
    seen: dict[str, int] = dict.fromkeys(tests.values(), 0)
    with (folder / "labels.csv").open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["filename", "label", "split"])
        table.writerows((name, label, "test") for name, label in tests.items())
        for name, label in answers.items():
            table.writerow([name, label, "val" if seen[label] % 4 == 1 else "train"])
            seen[label] += 1
    return min(seen.values()) > 1


if __name__ == "__main__":
    main()
