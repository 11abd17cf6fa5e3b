"""Chooses the device of a network."""

import torch

from sem_lightning.errors import SettingError


def choose_device(name: str) -> str:
    """A device of torch from ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``.

    Raises:
        SettingError: For the key ``device``: the device is not available.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise SettingError("device", f"found {name!r}, expected auto, cpu, cuda or cuda:N ({reason})") from None
    return name
