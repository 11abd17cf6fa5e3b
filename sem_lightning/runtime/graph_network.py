"""What networks share that run as a graph, without torch and its gradients."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from sem_lightning.errors import SettingError, UserError
from sem_lightning.runtime.network import InferenceNetwork, NetworkArrays
from sem_lightning.synthesis.field import Float32

INPUT = "image"  # float32 [B, 1, H, W], all but the second of any size
OUTPUTS = ("logits", "features", "maps")  # see `NetworkArrays`, all float32
_TORCH_ONLY = "needs a network that torch runs: the checkpoint, or a folder of sem-export with format=torch"
_BATCH = 8  # images of the training size


class GraphNetwork(ABC):
    """A network in a graph.

    Args:
        with_torch: Opens the same network with torch, for what a graph cannot do; ``None`` if there is none.
    """

    batch_size = _BATCH
    any_batch = False

    def __init__(self, with_torch: Callable[[], InferenceNetwork] | None = None) -> None:
        self._with_torch = with_torch

    @abstractmethod
    def run(self, images: Float32) -> Mapping[str, Float32]:
        """The ``OUTPUTS`` for images, float32 [B, 1, H, W]."""

    def __call__(self, images: Float32) -> NetworkArrays:
        found = self.run(np.ascontiguousarray(images))
        logits, features = (found[name].astype(np.float64) for name in ("logits", "features"))
        return NetworkArrays(logits, features, found["maps"])

    def saliency(self, images: Float32, targets: npt.NDArray[np.int64]) -> Float32:
        return self._instead("explain").saliency(images, targets)

    def adapted(self, images: Float32) -> InferenceNetwork:
        return self._instead("adapt").adapted(images)

    def _instead(self, key: str) -> InferenceNetwork:
        if self._with_torch is None:
            raise SettingError(key, _TORCH_ONLY)
        return self._with_torch()


def check_names(found: list[str], name: str) -> None:
    """Check the outputs of a graph.

    Raises:
        UserError: It has others than ``OUTPUTS``.
    """
    if found != list(OUTPUTS):
        raise UserError(f"{name}: has the outputs {', '.join(found)}, expected {', '.join(OUTPUTS)}")


def thread_count() -> int | None:
    """``OMP_NUM_THREADS``, which torch obeys and other runtimes do not; ``None`` lets these choose."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    return int(given) if given.isdecimal() and int(given) > 0 else None
