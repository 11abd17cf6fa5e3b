"""Environment variables in a configuration (``${oc.env:NAME}``): values are used, and neither shown nor stored."""

import os
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.resolvers import oc

from sem_lightning.io.atomic import printable, write_atomically

_SHORTEST = 4  # characters; a shorter value is no secret, and part of many other words
_read: dict[str, str] = {}  # values of the variables that a configuration of this process has used


def _read_variable(name: str, *default: Any) -> Any:
    if len(os.environ.get(name, "")) >= _SHORTEST:
        _read[name] = os.environ[name]
    return oc.env(name, *default)


# Registered on import, because the other processes of a launcher import the command first.
OmegaConf.register_new_resolver("oc.env", _read_variable, replace=True)


def save_config(config: DictConfig, path: Path) -> None:
    """Write a configuration without interpolations but those that name environment variables."""
    used = OmegaConf.create(hide_variables(OmegaConf.to_container(config, resolve=True)))
    write_atomically(path, lambda temporary: OmegaConf.save(used, temporary))


def shown(text: Path | str) -> str:
    """A path, or a line with paths, as a command prints it: `hide_variables`, `printable`."""
    return printable(hide_variables(str(text)))


def hide_variables(content: Any) -> Any:
    """Write ``${oc.env:NAME}`` in place of the value of each variable that a configuration has used.

    Args:
        content: A text, or plain values: mappings and lists of texts and numbers.
    """
    if isinstance(content, dict):
        return {key: hide_variables(value) for key, value in content.items()}
    if isinstance(content, list):
        return [hide_variables(value) for value in content]
    if isinstance(content, str):
        for name in sorted(_read, key=lambda each: -len(_read[each])):  # one value may be part of another
            for shown in (_read[name], repr(_read[name])[1:-1]):  # as it is, and as errors quote it
                content = content.replace(shown, f"${{oc.env:{name}}}")
    return content
