"""Reads small classifier files without torch; `sem_lightning.model.safetensors_io` writes them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open

from sem_lightning.errors import UserError
from sem_lightning.version import PACKAGE_FOLDER

SUFFIX = ".safetensors"
CONTENT = "sem-lightning"  # key of the metadata; one, because safetensors stores several in any order
OOD = "ood."  # prefix of the rule's arrays
# Of classifiers in the package that were written before files had a checksum; writing one again would add another 10 MB
# to the repository's history.
_PACKAGED = {"robust.safetensors": "758a4ffad76da0173b826dd69cd11253"}

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class SafetensorsContent:
    """The content of a small classifier file.

    Attributes:
        settings: Of `sem_lightning.model.model_settings.ModelSettings`, as plain values.
        rule: Of `sem_lightning.decision.rule.Rule`, with its arrays.
        weights: By the names of a checkpoint, as stored: float16, and whole numbers.
    """

    settings: dict[str, Any]
    rule: dict[str, Any]
    weights: dict[str, Array]


def read_content(path: Path) -> SafetensorsContent:
    """Read a small classifier file.

    Raises:
        UserError: No such file, a file of another kind, or a damaged one.
    """
    expected = "a classifier that sem-calibrate wrote"
    if not path.is_file():
        raise UserError(f"{path}: No such file or directory")
    try:
        with safe_open(path, framework="np") as file:
            content = dict(json.loads((file.metadata() or {})[CONTENT]))
            arrays: dict[str, Array] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        in_package = path.parent == PACKAGE_FOLDER / "weights"
        wanted = content.pop("checksum", _PACKAGED.get(path.name) if in_package else None)
        if wanted is not None and checksum(content, arrays) != wanted:
            raise UserError(f"{path}: damaged, its checksum is wrong; copy the file again")
        if "hyper_parameters" in content:
            content, arrays = _translate(content, arrays)
        ood = {
            name.removeprefix(OOD): arrays.pop(name).astype(np.float32) for name in list(arrays) if name.startswith(OOD)
        }
        return SafetensorsContent(dict(content["settings"]), {**content["rule"], "ood": ood or None}, arrays)
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{path}: not {expected} ({type(error).__name__} while reading it)") from None


def checksum(content: dict[str, Any], arrays: Mapping[str, Array]) -> str:
    """A digest of the settings and of the names, types, shapes and values of the arrays."""
    digest = hashlib.blake2b(json.dumps(content).encode(), digest_size=16)
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} torch.{array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _translate(content: dict[str, Any], arrays: dict[str, Array]) -> tuple[dict[str, Any], dict[str, Array]]:
    """Translate the earlier names in the file of the packaged classifier to the current ones.

    Writing the file again would add another 10 MB to the repository's history.
    """
    settings, rule = dict(content["hyper_parameters"]), dict(content["rule"])
    settings["view_scales"] = settings.pop("scales")
    settings["pooling"] = {"peaks": "peak_statistics"}.get(settings["pooling"], settings["pooling"])
    rule["ood_limit"], rule["risk_bound"] = rule.pop("distance"), rule.pop("promise")
    prefixes = {
        "familiarity.": OOD,
        "net.backbone.fc.": "net.class_head.",
        "net.peaks.": "net.peak_head.",
    }
    renamed = {}
    for name, array in arrays.items():
        old = next((prefix for prefix in prefixes if name.startswith(prefix)), "")
        renamed[prefixes.get(old, "") + name.removeprefix(old)] = array
    return {"settings": settings, "rule": rule}, renamed
