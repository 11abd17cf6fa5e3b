"""The classifiers that come with the package."""

from pathlib import Path

from sem_lightning.version import PACKAGE_FOLDER

PACKAGED = {name: PACKAGE_FOLDER / "weights" / f"{name}.safetensors" for name in ("robust", "places")}


def find_checkpoint(name: str | Path) -> Path:
    """The file of a checkpoint, or of a classifier in the package (``robust``, ``places``)."""
    packaged = PACKAGED.get(name) if isinstance(name, str) else None
    return packaged or Path(name).expanduser()
