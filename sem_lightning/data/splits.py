"""The four disjoint parts of a data set, and the order in which training walks through its own."""

import math
from collections.abc import Iterator, Mapping

import numpy as np

from sem_lightning.errors import SettingError

# The position is the split's number in the simulator's key (seed, split, index): never reorder.
SPLITS = ("train", "val", "test", "calibration")


class EpochSampler:
    """Indices of one epoch in a new order, a function of seed and epoch alone: a resumed run sees what it would have.

    Indices count on from epoch to epoch (``epoch * size + i``); a data set of fixed images takes them modulo its size.

    Args:
        size: Images in an epoch.
        seed: Seed of the order.
        group: Neighbouring indices that stay together, 2 for paired negatives; ``size`` is a multiple of it.
        rank: Number of this process; of every group of images in turn each process takes another one.
        ranks: How many processes share an epoch; what does not divide by them is left out.
    """

    def __init__(self, size: int, seed: int, group: int = 1, rank: int = 0, ranks: int = 1) -> None:
        self.size = size
        self.seed = seed
        self.group = group
        self.rank = rank
        self.ranks = ranks
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.size // self.group // self.ranks * self.group

    def __iter__(self) -> Iterator[int]:
        groups = np.random.default_rng([self.seed, self.epoch]).permutation(self.size // self.group)
        groups = groups[: len(groups) // self.ranks * self.ranks][self.rank :: self.ranks]
        indices = groups[:, None] * self.group + np.arange(self.group)
        return iter((self.epoch * self.size + indices.ravel()).tolist())


def split_counts(count: int, shares: Mapping[str, float]) -> dict[str, int]:
    """Divide ``count`` images between the splits in proportion to their shares; the parts add up to ``count``."""
    bounds = np.cumsum([shares[split] for split in SPLITS])
    ends = [math.floor(bound / bounds[-1] * count + 0.5) for bound in bounds]
    return {split: end - start for split, start, end in zip(SPLITS, [0, *ends[:-1]], ends, strict=True)}


def check_shares(shares: Mapping[str, float]) -> None:
    """Refuse shares that do not name every split once, or that are negative or all zero.

    Raises:
        SettingError: For the key ``shares``.
    """
    if set(shares) != set(SPLITS) or min(shares.values()) < 0 or sum(shares.values()) <= 0:
        raise SettingError("shares", f"found {dict(shares)}, expected a share from 0 for each of {', '.join(SPLITS)}")
