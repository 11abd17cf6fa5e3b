"""Run time of the commands in seconds, with ``python -c "import torch"`` as a reference in the same run.

python benchmarks/startup.py [--rounds 5] [--images ../shared/real_sem]        2 minutes

Goals: every --help and every configuration error within 1 s, sem-predict on six small images within 3 s.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2

from sem_lightning.config.compose import compose_simulator

COMMANDS = ("train", "generate", "evaluate", "calibrate", "predict", "inspect", "fit", "preview", "cloud", "report")
MISTAKES = {  # a key that does not exist, for each command that has a configuration
    name: f"no_such_key_of_{name}=1"
    for name in ("train", "generate", "evaluate", "calibrate", "predict", "inspect", "fit", "preview")
}


def seconds(arguments: list[str], folder: str, code: int) -> float:
    """Duration of one process; its exit code must be ``code``."""
    started = time.perf_counter()
    done = subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != code:
        raise SystemExit(f"{arguments}: exit code {done.returncode}, expected {code}\n{done.stderr}")
    return time.perf_counter() - started


def write_images(folder: Path) -> None:
    simulator = compose_simulator()
    for index in range(6):
        cv2.imwrite(str(folder / f"{index}.png"), simulator.sample(index).image)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=Path, help="a folder of images; six simulated ones by default")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        images = arguments.images
        if images is None:
            images = Path(folder) / "images"
            images.mkdir()
            write_images(images)
        rows: dict[str, tuple[list[str], int]] = {'python -c "import torch"': (["-c", "import torch"], 0)}
        for name in COMMANDS:
            rows[f"sem-{name} --help"] = (["-m", f"sem_lightning.commands.{name}", "--help"], 0)
        for name, mistake in MISTAKES.items():
            rows[f"sem-{name} {mistake}"] = (["-m", f"sem_lightning.commands.{name}", mistake], 1)
        predict = ["-m", "sem_lightning.commands.predict", f"images={os.fspath(images.resolve())}"]
        rows["sem-predict, six images"] = (predict, 0)
        taken: dict[str, list[float]] = {name: [] for name in rows}
        for _ in range(arguments.rounds):
            for name, (command, code) in rows.items():
                taken[name].append(seconds(command, folder, code))
    reference = taken['python -c "import torch"']
    print("| command | median seconds | of importing torch |")
    print("| --- | ---: | ---: |")
    for name, each in taken.items():
        ratio = statistics.median(mine / theirs for mine, theirs in zip(each, reference, strict=True))
        print(f"| `{name}` | {statistics.median(each):.2f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
