"""Writes a labelled set of simulated images to disk in parts, so that a stopped run can be continued."""

import json
import logging
import multiprocessing
import shutil
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from sem_lightning.data.export.annotations import coco_annotations, find_images_folder, yolo_text
from sem_lightning.data.export.dataset_card import CardFacts
from sem_lightning.data.export.index import Entry, ImageIndex
from sem_lightning.data.export.manifest import GREY_BINS, PartRecord, write_manifest
from sem_lightning.data.export.storage import Blobs, FolderStore, ShardStore, Store, WriterSettings
from sem_lightning.data.splits import SPLITS
from sem_lightning.errors import UserError
from sem_lightning.io.atomic import exclusive, write_atomically, write_json
from sem_lightning.io.dataset_format import DESCRIPTION
from sem_lightning.io.images import encode_image
from sem_lightning.processes import start_worker, unheard_by_children
from sem_lightning.synthesis.simulator import Sample, Simulator, render
from sem_lightning.version import __version__

_PLAN = "plan.json"
_PARTS = "parts"
_SET = "set"
_REPLACED = "replaced"
_PREVIEWS = 8

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SetWriter:
    """Writes one set.

    The set is written to a hidden folder next to its target, ``.<name>.partial``, with a record of each finished part.
    The folder is renamed when all parts exist. A killed run loses only its unfinished parts. The bytes of every file
    depend only on the settings, not on interruptions or on the division of parts among processes or machines.

    Attributes:
        root: The output folder.
        simulator: Draws and renders the scenes.
        seed: Seed of the scenes.
        plan: The images to write.
        parts: Number of parts.
        settings: File formats.
        description: Configuration that identifies the set, kept in ``dataset.json``.
        command: The command that reproduces the set.
    """

    root: Path
    simulator: Simulator
    seed: int
    plan: ImageIndex
    parts: int
    settings: WriterSettings
    description: dict[str, Any]
    command: str

    @property
    def partial(self) -> Path:
        return self.root.with_name(f".{self.root.name}.partial")

    @property
    def identity(self) -> dict[str, Any]:
        return {"made_by": f"sem-lightning {__version__}", "config": self.description}

    def start(self, overwrite: bool) -> bool:
        """Make or find the hidden folder. Returns whether anything is left to do.

        Raises:
            UserError: The output folder or the hidden folder holds something else, and ``overwrite`` is false.
        """
        folder = find_images_folder(self.root) if "yolo" in self.settings.annotations else None
        if folder is not None:
            log.warning(
                "output: ultralytics finds no YOLO labels below %s, since it looks for them in %s; choose an output "
                "that is not below a folder called images",
                folder,
                folder.with_name("labels"),
            )
        if self.is_complete():
            self._discard_partial()  # left by a run that was killed after its last step
            return False
        if self.root.exists():
            if not (self.root / DESCRIPTION).is_file():
                reason = f"is not a set that generate.py wrote (no {DESCRIPTION}) and is not overwritten"
                raise UserError(f"{self.root} {reason}; name another output")
            if not overwrite:
                difference = _difference(_read_identity(self.root / DESCRIPTION), self.identity)
                reason = f"holds another set ({difference})"
                raise UserError(f"{self.root} {reason}; name another output or replace it with overwrite=true")
        unfinished = _read_identity(self.partial / _PLAN)
        if unfinished != self.identity:
            if unfinished and not overwrite:
                difference = _difference(unfinished, self.identity)
                raise UserError(
                    f"{self.partial} holds an unfinished set of other settings ({difference}); "
                    "finish it with these, name another output, or discard it with overwrite=true"
                )
            self._discard_partial()  # without a plan its content is unknown
        (self.partial / _SET).mkdir(parents=True, exist_ok=True)
        (self.partial / _PARTS).mkdir(exist_ok=True)
        write_json(self.partial / _PLAN, self.identity)
        return True

    def is_complete(self) -> bool:
        """Whether the output folder holds this set."""
        return _read_identity(self.root / DESCRIPTION) == self.identity

    def _discard_partial(self) -> None:
        (self.partial / _PLAN).unlink(missing_ok=True)  # first, so that an interrupted removal leaves no valid set
        shutil.rmtree(self.partial, ignore_errors=True)

    def missing_parts(self) -> list[int]:
        """Numbers of the unfinished parts."""
        return [part for part in range(self.parts) if not self._record(part).is_file()]

    def _record(self, part: int) -> Path:
        return self.partial / _PARTS / f"{part:06d}.jsonl"

    def write_parts(self, parts: list[int], workers: int, progress: Callable[[int], None]) -> None:
        """Write parts with several processes.

        Args:
            parts: Numbers of the parts.
            workers: Number of processes.
            progress: Called with the number of images written since the last call.

        Raises:
            OSError: The disk is full or the folder cannot be written to.
        """
        try:
            self._write_parts(parts, workers, progress)
        except FileNotFoundError:
            if not self.is_complete():  # another job may have finished the set meanwhile
                raise

    def _write_parts(self, parts: list[int], workers: int, progress: Callable[[int], None]) -> None:
        if workers <= 1 or len(parts) <= 1:
            for part in parts:
                progress(self.write_part(part))
            return
        context = multiprocessing.get_context("spawn")
        others = multiprocessing.active_children()
        with unheard_by_children():  # Python's resource tracker is a child, too
            pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker)
        with pool:
            # A few parts at a time, so that the queue stays small for any size of set.
            waiting = list(reversed(parts))
            running: set[Future[int]] = set()
            try:
                while waiting or running:
                    while waiting and len(running) < 2 * workers:
                        with unheard_by_children():
                            running.add(pool.submit(self.write_part, waiting.pop()))
                    done = next(as_completed(running))
                    running.remove(done)
                    progress(done.result())
            except KeyboardInterrupt:
                for worker in set(multiprocessing.active_children()) - set(others):
                    worker.terminate()  # a part can take minutes
                raise
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def write_part(self, part: int) -> int:
        """Write one part and finally its record. Returns its number of images."""
        folder = self.partial / _SET
        store: Store = FolderStore(folder) if self.settings.kind == "files" else ShardStore(folder, part)
        try:
            record = self._fill(store, part)
        except BaseException:
            store.discard()
            raise
        write_atomically(self._record(part), lambda temporary: temporary.write_text(record.to_text()))
        return len(record.rows)

    def _fill(self, store: Store, part: int) -> PartRecord:
        categories = {name: number for number, name in enumerate(self.plan.classes) if number}
        record = PartRecord(grey=[0] * GREY_BINS)
        for entry in map(self.plan.__getitem__, self.plan.numbers(part, self.parts)):
            sample = self._render(entry)
            scene = sample.scene.to_dict()
            names, spans = store.add(entry, self._blobs(entry, sample, scene, categories))
            record.rows.append([names["image"], entry.label, entry.split, *spans])
            record.images.append(_metadata(entry, sample, scene, names))
            if "coco" in self.settings.annotations:
                record.coco.append(coco_annotations(sample, categories))
            shift = 4 if sample.image.dtype == np.uint8 else 12
            grey = np.bincount((sample.image >> shift).ravel(), minlength=GREY_BINS)
            record.grey = [int(a + b) for a, b in zip(record.grey, grey, strict=True)]
        record.sums = store.close()
        return record

    def _blobs(self, entry: Entry, sample: Sample, scene: dict[str, Any], categories: dict[str, int]) -> Blobs:
        suffix = ".png" if self.settings.format == "png" else ".tif"
        pixel_size = sample.scene.view.pixel_size
        blobs = {
            "image": (suffix, encode_image(sample.image, suffix, pixel_size)),
            "mask": (".png", encode_image(sample.mask * np.uint8(255), ".png", pixel_size)),
        }
        if self.settings.clean_pair:
            twin = render(sample.scene.without_defects()).image if sample.scene.defects else sample.image
            blobs["clean"] = (suffix, encode_image(twin, suffix, pixel_size))
        if "yolo" in self.settings.annotations:
            blobs["yolo"] = (".txt", yolo_text(sample, categories).encode())
        if self.settings.kind == "shards":
            blobs["cls"] = (".cls", str(self.plan.classes.index(entry.label)).encode())
            blobs["json"] = (".json", json.dumps(_metadata(entry, sample, scene, {})).encode())
        return blobs

    def finish(self) -> None:
        """Write the files that list the images and rename the set; called by the job that writes the last part.

        Concurrent jobs wait for each other; the later ones find the set complete.
        """
        lock = self.root.with_name(f".{self.root.name}.lock")
        with exclusive(lock):
            if not self.is_complete():
                if self.missing_parts():
                    return
                self._list_images(self.partial / _SET)
                if self.root.exists():
                    shutil.rmtree(self.partial / _REPLACED, ignore_errors=True)
                    self.root.rename(self.partial / _REPLACED)
                (self.partial / _SET).rename(self.root)
            self._discard_partial()
            lock.unlink(missing_ok=True)  # waiting jobs find the set complete

    def _list_images(self, folder: Path) -> None:
        facts = CardFacts(
            classes=self.plan.classes,
            counts=self.plan.counts(),
            image_size=self.simulator.imaging.image_size,
            pixel_size=self.simulator.imaging.pixel_size,
            polarity=self.simulator.polarity,
            bits=self.simulator.noise.bits,
            command=self.command,
            kind=self.settings.kind,
            seed=self.seed,
            identity=self.identity,
        )
        for leftover in folder.glob(".*.tmp*"):
            leftover.unlink(missing_ok=True)
        records = (PartRecord.from_text(self._record(part).read_text()) for part in range(self.parts))
        previews = [
            (label, [self._render(entry) for entry in self.plan.first_of(label, _PREVIEWS)])
            for label in self.plan.classes
        ]
        write_manifest(folder, records, self.settings, facts, previews)

    def _render(self, entry: Entry) -> Sample:
        return render(self.simulator.draw(self.seed, SPLITS.index(entry.split), entry.index, entry.label))


