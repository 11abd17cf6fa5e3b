"""A network that torch runs."""

import copy

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from sem_lightning.errors import UserError
from sem_lightning.model.batch_norm_adaptation import adapt_batch_norm
from sem_lightning.model.checkpoint import TrainedModel, load_model
from sem_lightning.model.device import choose_device
from sem_lightning.model.network import ClassifierNetwork, build_network
from sem_lightning.model.saliency import saliency
from sem_lightning.runtime.exported_folder import FILES, ExportedModel
from sem_lightning.runtime.network import NetworkArrays
from sem_lightning.synthesis.field import Float32

_BATCH = {"cpu": 8}  # images of the training size
_BATCH_ELSEWHERE = 64
_ADAPTED_AT_ONCE = 32  # images


class TorchNetwork:
    """A float32 copy of a network, on a device, with folded batch norms.

    Args:
        trained: The network; it is not changed.
        device: The torch device, or ``auto``.

    Raises:
        SettingError: The device is not available.
    """

    any_batch = False

    def __init__(self, trained: ClassifierNetwork, device: str) -> None:
        self.device = torch.device(choose_device(device))
        self.batch_size = _BATCH.get(self.device.type, _BATCH_ELSEWHERE)
        self._trained = trained
        net = copy.deepcopy(trained).eval().float().to(self.device)
        net.fold_batch_norm()
        self.net = net.to(memory_format=torch.channels_last)

    def __call__(self, images: Float32) -> NetworkArrays:
        with torch.inference_mode():
            output = self.net(self._on_device(images).contiguous(memory_format=torch.channels_last))
            maps = output.maps[0].softmax(dim=1).cpu().numpy()
        return NetworkArrays(output.logits.double().cpu().numpy(), output.features.double().cpu().numpy(), maps)

    def saliency(self, images: Float32, targets: npt.NDArray[np.int64]) -> Float32:
        return saliency(self.net, self._on_device(images), torch.from_numpy(targets).to(self.device))

    def adapted(self, images: Float32) -> "TorchNetwork":
        net = copy.deepcopy(self._trained).eval().float().to(self.device)
        adapt_batch_norm(net, torch.tensor_split(self._on_device(images), -(-len(images) // _ADAPTED_AT_ONCE)))
        return TorchNetwork(net, str(self.device))

    def _on_device(self, images: Float32) -> Tensor:
        return torch.from_numpy(images[:, 0]).unsqueeze(1).to(self.device)


def open_trained(model: object, device: str) -> TorchNetwork:
    """The network of a `TrainedModel`; typed so that those who ask need not import torch to name it."""
    assert isinstance(model, TrainedModel)
    return TorchNetwork(model.net, device)


def open_checkpoint(name: str, device: str) -> TorchNetwork:
    """The network of a checkpoint; see `load_model`."""
    return TorchNetwork(load_model(name).net, device)


def as_trained(model: ExportedModel) -> TrainedModel:
    """The classifier in a folder of ``format=torch``.

    Raises:
        UserError: Its weights do not fit its network, or its network is not installed.
    """
    settings = model.settings
    (name,) = FILES["torch"]
    try:
        net = build_network(settings.network, settings.name, len(settings.classes), settings.pooling)
        net.load_state_dict(load(model.files[name]), assign=True)
    except (SafetensorError, RuntimeError, ValueError, TypeError) as error:
        raise UserError(f"{model.folder / name}: not the weights of its network ({type(error).__name__})") from None
    return TrainedModel(settings, net.to(memory_format=torch.channels_last).eval(), model.rule)
