"""Several processes that train one classifier: who takes which images, and how answers come together again."""

from typing import Any

import torch.distributed as distributed


def rank() -> int:
    """The number of this process, 0 where it is alone."""
    return distributed.get_rank() if _several() else 0


def world_size() -> int:
    """How many processes train together."""
    return distributed.get_world_size() if _several() else 1


def gather(item: Any) -> list[Any]:
    """What every process has, in their order; all of them have to ask."""
    if not _several():
        return [item]
    items: list[Any] = [None] * world_size()
    distributed.all_gather_object(items, item)
    return items


def _several() -> bool:
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1
