"""Stores the files of simulated images in folders or in tar files."""

import contextlib
import hashlib
import io
import os
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from sem_lightning.data.export.index import Entry
from sem_lightning.errors import SettingError
from sem_lightning.io.dataset_format import CLEAN, MASKS, SPANS, shard_name

KINDS = ("files", "shards")
FORMATS = ("png", "tiff")
ANNOTATIONS = ("coco", "yolo")

Blobs = dict[str, tuple[str, bytes]]  # maps "image", "mask", ... to suffix and content


@dataclass
class WriterSettings:
    """File formats of a set (``conf/writer/*.yaml`` document each key)."""

    kind: str
    format: str
    clean_pair: bool
    annotations: list[str]

    def __post_init__(self) -> None:
        for key, value, allowed in (("kind", self.kind, KINDS), ("format", self.format, FORMATS)):
            if value not in allowed:
                raise SettingError(key, f"found {value!r}, expected one of {', '.join(allowed)}")
        if not set(self.annotations) <= set(ANNOTATIONS):
            known = ", ".join(ANNOTATIONS)
            raise SettingError("annotations", f"found {list(self.annotations)}, expected some of {known}")


class Store(Protocol):
    """Stores the files of the images of one part and their checksums.

    Attributes:
        columns: Additional columns of labels.csv.
    """

    columns: tuple[str, ...]

    def add(self, entry: Entry, blobs: Blobs) -> tuple[dict[str, str], list[Any]]:
        """Store an image's files. Returns the name of each file and the image's values of ``columns``."""

    def close(self) -> dict[str, str]:
        """Finish the part. Returns the SHA-256 of each file."""

    def discard(self) -> None:
        """Give up an unfinished part."""


class FolderStore:
    """Separate files, in one folder for each class."""

    columns: tuple[str, ...] = ()

    def __init__(self, root: Path) -> None:
        self._root = root
        self._sums: dict[str, str] = {}

    def add(self, entry: Entry, blobs: Blobs) -> tuple[dict[str, str], list[Any]]:
        names = {}
        for kind, (suffix, content) in blobs.items():
            folder = {"mask": f"{MASKS}/", "clean": f"{CLEAN}/"}.get(kind, "")
            names[kind] = f"{folder}{entry.name}{suffix}"
            path = self._root / names[kind]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            self._sums[names[kind]] = hashlib.sha256(content).hexdigest()
        return names, []

    def close(self) -> dict[str, str]:
        return self._sums

    def discard(self) -> None:
        """Nothing to do: the files get the same content when the part is written again."""


class ShardStore:
    """A tar file for WebDataset: the files of one image are consecutive and share their name up to the first dot.

    It is written under a temporary name and renamed when complete. Times, owners and modes are fixed, so that the same
    images give the same bytes.
    """

    columns: tuple[str, ...] = SPANS

    def __init__(self, root: Path, part: int) -> None:
        self._root = root
        self._name = shard_name(part)
        self._temporary = root / f".{self._name}.{os.getpid()}.tmp"
        self._stream: IO[bytes] | None = None  # opened with the first image; an empty part has no file
        self._tar: tarfile.TarFile | None = None

    def add(self, entry: Entry, blobs: Blobs) -> tuple[dict[str, str], list[Any]]:
        if self._tar is None:
            self._stream = self._temporary.open("wb")
            self._tar = tarfile.TarFile(fileobj=self._stream, mode="w", format=tarfile.USTAR_FORMAT)
        key, names, spans = f"{entry.number:09d}", {}, []
        for kind, (suffix, content) in blobs.items():
            member = tarfile.TarInfo(f"{key}.{kind}{suffix}" if kind in ("mask", "clean") else f"{key}{suffix}")
            member.size, member.mode = len(content), 0o644
            self._tar.addfile(member, io.BytesIO(content))
            names[kind] = f"{self._name}/{member.name}"
            if kind in ("image", "mask"):
                # the content is padded to whole blocks; the next member begins there
                padded = -(-len(content) // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
                spans += [self._tar.offset - padded, len(content)]
        return names, spans

    def close(self) -> dict[str, str]:
        if self._tar is None or self._stream is None:
            return {}
        self._tar.close()
        self._stream.close()
        with self._temporary.open("rb") as stream:
            checksum = hashlib.file_digest(stream, "sha256").hexdigest()
        self._temporary.replace(self._root / self._name)
        return {self._name: checksum}

    def discard(self) -> None:
        if self._stream is not None:
            with contextlib.suppress(OSError):  # of a full disk, once more
                self._stream.close()
            self._temporary.unlink(missing_ok=True)
