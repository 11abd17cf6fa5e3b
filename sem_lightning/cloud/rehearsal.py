"""The steps of a pipeline on this machine, in order, wired as the cloud wires them."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from sem_lightning.cloud.package import stage_code
from sem_lightning.cloud.steps import Step
from sem_lightning.errors import UserError


def rehearse(steps: Sequence[Step], folder: Path, own: Sequence[Path]) -> dict[str, Path]:
    """Run each step's command line in the code that would be uploaded, in a shell, as a node of the cloud does.

    ``own`` are the user's folders of configs. Without a workspace's MLflow its metrics go into files below ``folder``.

    Returns:
        The folder of each output, by ``STEP.OUTPUT``.

    Raises:
        UserError: A step takes something from the cloud, or fails.
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
        print(f"{step.name}: {line}", flush=True)
        environment = {
            "MLFLOW_TRACKING_URI": (folder / "mlruns").as_uri(),
            "MLFLOW_ALLOW_FILE_STORE": "true",
            **os.environ,
            "HYDRA_FULL_ERROR": "0",  # errors of a step in one line, too
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        }
        done = subprocess.run(["bash", "-c", line], cwd=code, env=environment, check=False)
        if done.returncode:
            raise UserError(f"step {step.name}: its command failed with exit code {done.returncode}")
    for key, path in made.items():
        print(f"{key}: {path}")
    return made


def _quoted(path: Path | str) -> str:
    """As it stands within the single quotes that a step's line has around its inputs and outputs."""
    return str(path).replace("'", "'\\''")
