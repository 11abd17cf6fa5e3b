"""Interpolates the weights of a network, including batch norm statistics."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn


def interpolate_weights(net: nn.Module, start: Mapping[str, Tensor], alpha: float) -> None:
    """WiSE-FT: ``start + alpha (net - start)``, in place.

    Networks between the weights before and after fine-tuning are often more accurate on both distributions than either
    end point (Wortsman et al., Robust fine-tuning of zero-shot models, CVPR 2022).

    Args:
        net: The network after fine-tuning.
        start: State dict of the same network before fine-tuning.
        alpha: 0 is ``start``, 1 leaves ``net`` as it is.
    """
    with torch.no_grad():
        for name, value in net.state_dict().items():
            if value.is_floating_point():
                value.lerp_(start[name], 1 - alpha)


def average_weights(net: nn.Module, others: Sequence[nn.Module]) -> None:
    """A uniform model soup: set ``net`` to the mean weights of ``net`` and ``others``.

    If the trainings started from the same weights, the mean is often more accurate on out-of-distribution images than
    each network (Wortsman et al., Model soups, ICML 2022).
    """
    for number, other in enumerate(others, start=2):
        interpolate_weights(net, other.state_dict(), 1 - 1 / number)
