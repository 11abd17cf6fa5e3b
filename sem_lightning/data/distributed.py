"""Training with several processes: which process takes which images, and how results are gathered."""

from typing import Any

import torch.distributed as distributed


def rank() -> int:
    """The number of this process; 0 for a single process."""
    return distributed.get_rank() if _several() else 0


def world_size() -> int:
    """The number of processes that train together."""
    return distributed.get_world_size() if _several() else 1


def gather(item: Any) -> list[Any]:
    """The items of all processes, in order. Every process must call this."""
    if not _several():
        return [item]
    items: list[Any] = [None] * world_size()
    distributed.all_gather_object(items, item)
    return items


def _several() -> bool:
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1
