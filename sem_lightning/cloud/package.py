"""Prepares the code folder and the Python packages of a job."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from sem_lightning.config.compose import config_folder
from sem_lightning.version import PACKAGE_FOLDER

_PYTHON = "3.11"
_EXTRAS = ("mlflow", "layout", "explain")  # extras for jobs
_HEADLESS = {"opencv-python": "opencv-python-headless"}  # without GUI libraries, which images lack
_OF_TRAINING = {"lightning", "matplotlib", "rich", "tensorboard", "torch", "torchmetrics", "torchvision"}
_MLFLOW = "azureml-mlflow>=1.55"  # lets MLflow write to the workspace
_SERVER = "azureml-inference-server-http>=1.0"  # runs the scoring script of an endpoint


def stage_code(folder: Path, own: Sequence[Path] = ()) -> Path:
    """Copy the package, ``conf/`` and the user's ``own`` config folders into an empty folder. Returns it."""
    package = PACKAGE_FOLDER
    leave_out = shutil.ignore_patterns("__pycache__", "*.pyc")
    shutil.copytree(package, folder / package.name, ignore=leave_out)
    for source in (*reversed(own), config_folder()):  # files of the package replace the user's, as in local runs
        shutil.copytree(source, folder / "conf", ignore=leave_out, dirs_exist_ok=True)
    return folder


def conda_file(serving: bool, runtime: str | None = None) -> dict[str, Any]:
    """The packages of ``pyproject.toml`` as a conda environment.

    Args:
        serving: For an endpoint rather than for jobs.
        runtime: Package that runs the network in place of torch, ``onnxruntime`` or ``openvino``; what only training
            needs is then left out.
    """
    wanted = [_SERVER] if serving else [_MLFLOW]
    for text in metadata.requires("sem-lightning") or ():
        requirement = Requirement(text)
        extra = [name for name in _EXTRAS if requirement.marker and requirement.marker.evaluate({"extra": name})]
        is_core = requirement.marker is None and not (runtime and requirement.name in _OF_TRAINING)
        if is_core or requirement.name == runtime or (extra and not serving):
            name = _HEADLESS.get(requirement.name, requirement.name)
            wanted.append(f"{name}{requirement.specifier}")
    return {
        "name": "sem-lightning",
        "channels": ["conda-forge"],
        "dependencies": [f"python={_PYTHON}", "pip", {"pip": sorted(set(wanted))}],
    }


def version_of(conda: dict[str, Any], image: str) -> str:
    """A version that depends on the content, so that an environment is built once."""
    return hashlib.sha256(json.dumps([conda, image], sort_keys=True).encode()).hexdigest()[:12]
