"""Whether a file that the product has written is whole."""

import csv
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from omegaconf import OmegaConf

from sem_lightning.model.checkpoint import read_checkpoint

_OF_HYDRA = ("multirun.yaml",)  # Hydra writes it as it goes; who reads it copes


def is_whole(path: Path) -> bool:
    """Whether a file can be read to its end. Logs and curves grow as they are written, and pass."""
    check = _CHECKS.get(path.suffix)
    if check is None or path.name in _OF_HYDRA:
        return True
    try:
        return check(path)
    except Exception:
        return False


def final_files(folder: Path) -> list[Path]:
    """The files below a folder under names that a user sees: nothing hidden, as unfinished sets and Hydra's own are."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return [path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts)]


def _table(path: Path) -> bool:
    text = path.read_text()
    rows = list(csv.reader(text.splitlines()))
    return text.endswith("\n") and len({len(row) for row in rows}) == 1


def _lines(path: Path) -> bool:
    text = path.read_text()
    return text.endswith("\n") and all(json.loads(line) for line in text.splitlines())


def _image(path: Path) -> bool:
    content = path.read_bytes()
    end = b"IEND\xaeB`\x82" if path.suffix == ".png" else b"\xff\xd9"
    return content.endswith(end) and cv2.imdecode(np.frombuffer(content, np.uint8), 0) is not None


def _archive(path: Path) -> bool:
    with tarfile.open(path) as archive:
        return all(archive.extractfile(member) for member in archive.getmembers())


_CHECKS: dict[str, Callable[[Path], bool]] = {
    ".ckpt": lambda path: bool(read_checkpoint(path)),
    ".safetensors": lambda path: bool(read_checkpoint(path)),
    ".json": lambda path: json.loads(path.read_text()) is not None,
    ".jsonl": _lines,
    ".csv": _table,
    ".png": _image,
    ".jpg": _image,
    ".html": lambda path: path.read_text().rstrip().endswith("</html>"),
    ".yaml": lambda path: OmegaConf.load(path) is not None,
    ".tar": _archive,
}
