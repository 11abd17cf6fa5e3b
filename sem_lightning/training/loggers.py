"""Loggers for training curves."""

import importlib.util
import os
import re
from pathlib import Path

from lightning.pytorch.loggers import CSVLogger, Logger, MLFlowLogger, TensorBoardLogger

from sem_lightning.errors import SettingError, missing_extra
from sem_lightning.training.run_settings import LoggerSettings


def build_logger(settings: LoggerSettings, output: Path) -> Logger | None:
    """The logger of the settings.

    Raises:
        UserError: See `build_mlflow_logger`.
    """
    if settings.kind == "tensorboard":
        return TensorBoardLogger(output, name="", version="tensorboard", default_hp_metric=False)
    if settings.kind == "mlflow":
        return build_mlflow_logger()
    return CSVLogger(output, name="", version="csv") if settings.kind == "csv" else None


def build_mlflow_logger() -> Logger:
    """A logger for the run ``MLFLOW_RUN_ID``, which Azure ML sets for its jobs, or for a new run.

    Raises:
        UserError: The extra ``mlflow`` is not installed.
        SettingError: ``MLFLOW_TRACKING_URI`` is not set or not usable.
    """
    if importlib.util.find_spec("mlflow") is None:
        raise missing_extra("mlflow", "logger: mlflow")
    uri = os.environ.get("MLFLOW_TRACKING_URI")
    if not uri:
        raise SettingError("logger", "mlflow needs to know where to write: set MLFLOW_TRACKING_URI")
    experiment = os.environ.get("MLFLOW_EXPERIMENT_NAME", "sem-lightning")
    logger = MLFlowLogger(experiment, tracking_uri=uri, run_id=os.environ.get("MLFLOW_RUN_ID"))
    try:
        logger.experiment.get_run(logger.run_id or "")
    except Exception as error:  # any error of its store; its text may hold a password from the address
        where = re.sub(r"//[^/@]*@", "//", uri)
        raise SettingError("logger", f"MLflow cannot write to {where} ({type(error).__name__})") from None
    return logger
