"""Classifiers in a small file: half-precision weights, and all that prediction needs, as safetensors."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from sem_lightning.errors import UserError

SUFFIX = ".safetensors"
_FACTS = ("classes", "image_size", "pixel_size", "polarity", "network", "pooling", "scales", "folder", "seed")
_FAMILIARITY = "familiarity."


def write_compact(path: Path, state: dict[str, Any], rule_key: str) -> None:
    """Write the content of a checkpoint without what only training needs.

    Weights become float16, which changes probabilities in the third digit; the rule's own arrays stay float32.
    """
    weights: dict[str, Tensor] = {
        name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in state["state_dict"].items()
    }
    rule = dict(state[rule_key])
    familiarity = rule.pop("familiarity")
    weights |= {f"{_FAMILIARITY}{name}": tensor for name, tensor in (familiarity or {}).items()}
    facts = {name: value for name, value in state["hyper_parameters"].items() if name in _FACTS}
    text = json.dumps({"hyper_parameters": facts, "rule": rule})
    save_file({name: tensor.contiguous() for name, tensor in weights.items()}, path, {"sem-lightning": text})


def read_compact(path: Path, rule_key: str) -> dict[str, Any]:
    """The content of a checkpoint, from what `write_compact` wrote.

    Raises:
        UserError: No such file, or not such a one.
    """
    expected = "a classifier that sem-calibrate wrote"
    if not path.is_file():
        raise UserError(f"{path}: No such file or directory")
    try:
        with safe_open(path, framework="pt") as file:
            content = json.loads((file.metadata() or {})["sem-lightning"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        tensors = {name: tensor.float() if tensor.dtype == torch.half else tensor for name, tensor in tensors.items()}
        known = [name for name in tensors if name.startswith(_FAMILIARITY)]
        arrays = {name.removeprefix(_FAMILIARITY): tensors.pop(name) for name in known}
        return {
            "state_dict": tensors,
            "hyper_parameters": dict(content["hyper_parameters"]),
            rule_key: {**content["rule"], "familiarity": arrays or None},
        }
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not {expected} ({type(error).__name__} while reading it)") from None
