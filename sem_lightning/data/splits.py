"""The four disjoint splits of a data set, and the order of the training split."""

import math
from collections.abc import Iterator, Mapping

import numpy as np

from sem_lightning.errors import SettingError

# The position is the split's number in the simulator's key (seed, split, index): never reorder.
SPLITS = ("train", "val", "test", "calibration")
MAX_PER_CLASS = 10_000_000  # images of a class
_LARGEST_SHARE = 1e9


class EpochSampler:
    """Shuffled indices of one epoch. The order depends only on seed and epoch, so a resumed run repeats it.

    Indices continue from epoch to epoch (``epoch * size + i``). A data set of fixed images takes them modulo its size.

    Args:
        size: Images in an epoch.
        seed: Seed of the order.
        group: Number of neighbouring indices that stay together; a divisor of ``size``. 2 with ``paired_negatives``.
        rank: Number of this process. The processes take the groups of images in turn.
        ranks: Number of processes that share an epoch; a remainder is left out.
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
    """Check that shares name every split once and are neither negative nor all zero.

    Raises:
        SettingError: For the key ``shares``.
    """
    numbers = list(shares.values())
    if set(shares) != set(SPLITS) or not all(0 <= each <= _LARGEST_SHARE for each in numbers) or sum(numbers) < 1e-6:
        raise SettingError(
            "shares",
            f"found {dict(shares)}, expected a share from 0 to {_LARGEST_SHARE:g} for each of {', '.join(SPLITS)}, not "
            "all 0",
        )
