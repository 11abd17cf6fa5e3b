"""Writing a labelled set of simulated images to disk."""

import csv
import io
import json
import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

import sem_lightning
from sem_lightning.data.layout import DESCRIPTION, LABELS, MASKS, METADATA, PREVIEW
from sem_lightning.data.preview import draw_sheet
from sem_lightning.data.splits import SPLITS
from sem_lightning.errors import UserError
from sem_lightning.files import write_json
from sem_lightning.synthesis.noise import Pixels
from sem_lightning.synthesis.simulator import Sample, Scene, Simulator, render

Image = npt.NDArray[np.uint8]
_IMAGES_PER_TASK = 32
_PREVIEW_PER_CLASS = 8
_PREVIEW_CELL = 128


@dataclass(frozen=True)
class Entry:
    """One image to write: its file below the root, its class and its place in the simulator's key."""

    filename: str
    label: str
    split: str
    index: int


def plan_entries(classes: list[str], per_class: dict[str, int]) -> list[Entry]:
    """Every image of a set, in the order in which `SyntheticDataset` numbers them.

    Args:
        classes: Class names.
        per_class: Images of each class in each split.
    """
    entries = []
    number = dict.fromkeys(classes, 0)
    for split in SPLITS:
        for index in range(per_class[split] * len(classes)):
            label = classes[index % len(classes)]
            entries.append(Entry(f"{label}/{label}_{number[label]:04d}.png", label, split, index))
            number[label] += 1
    return entries


def write_dataset(
    root: Path,
    simulator: Simulator,
    seed: int,
    entries: list[Entry],
    config: dict[str, Any],
    workers: int,
    overwrite: bool,
    progress: Callable[[int], None],
) -> None:
    """Write images, masks, ``labels.csv``, ``metadata.jsonl``, ``dataset.json`` and ``preview.png`` below ``root``.

    Everything goes into a folder beside ``root`` that takes its name only when complete, so that an interrupted run
    leaves nothing that reads as a whole set.

    Args:
        root: The folder to make.
        simulator: Draws and renders the scenes.
        seed: Seed of the scenes.
        entries: What to write, from `plan_entries`.
        config: The composed configuration, kept in ``dataset.json``.
        workers: Processes.
        overwrite: Replace ``root`` if it exists.
        progress: Called with the number of images written since the last call.

    Raises:
        UserError: ``root`` exists and is not to be replaced.
        OSError: The disk is full or the folder cannot be written to.
    """
    root = root.resolve()
    if root.exists():
        if not overwrite:
            raise UserError(f"{root} exists already; name another output or replace it with overwrite=true")
        if not (root / DESCRIPTION).is_file():
            raise UserError(f"{root} is not a set that generate.py wrote (no {DESCRIPTION}); it is not overwritten")
    partial = root.with_name(f".{root.name}.{os.getpid()}.partial")
    try:
        for label in simulator.classes:
            (partial / label).mkdir(parents=True)
            (partial / MASKS / label).mkdir(parents=True)
        _write_images(partial, simulator, seed, entries, workers, progress)
        _write_labels(partial / LABELS, entries)
        write_json(partial / DESCRIPTION, _describe(simulator, seed, entries, config))
        _write_png(partial / PREVIEW, draw_preview(simulator, seed, entries))
        replaced = root.with_name(f".{root.name}.{os.getpid()}.replaced")
        if root.exists():
            root.rename(replaced)
        partial.rename(root)
        shutil.rmtree(replaced, ignore_errors=True)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write_images(
    root: Path,
    simulator: Simulator,
    seed: int,
    entries: list[Entry],
    workers: int,
    progress: Callable[[int], None],
) -> None:
    tasks = [entries[i : i + _IMAGES_PER_TASK] for i in range(0, len(entries), _IMAGES_PER_TASK)]
    with (root / METADATA).open("w") as metadata:
        for lines in _map_tasks(root, simulator, seed, tasks, workers):
            metadata.writelines(lines)
            progress(len(lines))


def _map_tasks(
    root: Path, simulator: Simulator, seed: int, tasks: list[list[Entry]], workers: int
) -> Iterator[list[str]]:
    if workers <= 1 or len(tasks) == 1:
        for task in tasks:
            yield _write_task(root, simulator, seed, task)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        futures = [pool.submit(_write_task, root, simulator, seed, task) for task in tasks]
        try:
            for future in futures:
                yield future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _write_task(root: Path, simulator: Simulator, seed: int, entries: list[Entry]) -> list[str]:
    """Write some images and masks; returns their lines of ``metadata.jsonl``."""
    lines = []
    for entry in entries:
        sample = render(_scene(simulator, seed, entry))
        _write_png(root / entry.filename, sample.image)
        _write_png(root / MASKS / entry.filename, sample.mask * np.uint8(255))
        lines.append(_metadata_line(entry, sample))
    return lines


def _scene(simulator: Simulator, seed: int, entry: Entry) -> Scene:
    return simulator.draw(seed, SPLITS.index(entry.split), entry.index, entry.label)


def _write_png(path: Path, image: Pixels) -> None:
    # encode, then write: OpenCV's own imwrite does not say when the disk is full
    path.write_bytes(cv2.imencode(".png", image)[1].tobytes())


def _metadata_line(entry: Entry, sample: Sample) -> str:
    record = {
        "filename": entry.filename,
        "label": entry.label,
        "split": entry.split,
        "mask": f"{MASKS}/{entry.filename}",
        "boxes": [instance.box for instance in sample.instances],
        "scene": sample.scene.to_dict(),
    }
    return json.dumps(record) + "\n"


def _write_labels(path: Path, entries: list[Entry]) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["filename", "label", "split"])
    writer.writerows([entry.filename, entry.label, entry.split] for entry in entries)
    path.write_text(text.getvalue())


def _describe(simulator: Simulator, seed: int, entries: list[Entry], config: dict[str, Any]) -> dict[str, Any]:
    counts = {
        split: {label: sum(e.split == split and e.label == label for e in entries) for label in simulator.classes}
        for split in SPLITS
    }
    return {
        "made_by": f"sem-lightning {sem_lightning.__version__}",
        "classes": simulator.classes,
        "images": len(entries),
        "counts": counts,
        "seed": seed,
        "image_size": simulator.imaging.image_size,
        "pixel_size": simulator.imaging.pixel_size,
        "polarity": simulator.polarity,
        "config": config,
    }


def draw_preview(simulator: Simulator, seed: int, entries: list[Entry]) -> Image:
    """A sheet with the first images of each class in a row."""
    rows = []
    for label in simulator.classes:
        chosen = [entry for entry in entries if entry.label == label][:_PREVIEW_PER_CLASS]
        rows.append((label, [render(_scene(simulator, seed, entry)) for entry in chosen]))
    return draw_sheet(rows, _PREVIEW_CELL)
