"""Accuracy of a classifier of any magnification against the size of the file, with one view and with several.

python benchmarks/scales.py [--ckpt robust] [--images 300]        15 minutes

The scenes are those of experiment=robust in larger fields: with the same pitch in pixels an image has more lines, and a
defect is a smaller part of it.
"""

import argparse
import os

import numpy as np
import torch

from sem_lightning.config.compose import compose_simulator
from sem_lightning.decision.intervals import wilson_interval
from sem_lightning.inference.predictor import Predictor
from sem_lightning.inference.views import make_views
from sem_lightning.model.checkpoint import load_model
from sem_lightning.synthesis.simulator import render

SIZES = (128, 256, 512)
SCALES = ((1.0,), (1.0, 1.5), (1.0, 1.5, 2.0), (1.0, 1.5, 2.0, 4.0))
TASK = ("pattern=mixed", "imaging=any", "noise=any", "processing=any", "defect=any")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ckpt", default="robust")
    parser.add_argument("--images", type=int, default=300)
    arguments = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1)))
    model = load_model(arguments.ckpt)
    print(f"| file | {' | '.join('views ' + ', '.join(f'{s:g}' for s in scales) for scales in SCALES)} |")
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
            if len(make_views(images[0], model.settings.image_size, scales)) < len(scales):
                cells.append("")
                continue
            predictor = Predictor(model, view_scales=scales, polarity="bright")
            found = [each.label for each in predictor.predict(images)]
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
