"""Reading files of tensors that somebody else may have made: nothing in them is ever unpickled."""

from pathlib import Path
from typing import Any

import torch

from sem_lightning.errors import UserError


def load_tensors(path: Path, expected: str) -> dict[str, Any]:
    """What ``torch.save`` wrote, tensors and plain values only, on the CPU.

    Raises:
        UserError: No such file, or not a dictionary of such; ``expected`` says what it should be.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from None
    except Exception as error:  # the restricted unpickler raises whatever it runs into in foreign bytes
        raise UserError(f"{path}: not {expected} ({type(error).__name__} while reading it)") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: not {expected}")
    return content


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint of this package.

    Raises:
        UserError: No such file, or not such a checkpoint.
    """
    expected = "a checkpoint of sem-lightning; take one from a run's checkpoints/ folder"
    state = load_tensors(path, expected)
    facts = state.get("hyper_parameters")
    if not isinstance(state.get("state_dict"), dict) or not isinstance(facts, dict) or "classes" not in facts:
        raise UserError(f"{path}: not {expected}")
    return state
