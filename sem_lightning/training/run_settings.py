"""The config groups ``model``, ``logger`` and ``callbacks`` of a training run."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from sem_lightning.checks import at_least, one_of
from sem_lightning.errors import SettingError
from sem_lightning.model.model_settings import RECIPE_FIELDS, check_recipe


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
        at_least("every_n_steps", self.every_n_steps, 1)


@dataclass
class CallbackSettings:
    """Settings of checkpoints and early stopping (``conf/callbacks/*.yaml``)."""

    monitor: str
    early_stopping: bool
    patience: int
    progress_bar: bool
    own: dict[str, Any] | None

    def __post_init__(self) -> None:
        at_least("patience", self.patience, 1)
