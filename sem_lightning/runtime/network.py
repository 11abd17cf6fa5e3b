"""What the Predictor needs of a network, whatever runs it."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from sem_lightning.decision.scores import Floats
from sem_lightning.synthesis.field import Float32


@dataclass(frozen=True)
class NetworkArrays:
    """The output of a network for a batch.

    Attributes:
        logits: Class logits of each image, float64 [B, C].
        features: See `sem_lightning.model.network.NetworkOutput`, float64 [B, D].
        maps: Class probabilities of each cell of the finer map, float32 [B, C, H/16, W/16].
    """

    logits: Floats
    features: Floats
    maps: Float32


class InferenceNetwork(Protocol):
    """A network that maps images to numbers, and what some networks do besides.

    Attributes:
        batch_size: Number of images of the training size that it runs at once.
        any_batch: Whether an image has the same numbers in any batch, to the last bit. If not, all batches are made
            equally long.
    """

    batch_size: int
    any_batch: bool

    def __call__(self, images: Float32) -> NetworkArrays:
        """Run images, float32 [B, 1, H, W], of any brightness scale."""
        ...

    def saliency(self, images: Float32, targets: npt.NDArray[np.int64]) -> Float32:
        """The effect of each pixel on the logit of each image's target class, float32 [B, H, W], at most 1.

        Raises:
            UserError: The extra ``explain`` is not installed.
            SettingError: The network has no gradients.
        """
        ...

    def adapted(self, images: Float32) -> "InferenceNetwork":
        """The network with batch norm statistics halfway to those of images, float32 [N, 1, H, W].

        Raises:
            SettingError: The network has no batch norms of its own.
        """
        ...
