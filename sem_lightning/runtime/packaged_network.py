"""The classifiers in the package, without torch where another runtime is installed.

Beside the weights of each lies a graph that names their places in the file; `sem_lightning.export.weightless` makes it.
"""

import hashlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from sem_lightning.decision.rule import Rule
from sem_lightning.errors import UserError
from sem_lightning.model.model_settings import ModelSettings
from sem_lightning.model.packaged import PACKAGED
from sem_lightning.model.safetensors_reader import read_content
from sem_lightning.runtime.graph_network import GraphNetwork
from sem_lightning.runtime.network import InferenceNetwork

_GRAPHS = {
    "robust": "c182e5a054ccece094e61d0956c749b8",
    "places": "c9a4cfc48d9926ef9064733d18e8d26c",
}  # their checksums
_NVIDIA = Path("/dev/nvidia0")  # to ask torch for a GPU would take seconds


@dataclass
class PackagedModel:
    """A classifier in the package.

    Attributes:
        settings: Settings of the classifier.
        rule: Maps scores to decisions.
        name: A key of ``PACKAGED``.
    """

    settings: ModelSettings
    rule: Rule
    name: str


def has_runtime() -> bool:
    """Whether something else than torch can run graphs."""
    return any(find_spec(name) is not None for name in ("openvino", "onnxruntime"))


def read_packaged(name: str) -> PackagedModel:
    """A classifier in the package.

    Raises:
        UserError: Its file is damaged.
    """
    content = read_content(PACKAGED[name])
    return PackagedModel(ModelSettings.from_dict(content.settings), Rule.from_dict(content.rule), name)


def open_packaged(model: PackagedModel, device: str, explain: bool) -> InferenceNetwork:
    """Its network: a graph on the CPU. Torch runs it on a GPU, and where gradients are asked for.

    Raises:
        SettingError: The device is not available.
        UserError: The graph is damaged.
    """

    def with_torch(device: str = "cpu") -> InferenceNetwork:
        from sem_lightning.runtime.torch_network import open_checkpoint

        return open_checkpoint(model.name, device)

    if explain or device not in ("auto", "cpu") or (device == "auto" and _NVIDIA.exists()):
        return with_torch(device)
    path = PACKAGED[model.name].with_suffix(".onnx")
    if not path.is_file() or hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest() != _GRAPHS[model.name]:
        raise UserError(f"{path}: missing or damaged; install sem-lightning again")
    graph: GraphNetwork
    if find_spec("openvino") is not None:
        from sem_lightning.runtime.openvino_network import OpenVINONetwork

        graph = OpenVINONetwork(path, None, model.name, with_torch=with_torch)
    else:
        from sem_lightning.runtime.onnx_network import OnnxNetwork

        graph = OnnxNetwork(path, model.name, with_torch)
    return graph
