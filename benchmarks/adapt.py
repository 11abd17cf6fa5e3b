"""Adapting the packaged classifier to unlabelled images: batch norm statistics, or self-training.

python benchmarks/adapt.py [--ckpt robust] [--images 300]        2 minutes

Each style has a set of unlabelled images and 600 other images for the test. ``statistics`` moves the means and
variances of all batch norms fully or halfway to those of the unlabelled images (halfway: sem-predict adapt=true).
``self-training`` trains further on predictions with a confidence above 0.9, with frozen stem and batch norms (Lee, ICML
workshop 2013).
"""

import argparse
import copy
import dataclasses

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sem_lightning.config.compose import compose_simulator
from sem_lightning.decision.intervals import wilson_interval
from sem_lightning.decision.rule import Rule
from sem_lightning.inference.predictor import Predictor
from sem_lightning.model.batch_norm_adaptation import adapt_batch_norm
from sem_lightning.model.classifier import SEMClassifier, load_classifier
from sem_lightning.synthesis.simulator import render

STYLES = {
    "microscope=metal": ("microscope=metal",),
    "pattern=any_line_space imaging=review_sem": ("pattern=any_line_space", "imaging=review_sem"),
    "pattern=any_line_space imaging=low_dose noise=extreme": (
        "pattern=any_line_space", "imaging=low_dose", "noise=extreme",
    ),
}  # fmt: skip
TESTED, SURE, EPOCHS, BATCH = 600, 0.9, 5, 16


def draw(style: tuple[str, ...], split: int, count: int) -> tuple[Tensor, Tensor]:
    """Images float32 [N, 1, H, W] and labels, with balanced classes."""
    simulator = compose_simulator(*style)
    labels = [number % len(simulator.classes) for number in range(count)]
    drawn = (render(simulator.draw(31, split, i, simulator.classes[label])).image for i, label in enumerate(labels))
    images = np.stack([image / np.float32(np.iinfo(image.dtype).max) for image in drawn])
    return torch.from_numpy(images.astype(np.float32)).unsqueeze(1), torch.tensor(labels)


def probabilities_of(classifier: SEMClassifier, images: Tensor) -> Tensor:
    """Probabilities [N, C] of single views."""
    predictor = Predictor(dataclasses.replace(classifier.trained, rule=Rule()), view_scales=[1.0], polarity="bright")
    found = predictor.predict([image[0].numpy() for image in images])
    return torch.tensor([list(each.probabilities.values()) for each in found])


def take_statistics(classifier: SEMClassifier, images: Tensor, share: float) -> SEMClassifier:
    """A copy whose batch norms have ``share`` of their statistics from these images."""
    adapted = copy.deepcopy(classifier)
    adapt_batch_norm(adapted.net, torch.split(images, 32), share)
    return adapted


def train_itself(classifier: SEMClassifier, images: Tensor) -> SEMClassifier:
    """A copy trained on its own confident predictions, with balanced classes."""
    adapted = copy.deepcopy(classifier)
    adapted.net.freeze_stem()
    sure, labels = probabilities_of(classifier, images).max(1)
    kept = sure > SURE
    images, labels = images[kept], labels[kept].clone()
    counts = torch.bincount(labels, minlength=len(classifier.classes)).clamp(min=1)
    weights = len(labels) / (len(counts) * counts)
    adapted.eval()  # keeps batch norm statistics
    optimizer = torch.optim.AdamW([p for p in adapted.parameters() if p.requires_grad], lr=3e-4)
    generator = torch.Generator().manual_seed(0)
    for _ in range(EPOCHS):
        for chosen in torch.split(torch.randperm(len(labels), generator=generator), BATCH):
            loss = F.cross_entropy(adapted(images[chosen]).logits, labels[chosen], weight=weights)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return adapted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ckpt", default="robust")
    parser.add_argument("--images", type=int, default=300, help="unlabelled ones")
    arguments = parser.parse_args()
    classifier = load_classifier(arguments.ckpt)
    print("| style | as it is | statistics | half of the statistics | self-training |")
    print("| --- | --- | --- | --- | --- |")
    for name, style in STYLES.items():
        unlabelled, (images, labels) = draw(style, 0, arguments.images)[0], draw(style, 2, TESTED)
        cells = []
        for each in (
            classifier,
            take_statistics(classifier, unlabelled, 1.0),
            take_statistics(classifier, unlabelled, 0.5),
            train_itself(classifier, unlabelled),
        ):
            right = int((probabilities_of(each, images).argmax(1) == labels).sum())
            low, high = wilson_interval(right, TESTED)
            cells.append(f"{right / TESTED:.3f} [{low:.3f}, {high:.3f}]")
        print(f"| `{name}` | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
