"""Training recipes for better generalisation, tested on presets that training left out.

python benchmarks/recipes.py [--seeds 0] [--recipes "as it is" AugMix] [--left-out imaging=low_dose]    10 minutes each

The trainings of leave_one_out.py (ResNet10, fields of 64 pixels) without one preset, tested on this preset and on the
others. Each recipe changes one thing:

- blur-pool: the output of the stem's max-pooling is smoothed before subsampling (Zhang, ICML 2019)
- no max-pool: every feature map has twice the pixels along each side
- larger input: the image is enlarged twice
- equalised: grey levels are replaced by their ranks, which removes tone curves
- AugMix: model.augmix_weight=4
"""

import argparse
import dataclasses
import time
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from leave_one_out import AXES, TESTED, count_right, describe, train_on
from torch import Tensor, nn

from sem_lightning.model.classifier import SEMClassifier
from sem_lightning.training.trainer import quiet_lightning

LEFT_OUT = ("imaging=low_dose", "pattern=freeform", "imaging=review_sem")
AUGMIX_WEIGHT = 4.0


class Blur(nn.Module):
    """Binomial smoothing of each channel and subsampling by 2."""

    def forward(self, x: Tensor) -> Tensor:
        taps = torch.tensor([1.0, 2.0, 1.0], dtype=x.dtype, device=x.device) / 4
        kernel = torch.outer(taps, taps).expand(x.shape[1], 1, 3, 3)
        return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), kernel, stride=2, groups=x.shape[1])


def blur_pool(classifier: SEMClassifier) -> None:
    classifier.net.backbone.maxpool = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), Blur())


def no_max_pool(classifier: SEMClassifier) -> None:
    classifier.net.backbone.maxpool = nn.Identity()


def before_looking(classifier: SEMClassifier, prepare: Callable[[Tensor], Tensor]) -> None:
    classifier.net.register_forward_pre_hook(lambda net, inputs: (prepare(inputs[0]),))


def enlarge(image: Tensor) -> Tensor:
    return F.interpolate(image, scale_factor=2, mode="bilinear", align_corners=False)


def equalise(image: Tensor) -> Tensor:
    flat = image.flatten(1)
    levels = flat.sort(dim=1).values
    ranks = torch.searchsorted(levels, flat) + torch.searchsorted(levels, flat, right=True)  # ties in the middle
    return (ranks.to(image.dtype) / (2 * flat.shape[1])).view_as(image)


def augmix(classifier: SEMClassifier) -> None:
    classifier.settings = dataclasses.replace(classifier.settings, augmix_weight=AUGMIX_WEIGHT)


RECIPES: dict[str, Callable[[SEMClassifier], None] | None] = {
    "as it is": None,
    "blur-pool": blur_pool,
    "no max-pool": no_max_pool,
    "larger input": lambda classifier: before_looking(classifier, enlarge),
    "equalised": lambda classifier: before_looking(classifier, equalise),
    "AugMix": augmix,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--recipes", nargs="+", default=list(RECIPES), choices=list(RECIPES))
    parser.add_argument("--left-out", nargs="+", default=list(LEFT_OUT), choices=LEFT_OUT)
    arguments = parser.parse_args()
    quiet_lightning()
    print("| recipe | left out | seed | on what it left out | on the others | seconds |")
    print("| --- | --- | ---: | --- | ---: | ---: |")
    for seed in arguments.seeds:
        for axis, _, name in (each.partition("=") for each in arguments.left_out):
            others = [other for other in AXES[axis] if other != name]
            for recipe in arguments.recipes:
                started = time.perf_counter()
                classifier = train_on(others, axis, seed, RECIPES[recipe])
                seconds = time.perf_counter() - started
                seen = np.mean([count_right(classifier, other, axis, seed) for other in others]) / TESTED
                found = describe(count_right(classifier, name, axis, seed))
                print(f"| {recipe} | `{axis}={name}` | {seed} | {found} | {seen:.3f} | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()
