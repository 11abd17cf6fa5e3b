"""Small classifier files in safetensors format: half-precision weights and everything that inference needs."""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from sem_lightning.errors import UserError
from sem_lightning.model.model_settings import RECIPE_FIELDS
from sem_lightning.version import PACKAGE_FOLDER

SUFFIX = ".safetensors"
# Of classifiers in the package that were written before files had a checksum; writing one again would add another 10 MB
# to the repository's history.
_PACKAGED = {"robust.safetensors": "758a4ffad76da0173b826dd69cd11253"}
_CONTENT = "sem-lightning"  # key of the metadata; one, because safetensors stores several in any order
_OOD = "ood."
_INFERENCE = ("network", "name", "pooling", "view_scales")  # the part of the recipe that inference needs


def write_safetensors(path: Path, state: dict[str, Any]) -> None:
    """Write the content of a checkpoint (see `sem_lightning.model.checkpoint`) without training state.

    Weights become float16; this changes probabilities in the third digit. The rule's arrays stay float32.
    """
    weights: dict[str, Tensor] = {
        name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in state["state_dict"].items()
    }
    rule = dict(state["decision_rule"])
    weights |= {f"{_OOD}{name}": tensor for name, tensor in (rule.pop("ood") or {}).items()}
    recipe = {field.name for field in RECIPE_FIELDS}
    settings = {
        name: value
        for name, value in state["hyper_parameters"]["settings"].items()
        if name not in recipe or name in _INFERENCE
    }
    content = {"settings": settings, "rule": rule}
    text = json.dumps(content | {"checksum": _checksum(content, weights)})
    # as bytes, because an error of writing is then an OSError
    path.write_bytes(save({name: tensor.contiguous() for name, tensor in weights.items()}, {_CONTENT: text}))


def read_safetensors(path: Path) -> dict[str, Any]:
    """Read a file of `write_safetensors` as the content of a checkpoint.

    Raises:
        UserError: No such file, a file of another kind, or a damaged one.
    """
    expected = "a classifier that sem-calibrate wrote"
    if not path.is_file():
        raise UserError(f"{path}: No such file or directory")
    try:
        with safe_open(path, framework="pt") as file:
            content = dict(json.loads((file.metadata() or {})[_CONTENT]))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        in_package = path.parent == PACKAGE_FOLDER / "weights"
        wanted = content.pop("checksum", _PACKAGED.get(path.name) if in_package else None)
        if wanted is not None and _checksum(content, tensors) != wanted:
            raise UserError(f"{path}: damaged, its checksum is wrong; copy the file again")
        if "hyper_parameters" in content:
            content, tensors = _translate(content, tensors)
        tensors = {name: tensor.float() if tensor.dtype == torch.half else tensor for name, tensor in tensors.items()}
        arrays = {name.removeprefix(_OOD): tensors.pop(name) for name in list(tensors) if name.startswith(_OOD)}
        return {
            "state_dict": tensors,
            "hyper_parameters": {"settings": dict(content["settings"])},
            "decision_rule": {**content["rule"], "ood": arrays or None},
        }
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{path}: not {expected} ({type(error).__name__} while reading it)") from None


def _checksum(content: dict[str, Any], tensors: dict[str, Tensor]) -> str:
    """A digest of the settings and of the names, types, shapes and values of the tensors."""
    digest = hashlib.blake2b(json.dumps(content).encode(), digest_size=16)
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _translate(content: dict[str, Any], tensors: dict[str, Tensor]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Translate the earlier names in the file of the packaged classifier to the current ones.

    Writing the file again would add another 10 MB to the repository's history.
    """
    settings, rule = dict(content["hyper_parameters"]), dict(content["rule"])
    settings["view_scales"] = settings.pop("scales")
    settings["pooling"] = {"peaks": "peak_statistics"}.get(settings["pooling"], settings["pooling"])
    rule["ood_limit"], rule["risk_bound"] = rule.pop("distance"), rule.pop("promise")
    prefixes = {
        "familiarity.": _OOD,
        "net.backbone.fc.": "net.class_head.",
        "net.peaks.": "net.peak_head.",
    }
    renamed = {}
    for name, tensor in tensors.items():
        old = next((prefix for prefix in prefixes if name.startswith(prefix)), "")
        renamed[prefixes.get(old, "") + name.removeprefix(old)] = tensor
    return {"settings": settings, "rule": rule}, renamed