def _start_worker() -> None:
    start_worker()
    cv2.setNumThreads(1)


def _metadata(entry: Entry, sample: Sample, scene: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    return {
        **({"filename": names["image"]} if names else {}),
        "label": entry.label,
        "split": entry.split,
        **{kind: names[kind] for kind in ("mask", "clean") if kind in names},
        "severity": sample.scene.severity,
        "boxes": [list(instance.box) for instance in sample.instances],
        "scene": scene,
    }


def _read_identity(path: Path) -> dict[str, Any]:
    """Version and configuration stored in a set; empty if they are missing or unreadable."""
    try:
        content = json.loads(path.read_text())
        return {key: content[key] for key in ("made_by", "config")}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}


def _difference(found: dict[str, Any], wanted: dict[str, Any]) -> str:
    """The first setting in which two sets differ."""
    ours, theirs = _flatten(wanted), _flatten(found)
    for key in sorted({*ours, *theirs}):
        if ours.get(key) != theirs.get(key):
            name = key.removeprefix("config.")
            return f"{name} is {theirs.get(key, 'not there')}, here {ours.get(key, 'not there')}"
    return "other contents"


def _flatten(node: Any, key: str = "") -> dict[str, Any]:
    if not isinstance(node, dict):
        return {key: node}
    return {
        name: value
        for child in node
        for name, value in _flatten(node[child], f"{key}.{child}" if key else child).items()
    }
