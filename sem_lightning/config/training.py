"""Builds the settings of a training from a composed ``conf/train.yaml``."""

from collections.abc import Mapping
from typing import Any

from hydra.utils import instantiate
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig, OmegaConf

from sem_lightning.config.build import build, build_simulator, check_seed
from sem_lightning.config.compose import compose
from sem_lightning.config.environment import hide_variables
from sem_lightning.config.job import given_keys
from sem_lightning.errors import SettingError
from sem_lightning.training.run import RunSettings
from sem_lightning.training.run_settings import check_trainer
from sem_lightning.training.train import TrainingSettings


def build_training(
    config: DictConfig, more_callbacks: tuple[Callback, ...] = (), facts: Mapping[str, Any] | None = None
) -> TrainingSettings:
    """Check every group and build the settings.

    Raises:
        SettingError: An invalid value.
    """
    callbacks, logger = build(config.callbacks, "callbacks"), build(config.logger, "logger")
    own = [_instantiate(f"callbacks.own.{name}", each, Callback) for name, each in (callbacks.own or {}).items()]
    check_trainer(config.trainer)
    plain: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    run = RunSettings(
        model=build(config.model, "model"),
        data=build(config.data, "data"),
        decision=build(config.decision, "decision"),
        logger=logger,
        callbacks=callbacks,
        trainer=plain["trainer"],
        seed=check_seed(config),
        more_callbacks=(*own, *more_callbacks),
        logger_of_users=_instantiate("logger.own", logger.own, Logger) if logger.own else None,
    )
    return TrainingSettings(
        run=run,
        simulator=build_simulator(config),
        init_from=config.init_from,
        resume_from=config.resume_from,
        optimized_metric=config.optimized_metric,
        given=given_keys(),
        plain=hide_variables(plain),
        facts=facts or {},
    )


def _instantiate(key: str, node: Any, expected: type) -> Any:
    """The object that ``_target_`` in the user's configuration names."""
    if not isinstance(node, Mapping) or "_target_" not in node:
        raise SettingError(key, "needs a _target_, the class to use, such as _target_: my_package.MyCallback")
    try:
        made = instantiate(dict(node), _convert_="all")
    except Exception as error:  # any error of the user's class
        reason = " ".join(str(error.__cause__ or error).split())
        raise SettingError(
            key, f"{node['_target_']} cannot be made ({type(error.__cause__ or error).__name__}: {reason})"
        ) from error
    if not isinstance(made, expected):
        raise SettingError(key, f"{node['_target_']} is no {expected.__name__} of Lightning's")
    return made


def compose_training(*overrides: str) -> TrainingSettings:
    """The settings of ``sem-train`` with these overrides, for `sem_lightning.training.train.train`.

    Args:
        overrides: As on the command line: ``"noise=high"``, ``"trainer.max_epochs=2"``.

    Raises:
        SettingError: An invalid setting.

    Example:
        >>> settings = compose_training("noise=high", "trainer.accelerator=cpu")
        >>> outcome = train(settings, Path("outputs/mine"))
    """
    return build_training(compose("train", overrides))
