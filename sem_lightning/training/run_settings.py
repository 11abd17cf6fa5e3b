"""The config groups ``model``, ``logger`` and ``callbacks`` of a training run."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sem_lightning.checks import between, one_of
from sem_lightning.errors import SettingError
from sem_lightning.model.model_settings import RECIPE_FIELDS, check_recipe

_MOST = 1_000_000_000  # epochs, steps, ...
_MOST_DEVICES = 1024
_KINDS: tuple[tuple[str, tuple[type, ...], str], ...] = (  # of arguments that Lightning's Trainer does not check itself
    ("gradient_clip_val", (int, float), "a number"),
    ("max_time", (str, Mapping), "DD:HH:MM:SS"),
    ("benchmark", (bool,), "true, false"),
)
_COUNTS = {  # whole numbers among the arguments of Lightning's Trainer, with the least of each
    "max_epochs": -1,
    "min_epochs": 0,
    "max_steps": -1,
    "min_steps": 0,
    "num_nodes": 1,
    "accumulate_grad_batches": 1,
    "check_val_every_n_epoch": 1,
    "num_sanity_val_steps": -1,
}


@dataclass
class StartSettings:
    """The keys of ``conf/model/*.yaml`` for the start of training; a checkpoint does not keep them."""

    pretrained: bool
    weights_path: str | None
    wise_ft_alpha: float
    compile: bool
    balance: bool

    def __post_init__(self) -> None:
        recipe: Any = self
        if recipe.network != "resnet18" and (self.pretrained or self.weights_path):
            raise SettingError("pretrained", f"there are ImageNet weights for resnet18, none for {recipe.network}")
        check_recipe(recipe)
        if not 0 < self.wise_ft_alpha <= 1:
            raise SettingError("wise_ft_alpha", f"found {self.wise_ft_alpha:g}, expected a number above 0, to 1")


# All keys of conf/model/*.yaml. `ModelSettings` declares the keys that a checkpoint keeps. OmegaConf uses lists instead
# of the tuples of frozen settings.
ModelOptions = dataclasses.make_dataclass(
    "ModelOptions",
    [(field.name, list[float] if field.name == "view_scales" else field.type) for field in RECIPE_FIELDS],
    bases=(StartSettings,),
    namespace={"__module__": __name__, "__doc__": "The network and its recipe (``conf/model/*.yaml``)."},
)


@dataclass
class LoggerSettings:
    """Settings of the logger (``conf/logger/*.yaml``)."""

    kind: str
    every_n_steps: int
    own: dict[str, Any] | None

    def __post_init__(self) -> None:
        one_of("kind", self.kind, ("tensorboard", "csv", "mlflow", "none"))
        between("every_n_steps", self.every_n_steps, 1, _MOST, "steps")


@dataclass
class CallbackSettings:
    """Settings of checkpoints and early stopping (``conf/callbacks/*.yaml``)."""

    monitor: str
    early_stopping: bool
    patience: int
    progress_bar: bool
    own: dict[str, Any] | None

    def __post_init__(self) -> None:
        between("patience", self.patience, 1, _MOST, "epochs")


def check_trainer(options: Mapping[str, Any]) -> None:
    """Check the numbers among the arguments of Lightning's Trainer, which checks only some itself.

    Raises:
        SettingError: A number that is not finite, or a count that is not whole or out of range.
    """
    for name, value in options.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise SettingError(f"trainer.{name}", f"found {value}, expected a finite number")
    for name, low in _COUNTS.items():
        value = options.get(name)
        if value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool):
            raise SettingError(f"trainer.{name}", f"found {value!r}, expected a whole number or null")
        between(f"trainer.{name}", value, low, _MOST)
    for name, kinds, expected in _KINDS:
        value = options.get(name)
        if value is not None and (not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds)):
            raise SettingError(f"trainer.{name}", f"found {value!r}, expected {expected} or null")
    if options.get("gradient_clip_val") is not None:
        between("trainer.gradient_clip_val", options["gradient_clip_val"], 0, _MOST)
    if isinstance(options.get("devices"), int):
        between("trainer.devices", options["devices"], -1, _MOST_DEVICES)
