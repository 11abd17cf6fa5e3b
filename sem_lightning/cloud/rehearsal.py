"""Runs the steps of a pipeline on this machine, with the connections of the cloud."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from sem_lightning.cloud.package import stage_code
from sem_lightning.cloud.steps import Step
from sem_lightning.config.environment import shown
from sem_lightning.errors import UserError


def rehearse(steps: Sequence[Step], folder: Path, own: Sequence[Path]) -> dict[str, Path]:
    """Run each step's command line in a shell, with the code that would be uploaded.

    ``own`` are the user's config folders. MLflow writes metrics to files below ``folder`` instead of a workspace.

    Returns:
        The folder of each output, by ``STEP.OUTPUT``.

    Raises:
        UserError: A step needs an input from the cloud, or fails.
    """
    folder = folder.resolve()
    code = stage_code(folder / "code", own)
    made: dict[str, Path] = {}
    for step in steps:
        line = step.line
        for name, source in step.inputs.items():
            if source not in made and not Path(source).is_absolute():
                raise UserError(f"step {step.name}: takes {source}, which only the cloud has; leave out local=true")
            line = line.replace(f"${{{{inputs.{name}}}}}", _quoted(made.get(source, source)))
        for name in step.outputs:
            made[f"{step.name}.{name}"] = folder / name
            (folder / name).mkdir()
            line = line.replace(f"${{{{outputs.{name}}}}}", _quoted(folder / name))
        print(shown(f"{step.name}: {line}"), flush=True)
        environment = {
            "MLFLOW_TRACKING_URI": (folder / "mlruns").as_uri(),
            "MLFLOW_ALLOW_FILE_STORE": "true",
            **os.environ,
            "HYDRA_FULL_ERROR": "0",  # one-line errors of a step
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        }
        done = subprocess.run(["bash", "-c", line], cwd=code, env=environment, check=False)
        if done.returncode:
            raise UserError(f"step {step.name}: its command failed with exit code {done.returncode}")
    for key, path in made.items():
        print(f"{key}: {shown(path)}")
    return made


def _quoted(path: Path | str) -> str:
    """A path quoted for the single quotes around inputs and outputs in a step's command line."""
    return str(path).replace("'", "'\\''")
