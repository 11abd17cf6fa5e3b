"""Writes a network as a graph of ONNX or OpenVINO."""

import copy
import tempfile
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from sem_lightning.errors import UserError
from sem_lightning.model.network import ClassifierNetwork
from sem_lightning.runtime.graph_network import INPUT, OUTPUTS
from sem_lightning.runtime.openvino_network import core_of_process, import_openvino

OPSET = 17  # of ONNX, 2022
_FREE = {INPUT: {0: "batch", 2: "height", 3: "width"}, "logits": {0: "batch"}, "features": {0: "batch"}}
_FREE_MAPS = {"maps": {0: "batch", 2: "rows", 3: "columns"}}


class _Outputs(nn.Module):
    """What the Predictor takes from a network, see `sem_lightning.runtime.network.NetworkArrays`."""

    def __init__(self, net: ClassifierNetwork) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        found = self.net(image)
        return found.logits, found.features, found.maps[0].softmax(dim=1)


def onnx_graph(trained: ClassifierNetwork, image_size: int, folded: bool = True) -> bytes:
    """The network as an ONNX graph with all its weights, of free batch size, height and width.

    Args:
        trained: The network; it is not changed.
        image_size: Image size of training, in pixels, of the example that is traced.
        folded: Whether batch norms are folded into the convolutions.

    Raises:
        UserError: The network cannot be traced.
    """
    net = copy.deepcopy(trained).eval().float().to("cpu")
    if folded:
        net.fold_batch_norm()
    example = torch.rand(2, 1, image_size, image_size, generator=torch.Generator().manual_seed(0))  # 1 would be frozen
    try:
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            # The exporter that torch prefers now needs another package and gave wrong numbers for ResNets with some
            # versions of it. This one traces; parity is checked after every export.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                _Outputs(net),
                (example,),
                Path(folder) / "network.onnx",
                dynamo=False,
                opset_version=OPSET,
                input_names=[INPUT],
                output_names=list(OUTPUTS),
                dynamic_axes=_FREE | _FREE_MAPS,
                do_constant_folding=folded,
            )
            return (Path(folder) / "network.onnx").read_bytes()
    except (RuntimeError, TypeError, ImportError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"the network cannot be exported as a graph ({reason}); use format=torch") from None


def openvino_graph(graph: bytes, name: str) -> tuple[bytes, bytes]:
    """An ONNX graph as OpenVINO's graph and its weights.

    Raises:
        UserError: The extra ``openvino`` is not installed.
    """
    openvino = import_openvino(name)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.xml"
        openvino.save_model(core_of_process(openvino).read_model(graph), path, compress_to_fp16=False)
        return path.read_bytes(), path.with_suffix(".bin").read_bytes()
