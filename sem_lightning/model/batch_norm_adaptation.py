"""Adapts batch norm statistics to unlabelled images."""

import copy
from collections.abc import Iterable

import torch
from torch import Tensor, nn


def adapt_batch_norm(network: nn.Module, batches: Iterable[Tensor], share: float = 0.5) -> None:
    """Move the statistics of all batch norms towards those of the given images, in place.

    Schneider et al., Improving robustness against common corruptions by covariate shift adaptation (NeurIPS 2020).
    ``benchmarks/adapt.py`` measures gain and cost for shares of 0.5 and 1.

    Args:
        network: In evaluation mode, with batch norms that are not folded.
        batches: Images, float32 [B, 1, H, W]. Every batch has the same weight, so batches should have similar sizes.
        share: 0 keeps the network's statistics, 1 takes those of the images.
    """
    measured = copy.deepcopy(network)
    theirs = [module for module in measured.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in theirs:
        norm.reset_running_stats()
        norm.momentum = None  # plain mean over batches
        norm.train()
    with torch.no_grad():
        for batch in batches:
            measured(batch)
    ours = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for own, other in zip(ours, theirs, strict=True):
        for name in ("running_mean", "running_var"):
            getattr(own, name).lerp_(getattr(other, name), share)
