"""Opens classifiers, and the networks in them. Imports torch only for a network that torch runs."""

from pathlib import Path
from typing import TYPE_CHECKING

from sem_lightning.runtime.network import InferenceNetwork

if TYPE_CHECKING:
    from sem_lightning.model.checkpoint import TrainedModel


def open_model(name: str | Path) -> "TrainedModel":
    """A classifier; see `sem_lightning.model.checkpoint.load_model`."""
    from sem_lightning.model.checkpoint import load_model

    return load_model(name)


def open_network(model: "TrainedModel", device: str) -> InferenceNetwork:
    """The network of a classifier, ready to run.

    Args:
        model: The classifier.
        device: The torch device, or ``auto``.

    Raises:
        SettingError: The device is not available.
    """
    from sem_lightning.runtime.torch_network import TorchNetwork

    return TorchNetwork(model.net, device)
