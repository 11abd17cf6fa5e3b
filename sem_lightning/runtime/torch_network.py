"""A network that torch runs."""

import copy

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sem_lightning.model.batch_norm_adaptation import adapt_batch_norm
from sem_lightning.model.device import choose_device
from sem_lightning.model.network import ClassifierNetwork
from sem_lightning.model.saliency import saliency
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
