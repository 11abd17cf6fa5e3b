"""Checks that an exported network gives what the trained one gave."""

from collections.abc import Sequence

import numpy as np

from sem_lightning.decision.rule import Rule
from sem_lightning.decision.scores import Floats
from sem_lightning.errors import UserError
from sem_lightning.runtime.network import InferenceNetwork
from sem_lightning.synthesis.field import Float32

BATCH_SIZES = (1, 2, 16)
TOLERANCE = 1e-3  # of logits in float32
_SHAPES = ((0.75, 1.25), (1.5, 1.0))  # height and width of two more images, times those of training


def check_parity(network: InferenceNetwork, trained: InferenceNetwork, images: Sequence[Float32], rule: Rule) -> float:
    """Check logits and decisions for images of one shape, at several batch sizes, and for two other shapes.

    Args:
        network: The exported network.
        trained: The one it was made from.
        images: float32 [H, W].
        rule: The rule of both.

    Returns:
        The largest difference of logits.

    Raises:
        UserError: The logits differ by more than the tolerance, or a decision differs.
    """
    expected, features = _run(trained, images, BATCH_SIZES[-1])
    decisions = rule.decide(expected, features).decisions
    worst = 0.0
    for size in BATCH_SIZES:
        logits, features = _run(network, images, size)
        worst = max(worst, _difference(logits, expected, f"at batch size {size}"))
        differing = np.flatnonzero(rule.decide(logits, features).decisions != decisions)
        if len(differing):
            raise UserError(
                f"the exported network decides otherwise about {len(differing)} of {len(images)} images at batch size "
                f"{size}, the first number {differing[0]}"
            )
    for tall, wide in _SHAPES:
        shape = tuple(round(side * times / 2) * 2 for side, times in zip(images[0].shape, (tall, wide), strict=True))
        others = [np.resize(image, shape).astype(np.float32) for image in images[:3]]
        there = _difference(_run(network, others, 3)[0], _run(trained, others, 3)[0], f"for images of {shape} pixels")
        worst = max(worst, there)
    return worst


def _run(network: InferenceNetwork, images: Sequence[Float32], size: int) -> tuple[Floats, Floats]:
    found = [network(np.stack(images[start : start + size])[:, None]) for start in range(0, len(images), size)]
    return np.concatenate([each.logits for each in found]), np.concatenate([each.features for each in found])


def _difference(logits: Floats, expected: Floats, where: str) -> float:
    worst = float(np.abs(logits - expected).max())
    if not worst <= TOLERANCE:
        raise UserError(f"the exported network's logits differ by {worst:.2g} {where}, expected at most {TOLERANCE}")
    return worst
