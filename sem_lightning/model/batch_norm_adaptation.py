"""Adapting batch norms to unlabelled images."""

import copy
from collections.abc import Iterable

import torch
from torch import Tensor, nn


def adapt_batch_norm(network: nn.Module, batches: Iterable[Tensor], share: float = 0.5) -> None:
    """Move the statistics of all batch norms towards those of other images, in place.

    Schneider et al., Improving robustness against common corruptions by covariate shift adaptation (NeurIPS 2020).
    ``benchmarks/adapt.py`` measures what shares of 0.5 and 1 gain and cost.

    Args:
        network: In evaluation mode, its batch norms not folded.
        batches: Of images, float32 [B, 1, H, W]. Every batch has the same weight, so they should be of similar size.
        share: 0 keeps the network's statistics, 1 takes those of the images.
    """
    measured = copy.deepcopy(network)
    theirs = [module for module in measured.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in theirs:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over batches
        norm.train()
    with torch.no_grad():
        for batch in batches:
            measured(batch)
    ours = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for own, other in zip(ours, theirs, strict=True):
        for name in ("running_mean", "running_var"):
            getattr(own, name).lerp_(getattr(other, name), share)
