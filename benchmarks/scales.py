"""Accuracy of a classifier of any magnification against the size of the file, looked at once and at several scales.

python benchmarks/scales.py [--ckpt robust] [--images 300]        15 minutes

The scenes are those of experiment=robust in larger fields: with the same pitches in pixels an image holds more of them,
and a defect is a smaller part of it.
"""

import argparse
import os
from pathlib import Path

import numpy as np
import torch
from omegaconf import OmegaConf

from sem_lightning.evaluation.compatibility import open_classifier
from sem_lightning.commands.preview import compose_simulator
from sem_lightning.inference.views import Looks
from sem_lightning.decision.intervals import wilson_interval
from sem_lightning.inference.predictor import Finding, Inspector, PreparedImage
from sem_lightning.inference.tiling import Tiling
from sem_lightning.synthesis.field import Float32
from sem_lightning.synthesis.simulator import render

SIZES = (128, 256, 512)
SCALES = ((1.0,), (1.0, 1.5), (1.0, 1.5, 2.0), (1.0, 1.5, 2.0, 4.0))
TASK = ("pattern=mixed", "imaging=any", "noise=any", "processing=any", "defect=any")


def prepare(image: Float32, seen: int, scales: tuple[float, ...]) -> PreparedImage:
    """An image as sem-predict prepares a file."""
    first, *closer = Looks(seen, scales).of(image)
    return PreparedImage(Path(), first.image, Tiling.whole(seen, seen), (len(image), len(image)), None, 0, tuple(closer))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ckpt", default="robust")
    parser.add_argument("--images", type=int, default=300)
    arguments = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1)))
    _, classifier = open_classifier(OmegaConf.create({"ckpt": arguments.ckpt}), "ckpt")
    classifier.net.fold_batch_norm()
    print(f"| file | {' | '.join('scales ' + ', '.join(f'{s:g}' for s in scales) for scales in SCALES)} |")
    print("| --- |" + " --- |" * len(SCALES))
    for size in SIZES:
        simulator = compose_simulator(*TASK, f"imaging.image_size={size}")
        labels = [simulator.classes[number % 3] for number in range(arguments.images)]
        images = []
        for number, label in enumerate(labels):
            pixels = render(simulator.draw(77, 2, number, label)).image
            images.append((pixels / np.float32(np.iinfo(pixels.dtype).max)).astype(np.float32))
        cells = []
        for scales in SCALES:
            if len(Looks(classifier.image_size, scales).of(images[0])) < len(scales):
                cells.append("")
                continue
            prepared = (prepare(image, classifier.image_size, scales) for image in images)
            found = [each.label for each in Inspector(classifier, 16).judge(prepared) if isinstance(each, Finding)]
            right = sum(one == other for one, other in zip(found, labels, strict=True))
            low, high = wilson_interval(right, len(labels))
            by_class = ", ".join(
                f"{np.mean([f == t for f, t in zip(found, labels, strict=True) if t == name]):.2f}"
                for name in simulator.classes
            )
            cells.append(f"{right / len(labels):.3f} [{low:.3f}, {high:.3f}] ({by_class})")
        print(f"| {size} x {size} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
