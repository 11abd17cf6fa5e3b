"""Checks the configuration of each step before submission."""

import itertools
import shlex

from omegaconf import OmegaConf

from sem_lightning.cloud.steps import Step
from sem_lightning.config.build import build, build_simulator, check_seed
from sem_lightning.config.compose import compose_with_grid
from sem_lightning.errors import SettingError

# groups that check their own values
_CHECKED = ("model", "data", "decision", "logger", "callbacks", "writer", "sweep")


def check_step(step: Step) -> None:
    """Compose a step's configuration and check its values.

    Raises:
        UserError: The configuration is invalid.
    """
    first = {name: values[0] for name, values in step.swept.items()}
    settings = [first] + [first | {name: value} for name, values in step.swept.items() for value in values[1:]]
    for choice in settings:
        filled = []
        for override in itertools.chain.from_iterable(map(shlex.split, step.overrides)):
            here = {name: source if source.startswith("/") else "in" for name, source in step.inputs.items()}
            for name, value in (here | choice).items():
                override = override.replace(f"${{{{inputs.{name}}}}}", value)
            for name in step.outputs:
                override = override.replace(f"${{{{outputs.{name}}}}}", "out")
            filled.append(override)
        config, grid = compose_with_grid(step.command, filled)
        if grid:
            written = " ".join(f"{key}={value}" for key, value in grid.items())
            raise SettingError("experiment", f"has a grid of its own, for -m; write it out for action=sweep: {written}")
        for key in _CHECKED:
            if key in config:
                build(config[key], key)
        if config.seed is not None:
            check_seed(config)
        if not any(source.startswith("azureml:") for source in step.inputs.values()):
            build_simulator(config)  # also opens a layout file
        if OmegaConf.is_missing(config, "ckpt"):
            raise SettingError("ckpt", "needs a value: add ckpt=azureml:NAME:VERSION to the command")
