"""The classifiers that come with the package."""

from sem_lightning.version import PACKAGE_FOLDER

PACKAGED = {"robust": PACKAGE_FOLDER / "weights" / "robust.safetensors"}
