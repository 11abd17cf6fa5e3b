"""Composes configurations with Hydra."""

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, open_dict
from omegaconf.errors import OmegaConfBaseException

from sem_lightning.config.build import build, build_pairs, build_simulator, check_keys
from sem_lightning.config.error_lines import describe, find_key_in_range
from sem_lightning.config.overrides import quote_paths
from sem_lightning.config.schemas import DATA_SCHEMAS, SCHEMAS, SimulationSettings
from sem_lightning.errors import UserError
from sem_lightning.fitting.fit_settings import FitSettings
from sem_lightning.plugins import load_plugins
from sem_lightning.synthesis.defects.defect import SETTINGS_TYPES, make_settings_types
from sem_lightning.synthesis.noise_step import STEP_SETTINGS, make_step_settings
from sem_lightning.synthesis.pairs import PairSimulator
from sem_lightning.synthesis.patterns.all_patterns import PatternSettings
from sem_lightning.synthesis.simulator import Simulator
from sem_lightning.version import PACKAGE_FOLDER


def config_folder() -> Path:
    """``conf/``: inside the installed package, or next to it in a checkout."""
    package = PACKAGE_FOLDER
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


def own_config_folder() -> Path | None:
    """The user's ``conf/`` in the current folder, which adds options to those of the package."""
    own = Path("conf")
    return own if own.is_dir() and own.resolve() != config_folder().resolve() else None


def register_schemas(command: str) -> None:
    """Register the schemas of a command with Hydra, including those of installed plug-ins."""
    schema = SCHEMAS.get(command)
    if schema is not None:
        register_schema(command, schema)
    if schema is None or not issubclass(schema, SimulationSettings | FitSettings):
        return
    load_plugins()
    make_settings_types()
    make_step_settings()
    store = ConfigStore.instance()
    for name, data in DATA_SCHEMAS.items():
        store.store(group="data/schema", name=name, node=data)
    for name, pattern in PatternSettings.kinds.items():
        store.store(group="pattern/schema", name=name, node=pattern)
    for name, defect in SETTINGS_TYPES.items():
        store.store(group="defect/schema", name=name, node=defect)
    for name, step in STEP_SETTINGS.items():
        store.store(group="noise/schema", name=name, node=step)


def register_schema(config_name: str, schema: type) -> None:
    """Register a dataclass as the schema ``<config_name>_schema`` of ``conf/<config_name>.yaml``."""
    ConfigStore.instance().store(name=f"{config_name}_schema", node=schema)


def own_folders() -> list[Path]:
    """Folders of the user's configs for the running command: ``./conf``, or that of ``--config-dir``."""
    sources = GlobalHydra.instance().config_loader().get_sources()
    paths = [Path(source.path) for source in sources if source.scheme() == "file"]
    return [path for path in paths if path.is_dir() and path.resolve() != config_folder().resolve()]


def compose(command: str, overrides: Sequence[str]) -> DictConfig:
    """The checked configuration of a command, composed as on its command line.

    Args:
        command: ``train``, ``generate``, ...: ``conf/<command>.yaml``.
        overrides: As on the command line.

    Raises:
        UserError: Overrides that do not compose, or a key that does not exist.
    """
    return compose_with_grid(command, overrides)[0]


def compose_with_grid(command: str, overrides: Sequence[str]) -> tuple[DictConfig, dict[str, Any]]:
    """Like `compose`, and also the grid of values that the configuration (an experiment) sweeps."""
    if not all(isinstance(each, str) for each in overrides):
        raise UserError(f"found {list(overrides)!r}, expected overrides as text, such as 'noise=high'")
    try:
        return _compose(command, quote_paths(overrides, sweeps=False))
    except (HydraException, OmegaConfBaseException, RecursionError) as error:
        raise UserError(describe(error)) from None
    except ValueError as error:
        meant = find_key_in_range(error, overrides)
        if meant is None:
            raise
        raise UserError(meant) from None


def _compose(command: str, overrides: Sequence[str]) -> tuple[DictConfig, dict[str, Any]]:
    register_schemas(command)
    running = GlobalHydra.instance().is_initialized()
    # A running command has its own Hydra with the user's folders. Otherwise a temporary one is initialised.
    with nullcontext() if running else hydra.initialize_config_dir(str(config_folder()), version_base="1.3"):
        own = own_config_folder()
        search = [f"hydra.searchpath=['file://{own.resolve()}']"] if own and not running else []
        config = hydra.compose(command, overrides=[*search, *overrides], return_hydra_config=True)
    sweeper = config.hydra.get("sweeper") or {}
    grid = dict(sweeper.get("params") or {})
    with open_dict(config):
        del config["hydra"]
    check_keys(config)
    return config, grid


def compose_fit(*overrides: str) -> FitSettings:
    """The settings that ``sem-fit`` with these overrides uses, for `sem_lightning.fitting.fit.fit`.

    Args:
        overrides: Of ``conf/fit.yaml``, as on the command line: ``"images=my_good_images"``, ``"name=my_tool"``.

    Raises:
        SettingError: Settings that cannot be used.

    Example:
        >>> outcome = fit(compose_fit("images=my_good_images", "name=my_tool"))
    """
    settings: FitSettings = build(compose("fit", overrides), "")
    return settings


def compose_simulator(*overrides: str) -> Simulator:
    """The simulator of ``conf/preview.yaml`` with overrides; see `Simulator.compose`."""
    return build_simulator(compose("preview", overrides))


def compose_pairs(*overrides: str) -> PairSimulator:
    """The pairs of ``conf/preview.yaml`` with ``pair=any`` and overrides; see `PairSimulator.compose`."""
    chosen = any(isinstance(each, str) and each.startswith("pair=") for each in overrides)
    return build_pairs(compose("preview", overrides if chosen else ("pair=any", *overrides)))
