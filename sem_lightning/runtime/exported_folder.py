"""The folder that sem-export writes: a graph, and ``classifier.json`` with everything else that decides.

Nothing in it is unpickled or evaluated. Each file has its length and checksum in ``classifier.json``, which has one of
its own.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sem_lightning.checks import one_of
from sem_lightning.decision.rule import Rule
from sem_lightning.errors import SettingError, UserError
from sem_lightning.io.atomic import atomic_folder
from sem_lightning.model.model_settings import ModelSettings

DESCRIPTION = "classifier.json"
FORMATS = {"onnx": ("fp32", "int8"), "openvino": ("fp32", "bf16", "int8"), "torch": ("fp32",)}  # and their precisions
FILES = {
    "onnx": ("network.onnx",),
    "openvino": ("network.xml", "network.bin"),
    "torch": ("network.safetensors",),
}
_VERSION = 1
_LONGEST_DESCRIPTION = 256 << 20  # bytes; 2,000 features take 22 MB
_LARGEST_FILE = 4 << 30  # bytes


@dataclass
class ExportedModel:
    """A classifier from a folder of sem-export.

    Attributes:
        settings: Settings of the classifier.
        rule: Maps scores to decisions.
        format: A key of ``FORMATS``.
        precision: One of that format's precisions.
        files: Content of the files of the network, by name.
        card: What it was made from and how it was checked.
        folder: Where it lies.
    """

    settings: ModelSettings
    rule: Rule
    format: str
    precision: str
    files: Mapping[str, bytes]
    card: dict[str, Any]
    folder: Path


def check_format(form: str, precision: str) -> None:
    """Check that a format can hold a precision.

    Raises:
        SettingError: It cannot, or there is no such format.
    """
    one_of("format", form, tuple(FORMATS))
    if precision not in FORMATS[form]:
        raise SettingError("precision", f"found {precision!r}, expected {' or '.join(FORMATS[form])} for {form}")


def write_exported(model: ExportedModel) -> None:
    """Write the folder, whole or not at all.

    Raises:
        OSError: It holds something already, or cannot be written.
    """
    content = {
        "version": _VERSION,
        "format": model.format,
        "precision": model.precision,
        "settings": model.settings.to_dict(),
        "rule": _plain_rule(model.rule),
        "files": {name: _fingerprint(data) for name, data in model.files.items()},
        "card": model.card,
    }
    text = json.dumps(content | {"checksum": _digest(json.dumps(content).encode())}, indent=2) + "\n"
    with atomic_folder(model.folder) as temporary:
        for name, data in model.files.items():
            (temporary / name).write_bytes(data)
        (temporary / DESCRIPTION).write_text(text)


def read_exported(folder: Path) -> ExportedModel:
    """Read a folder of sem-export.

    Raises:
        UserError: Something is missing, damaged, or of another version; the message names the file.
    """
    path = folder / DESCRIPTION
    text = _read(path, _LONGEST_DESCRIPTION, "expected a folder of sem-export")
    try:
        content = dict(json.loads(text))
        if content.pop("checksum", None) != _digest(json.dumps(content).encode()):
            raise UserError(f"{path}: damaged, its checksum is wrong; copy the folder again")
        if content["version"] != _VERSION:
            raise UserError(f"{path}: written by another version of sem-lightning; export the classifier again")
        kind, precision = content["format"], content["precision"]
        if precision not in FORMATS[kind]:
            raise ValueError(f"{kind} in {precision}")
        wanted = {name: content["files"][name] for name in FILES[kind]}
        settings, rule = ModelSettings.from_dict(content["settings"]), _rule(content["rule"])
        if rule.ood is not None and len(rule.ood.means) != len(settings.classes):
            raise ValueError("the decision rule is for other classes")
    except (SettingError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path}: not a description that sem-export wrote ({reason})") from None
    files = {name: _read_whole(folder / name, facts) for name, facts in wanted.items()}
    return ExportedModel(settings, rule, kind, precision, files, content["card"], folder)


def _read_whole(path: Path, expected: Any) -> bytes:
    data = _read(path, _LARGEST_FILE, "copy the folder again, all of it")
    if _fingerprint(data) != expected:
        raise UserError(f"{path}: damaged, its checksum is wrong; copy the folder again")
    return data


def _read(path: Path, limit: int, advice: str) -> bytes:
    if not path.is_file():
        raise UserError(f"{path}: No such file; {advice}")
    try:
        if path.stat().st_size > limit:
            raise UserError(f"{path}: has {path.stat().st_size} bytes, expected at most {limit}")
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from None


def _plain_rule(rule: Rule) -> dict[str, Any]:
    """A rule as JSON; its arrays as float32 in base64, an infinite limit as null."""
    state = rule.to_dict()
    arrays = state["ood"] and {
        name: {"shape": array.shape, "float32": base64.b64encode(array.astype("<f4").tobytes()).decode()}
        for name, array in state["ood"].items()
    }
    return state | {"ood": arrays, "ood_limit": state["ood_limit"] if np.isfinite(state["ood_limit"]) else None}


def _rule(state: dict[str, Any]) -> Rule:
    arrays = state["ood"] and {
        name: np.frombuffer(base64.b64decode(each["float32"], validate=True), "<f4").reshape(each["shape"])
        for name, each in state["ood"].items()
    }
    limit = np.inf if state["ood_limit"] is None else state["ood_limit"]
    return Rule.from_dict(state | {"ood": arrays, "ood_limit": limit})


def _fingerprint(data: bytes) -> dict[str, Any]:
    return {"bytes": len(data), "blake2b": _digest(data)}


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()
