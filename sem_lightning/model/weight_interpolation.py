"""Interpolating the weights of one network, batch norms' statistics included."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn


def interpolate_weights(net: nn.Module, start: Mapping[str, Tensor], alpha: float) -> None:
    """WiSE-FT: ``start + alpha (net - start)``, in place.

    Between the weights before and after fine-tuning lie networks that do better on what either knows than both
    (Wortsman et al., Robust fine-tuning of zero-shot models, CVPR 2022).

    Args:
        net: After fine-tuning.
        start: A state of the same network before it.
        alpha: 0 is ``start``, 1 leaves ``net`` as it is.
    """
    with torch.no_grad():
        for name, value in net.state_dict().items():
            if value.is_floating_point():
                value.lerp_(start[name], 1 - alpha)


def average_weights(net: nn.Module, others: Sequence[nn.Module]) -> None:
    """A uniform model soup: the mean of several networks' weights, into ``net``.

    Of trainings that began with the same weights it often does better on images unlike the training ones than each of
    them (Wortsman et al., Model soups, ICML 2022).
    """
    for number, other in enumerate(others, start=2):
        interpolate_weights(net, other.state_dict(), 1 - 1 / number)
