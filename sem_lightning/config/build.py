"""Builds typed objects from a configuration. Unknown keys and wrong types fail before anything runs.

Values are in ``conf/``; dataclasses define keys and types. The simulator's groups are typed by the simulator's own
classes. This module does not import torch, so that ``generate.py`` and its processes start fast.
"""

from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf

from sem_lightning.config.error_lines import no_such_key
from sem_lightning.errors import SettingError
from sem_lightning.synthesis.defects.defect import SETTINGS_TYPES, DefectSettings
from sem_lightning.synthesis.defects.mix import Defects
from sem_lightning.synthesis.pairs import PairSimulator
from sem_lightning.synthesis.simulator import Simulator
from sem_lightning.training.run_settings import check_trainer

_TRAINING_GROUPS = ("pattern", "imaging", "noise", "processing", "data", "model", "decision", "logger", "callbacks")


def check_keys(node: DictConfig, key: str = "") -> None:
    """Refuse keys that a typed group does not have. Hydra accepts any ``+group.key=value``.

    Raises:
        SettingError: The first unknown key.
    """
    known: Any = OmegaConf.get_type(node)
    for name in map(str, node):
        if known is not dict and name not in known.__dataclass_fields__:
            raise SettingError(f"{key}{name}", no_such_key(name, known.__dataclass_fields__))
        child = None if OmegaConf.is_missing(node, name) else node[name]
        if isinstance(child, DictConfig):
            check_keys(child, f"{key}{name}.")


def build(node: DictConfig, key: str) -> Any:
    """The checked, typed object of a config group.

    Raises:
        SettingError: A value is invalid or missing. The key is written as on the command line.
    """
    prefix = f"{key}." if key else ""
    for name in map(str, node):
        if OmegaConf.is_missing(node, name):
            raise SettingError(f"{prefix}{name}", f"needs a value: add {prefix}{name}=... to the command")
        if isinstance(node[name], DictConfig):
            build(node[name], f"{prefix}{name}")
    try:
        return OmegaConf.to_object(node)
    except SettingError as error:
        raise SettingError(f"{prefix}{error.key}", error.reason) from None


def check_groups(config: DictConfig) -> None:
    """Check the groups of ``conf/train.yaml``, without importing torch.

    Raises:
        SettingError: An invalid value.
    """
    for group in _TRAINING_GROUPS:
        build(config[group], group)
    check_trainer(config.trainer)


def build_simulator(config: DictConfig) -> Simulator:
    """The simulator of the groups ``pattern``, ``defect``, ``imaging``, ``noise`` and ``processing``."""
    parts = {key: build(config[key], key) for key in ("pattern", "imaging", "noise", "processing")}
    return Simulator(defect=build_defects(config.defect), **parts)


def build_pairs(config: DictConfig) -> PairSimulator:
    """The simulator of pairs: the groups of `build_simulator`, and ``pair``."""
    if config.pair is None:
        raise SettingError("pair", "needs an option: any or aligned")
    return PairSimulator(build_simulator(config), build(config.pair, "pair"))


def build_defects(node: DictConfig) -> Defects:
    """The defects of the group ``defect``: the keys ``count`` and ``border``, and one key for each class."""
    types = {}
    for name in map(str, node):
        if name in ("count", "border"):
            continue
        kind = OmegaConf.get_type(node[name]) if isinstance(node[name], DictConfig) else None
        if kind is None or not issubclass(kind, DefectSettings):
            raise SettingError(
                f"defect.{name}", f"is no defect; add one with +defect/types@defect.{name}=TYPE, TYPE one of "
                f"{', '.join(SETTINGS_TYPES)}"
            )  # fmt: skip
        types[name] = build(node[name], f"defect.{name}")
    count = node.get("count", 1)
    ends = list(count) if isinstance(count, ListConfig) else [count, count]
    border = node.get("border", 0)
    if len(ends) != 2 or not all(isinstance(end, int) and not isinstance(end, bool) for end in ends):
        raise SettingError("defect.count", f"found {count!r}, expected a whole number or [low, high]")
    if not isinstance(border, int | float) or isinstance(border, bool):
        raise SettingError("defect.border", f"found {border!r}, expected a share of the defects from 0 to 1")
    try:
        return Defects(types, (ends[0], ends[1]), float(border))
    except SettingError as error:
        raise error.under("defect") from None


def check_seed(config: DictConfig) -> int:
    """The seed, in the range of NumPy and PyTorch."""
    seed = int(config.seed)
    if not 0 <= seed < 2**32:
        raise SettingError("seed", f"found {seed}, expected a whole number from 0 to {2**32 - 1}")
    return seed


def require(config: DictConfig, key: str) -> Any:
    """A mandatory value.

    Raises:
        SettingError: It is missing.
    """
    if OmegaConf.is_missing(config, key):
        raise SettingError(key, f"needs a value: add {key}=... to the command")
    return config[key]
