"""``sem-predict``: classify image files."""

import csv
import glob
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from omegaconf import MISSING, DictConfig
from rich.console import Console

from sem_lightning.commands.app import run_command
from sem_lightning.commands.settings import at_least, build
from sem_lightning.data.images import IMAGE_SUFFIXES, ImageError, fit_to, read_gray
from sem_lightning.data.layout import CLEAN, DESCRIPTION, MASKS, PREVIEW
from sem_lightning.errors import SettingError
from sem_lightning.files import write_atomically
from sem_lightning.model.classifier import SEMClassifier, load_classifier

EXIT_SOME_UNREADABLE = 3

Batch = list[tuple[Path, torch.Tensor]]
Probabilities = npt.NDArray[np.float32]


@dataclass
class PredictSettings:
    """``conf/predict.yaml``."""

    ckpt: str = MISSING
    images: str = MISSING
    output: str = MISSING
    batch_size: int = MISSING

    def __post_init__(self) -> None:
        at_least("batch_size", self.batch_size, 1)


def main() -> None:
    """Entry point of ``sem-predict``."""
    run_command("predict", PredictSettings, predict)


def predict(config: DictConfig) -> None:
    """Write one row for each readable image; unreadable ones are named, and the exit code is then 3."""
    settings: PredictSettings = build(config, "")
    paths = find_images(settings.images)
    classifier = load_classifier(Path(settings.ckpt).expanduser())
    unreadable: list[str] = []
    rows = [
        (path, probabilities)
        for batch in _read_batches(paths, classifier.image_size, settings.batch_size, unreadable)
        for path, probabilities in _classify(classifier, batch)
    ]
    output = Path(settings.output).expanduser()
    output.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(output, lambda temporary: _write_rows(temporary, rows, classifier.classes))
    counts = np.bincount([int(p.argmax()) for _, p in rows], minlength=len(classifier.classes))
    said = ", ".join(f"{label} {count}" for label, count in zip(classifier.classes, counts, strict=True))
    Console().print(f"{len(rows)} images in {output}: {said}")
    if unreadable:
        for problem in unreadable:
            print(f"error: {problem}", file=sys.stderr)
        sys.exit(EXIT_SOME_UNREADABLE)


def find_images(pattern: str) -> list[Path]:
    """The image files of a folder (and the folders in it, but for ``masks``), or those that match a glob, sorted.

    Raises:
        SettingError: There are none.
    """
    folder = Path(pattern).expanduser()
    if folder.is_dir():
        found = (path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file())
        ours = {PREVIEW, CLEAN} if (folder / DESCRIPTION).is_file() else set()  # a set that generate.py wrote
        paths = [path for path in found if not {MASKS, *ours} & set(path.relative_to(folder).parts)]
    else:
        paths = [Path(name) for name in glob.glob(str(folder), recursive=True) if Path(name).is_file()]  # noqa: PTH207
    if not paths:
        raise SettingError("images", f"found no images at {pattern}; expected a folder or a glob such as 'data/*.tif'")
    return sorted(paths)


def _read_batches(paths: list[Path], image_size: int, batch_size: int, unreadable: list[str]) -> Iterator[Batch]:
    batch: Batch = []
    for path in paths:
        try:
            image = fit_to(read_gray(path), image_size)
        except ImageError as error:
            unreadable.append(str(error))
            continue
        batch.append((path, torch.from_numpy(image).unsqueeze(0)))
        if len(batch) == batch_size:
            yield batch
            batch = []
    if batch:
        yield batch


def _classify(classifier: SEMClassifier, batch: Batch) -> Iterator[tuple[Path, Probabilities]]:
    images = torch.stack([image for _, image in batch])
    with torch.inference_mode():
        probabilities = classifier(images).logits.softmax(dim=1).numpy()
    return zip((path for path, _ in batch), probabilities, strict=True)


def _write_rows(path: Path, rows: list[tuple[Path, Probabilities]], classes: list[str]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["path", "label", "confidence", *(f"p_{label}" for label in classes)])
        for image, probabilities in rows:
            numbers = [f"{p:.6f}" for p in (probabilities.max(), *probabilities)]
            writer.writerow([image, classes[int(probabilities.argmax())], *numbers])
