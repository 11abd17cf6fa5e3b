"""Provenance of a result: versions, commit, command line."""

import platform
import subprocess
import sys
from importlib.metadata import version
from typing import Any

from sem_lightning.version import PACKAGE_FOLDER, __version__

_PACKAGES = ("torch", "torchvision", "lightning", "torchmetrics", "hydra-core", "numpy", "opencv-python")


def describe_environment() -> dict[str, Any]:
    """Versions of the libraries, this package's git commit if it runs from a checkout, and the command line."""
    versions = {name: version(name) for name in _PACKAGES}
    versions |= {"sem-lightning": __version__, "python": platform.python_version()}
    return {"versions": versions, "git_commit": _git_commit(), "platform": platform.platform(), "command": sys.argv}


def _git_commit() -> str | None:
    checkout = PACKAGE_FOLDER.parent
    if not (checkout / ".git").exists():
        return None
    try:
        git = subprocess.run(
            ["git", "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"],
            cwd=checkout,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return git.stdout.strip()
