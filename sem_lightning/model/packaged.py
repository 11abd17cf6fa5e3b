"""The classifiers that come with the package."""

from sem_lightning.version import PACKAGE_FOLDER

PACKAGED = {name: PACKAGE_FOLDER / "weights" / f"{name}.safetensors" for name in ("robust", "places")}
