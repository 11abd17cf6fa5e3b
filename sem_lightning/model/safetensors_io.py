"""Small classifier files in safetensors format: half-precision weights and everything that inference needs."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

from sem_lightning.model.model_settings import RECIPE_FIELDS
from sem_lightning.model.safetensors_reader import CONTENT, OOD, Array, checksum, read_content

_INFERENCE = ("network", "name", "pooling", "view_scales")  # the part of the recipe that inference needs


def write_safetensors(path: Path, state: dict[str, Any]) -> None:
    """Write the content of a checkpoint (see `sem_lightning.model.checkpoint`) without training state.

    Weights become float16; this changes probabilities in the third digit. The rule's arrays stay float32.
    """
    weights: dict[str, Tensor] = {
        name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in state["state_dict"].items()
    }
    rule = dict(state["decision_rule"])
    weights |= {f"{OOD}{name}": tensor for name, tensor in (rule.pop("ood") or {}).items()}
    weights = {name: tensor.contiguous() for name, tensor in weights.items()}
    recipe = {field.name for field in RECIPE_FIELDS}
    settings = {
        name: value
        for name, value in state["hyper_parameters"]["settings"].items()
        if name not in recipe or name in _INFERENCE
    }
    content = {"settings": settings, "rule": rule}
    digest = checksum(content, {name: tensor.numpy() for name, tensor in weights.items()})
    # as bytes, because an error of writing is then an OSError
    path.write_bytes(save(weights, {CONTENT: json.dumps(content | {"checksum": digest})}))


def read_safetensors(path: Path) -> dict[str, Any]:
    """Read a file of `write_safetensors` as the content of a checkpoint.

    Raises:
        UserError: No such file, a file of another kind, or a damaged one.
    """
    content = read_content(path)
    arrays = content.rule["ood"]
    ood = arrays and {name: torch.from_numpy(array) for name, array in arrays.items()}
    return {
        "state_dict": {name: _as_tensor(array) for name, array in content.weights.items()},
        "hyper_parameters": {"settings": content.settings},
        "decision_rule": {**content.rule, "ood": ood},
    }


def _as_tensor(array: Array) -> Tensor:
    """float32 for half precision, and whole numbers as they are."""
    return torch.from_numpy(array.astype(np.float32) if array.dtype == np.float16 else array)
