"""Reads checkpoints without unpickling, and replaces the rule or the weights in them.

A checkpoint holds ``state_dict``, ``hyper_parameters`` (``settings``: `ModelSettings` as plain values) and
``decision_rule``. A checkpoint of a resumable training also holds the optimiser's state.
"""

import io
import stat
import warnings
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sem_lightning.decision.rule import Rule
from sem_lightning.errors import SettingError, UserError
from sem_lightning.io.atomic import write_atomically
from sem_lightning.model.model_settings import ModelSettings
from sem_lightning.model.network import ClassifierNetwork, build_network
from sem_lightning.model.packaged import find_checkpoint
from sem_lightning.model.safetensors_io import read_safetensors, write_safetensors
from sem_lightning.model.safetensors_reader import SUFFIX

_OF_TRAINING = ("optimizer_states", "lr_schedulers", "loops", "callbacks")  # valid only for the trained weights
_NET = "net."  # prefix of the weights of `SEMClassifier` in a checkpoint


@dataclass
class TrainedModel:
    """A network with its settings and decision rule.

    Attributes:
        settings: Classes, image size and the other settings in the checkpoint.
        net: In evaluation mode.
        rule: Maps scores to decisions.
    """

    settings: ModelSettings
    net: ClassifierNetwork
    rule: Rule


def load_model(name: str | Path) -> TrainedModel:
    """A trained model on the CPU. Nothing is unpickled, and no code named in the file is run.

    Args:
        name: A checkpoint, or ``robust`` for the classifier in the package.

    Raises:
        UserError: No such file, not a checkpoint of this package, or its network is not installed.
    """
    path = find_checkpoint(name)
    state = read_checkpoint(path)
    try:
        settings = ModelSettings.from_dict(state["hyper_parameters"]["settings"])
        net = build_network(settings.network, settings.name, len(settings.classes), settings.pooling)
        weights = {name.removeprefix(_NET): value for name, value in state["state_dict"].items()}
        net.load_state_dict(weights, assign=True)
        rule = Rule.from_dict(state["decision_rule"]) if "decision_rule" in state else Rule()
        if rule.ood is not None and rule.ood.means.shape != (len(settings.classes), net.num_features):
            raise ValueError("the decision rule is for another network")
    except SettingError as error:
        raise UserError(f"{path}: {error}") from None
    except (TypeError, ValueError, RuntimeError, LookupError, AttributeError) as error:
        raise UserError(f"{path}: written by another version of sem-lightning ({str(error).splitlines()[0]})") from None
    return TrainedModel(settings, net.to(memory_format=torch.channels_last).eval(), rule)


def load_tensors(path: Path, expected: str) -> dict[str, Any]:
    """Load a file of ``torch.save`` with only tensors and plain values, on the CPU.

    Raises:
        UserError: No such file, or not such a dictionary; the message names ``expected``.
    """
    damaged, content = None, None
    try:
        kind = path.stat().st_mode
        if not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):  # opening a pipe would block
            raise UserError(f"{path}: is no file but a pipe or a device; expected {expected}")
        if zipfile.is_zipfile(path):  # not so in PyTorch's format before 2020, which ImageNet weights may have
            damaged = _find_damage(path)
        if damaged is None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch remarks on formats of foreign files, which are refused anyway
                content = torch.load(path, map_location="cpu", weights_only=True)
    except UserError:
        raise
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from None
    except Exception as error:  # the restricted unpickler raises many types of errors on foreign files
        raise UserError(f"{path}: not {expected} ({type(error).__name__} while reading it)") from None
    if damaged is not None:
        raise UserError(f"{path}: damaged, the checksum of {damaged} is wrong; copy the file again or train again")
    if not isinstance(content, dict):
        raise UserError(f"{path}: not {expected}")
    return content


def _find_damage(path: Path) -> str | None:
    """The first part of the file with a wrong checksum. ``torch.save`` writes one for each tensor; nothing checks it.

    Raises:
        ValueError: Compressed parts, which ``torch.save`` does not write and which could be of any size.
    """
    with zipfile.ZipFile(path) as archive:
        if any(part.compress_type != zipfile.ZIP_STORED for part in archive.infolist()):
            raise ValueError("compressed")
        return archive.testzip()


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read the content of a checkpoint of this package.

    Raises:
        UserError: No such file, not a checkpoint of this package, a damaged one, or weights that are not finite.
    """
    if path.is_dir():
        raise UserError(f"{path}: Is a directory; expected a checkpoint (a folder of sem-export only judges images)")
    state = read_safetensors(path) if path.suffix == SUFFIX else _read_torch(path)
    for name, value in state["state_dict"].items():
        if not isinstance(value, Tensor) or value.layout != torch.strided or value.is_complex():
            raise UserError(f"{path}: not a checkpoint of sem-lightning, {name} is no tensor of real numbers")
        if not value.isfinite().all():
            raise UserError(f"{path}: the weights {name} are NaN or infinite; take another checkpoint or train again")
    return state


def _read_torch(path: Path) -> dict[str, Any]:
    expected = "a checkpoint of sem-lightning; take one from a run's checkpoints/ folder"
    state = load_tensors(path, expected)
    facts = state.get("hyper_parameters")
    settings = facts.get("settings") if isinstance(facts, dict) else None
    if not isinstance(state.get("state_dict"), dict) or not isinstance(settings, dict) or "classes" not in settings:
        raise UserError(f"{path}: not {expected}")
    return state


def rule_state(rule: Rule) -> dict[str, Any]:
    """A rule as plain values and tensors for a checkpoint."""
    state = rule.to_dict()
    if state["ood"] is not None:
        state["ood"] = {name: torch.from_numpy(np.ascontiguousarray(each)) for name, each in state["ood"].items()}
    return state


def write_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write the content of a checkpoint atomically.

    Raises:
        OSError: The folder is not writable or full (torch's own writing raises RuntimeError there).
    """
    content = io.BytesIO()
    torch.save(state, content)
    write_atomically(path, lambda temporary: temporary.write_bytes(content.getbuffer()))


def save_rule(
    path: Path,
    rule: Rule,
    target: Path | None = None,
    view_scales: Sequence[float] | None = None,
    weights: dict[str, Tensor] | None = None,
) -> None:
    """Write a rule into a checkpoint atomically.

    Args:
        path: The checkpoint.
        rule: Its new rule.
        target: Output file; ``None`` replaces ``path``. A name that ends in ``.safetensors`` stores half precision.
        view_scales: View scales of the rule, for inference from now on; ``None`` keeps those of the checkpoint.
        weights: New weights of the same network; the training can then not be resumed. ``None`` keeps the weights.
    """
    state = read_checkpoint(path) | {"decision_rule": rule_state(rule)}
    if view_scales is not None:
        settings = {**state["hyper_parameters"]["settings"], "view_scales": list(view_scales)}
        state["hyper_parameters"] = {**state["hyper_parameters"], "settings": settings}
    if weights is not None:
        named = {f"{_NET}{name}": value for name, value in weights.items()}
        state = {name: value for name, value in state.items() if name not in _OF_TRAINING} | {"state_dict": named}
    target = target or path
    if target.suffix == SUFFIX:
        write_atomically(target, lambda temporary: write_safetensors(temporary, state))
    else:
        write_checkpoint(target, state)


def save_weights(path: Path, net: ClassifierNetwork) -> None:
    """Replace the weights in a checkpoint by others of the same network, atomically."""
    named = {f"{_NET}{name}": value for name, value in net.state_dict().items()}
    state = read_checkpoint(path) | {"state_dict": named}
    write_checkpoint(path, state)
