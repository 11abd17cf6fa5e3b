"""Opens classifiers, and the networks in them. Imports torch only for a network that torch runs."""

from pathlib import Path
from typing import Protocol

from sem_lightning.decision.rule import Rule
from sem_lightning.errors import SettingError
from sem_lightning.model.model_settings import ModelSettings
from sem_lightning.model.packaged import PACKAGED
from sem_lightning.runtime.exported_folder import FILES, ExportedModel, read_exported
from sem_lightning.runtime.network import InferenceNetwork
from sem_lightning.runtime.packaged_network import PackagedModel, has_runtime, open_packaged, read_packaged


class Model(Protocol):
    """A classifier: `sem_lightning.model.checkpoint.TrainedModel`, `ExportedModel`, or `PackagedModel`.

    Attributes:
        settings: Classes, image size and the other settings.
        rule: Maps scores to decisions.
    """

    settings: ModelSettings
    rule: Rule


def open_model(name: str | Path) -> Model:
    """A classifier for inference.

    Args:
        name: A checkpoint, a folder of sem-export, or ``robust`` for the classifier in the package.

    Raises:
        UserError: No such file, a damaged one, or none of this package.
    """
    if isinstance(name, str) and name in PACKAGED and has_runtime():
        return read_packaged(name)
    folder = Path(name).expanduser()
    if folder.is_dir() and name not in PACKAGED:
        exported = read_exported(folder)
        if exported.format != "torch":
            return exported
        from sem_lightning.runtime.torch_network import as_trained

        return as_trained(exported)
    from sem_lightning.model.checkpoint import load_model

    return load_model(name)


def open_network(model: Model, device: str, explain: bool = False) -> InferenceNetwork:
    """The network of a classifier, ready to run.

    Args:
        model: The classifier.
        device: The torch device, or ``auto``.
        explain: Whether its saliency will be asked for.

    Raises:
        SettingError: The device is not available, or a graph cannot do what is asked for.
        UserError: The extra that runs it is not installed.
    """
    if isinstance(model, ExportedModel):
        if device not in ("auto", "cpu"):
            raise SettingError(
                "device", f"found {device!r}; {model.folder} runs on the CPU: take cpu, or the checkpoint"
            )
        if explain:
            raise SettingError("explain", f"{model.folder} has no gradients; take the checkpoint, or format=torch")
        return _open_graph(model)
    if isinstance(model, PackagedModel):
        return open_packaged(model, device, explain)
    from sem_lightning.runtime.torch_network import open_trained

    return open_trained(model, device)


def _open_graph(model: ExportedModel) -> InferenceNetwork:
    graph, *weights = (model.files[name] for name in FILES[model.format])
    if model.format == "onnx":
        from sem_lightning.runtime.onnx_network import OnnxNetwork

        return OnnxNetwork(graph, str(model.folder))
    from sem_lightning.runtime.openvino_network import OpenVINONetwork

    return OpenVINONetwork(graph, weights[0], str(model.folder), model.precision)
