"""Finds the mask of each image of a labelled folder by its name."""

import logging
import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from sem_lightning.data.labelled_file import LabelledFile, name_some
from sem_lightning.io.dataset_format import GROUND_TRUTH, MASKS
from sem_lightning.io.sidecars import is_sidecar

MASK_SUFFIXES = (".png", ".bmp", ".tif", ".tiff")  # without loss, in order of preference
_ENDS = ("_mask", "-mask", "_masks", "_gt", "_ground_truth", "_seg", "_segmentation", "_label")
_STARTS = ("mask_", "mask-")

log = logging.getLogger(__name__)


def image_stem(stem: str) -> str:
    """The stem of the image to which a mask belongs: ``a`` of ``a_mask``; others are returned as they are."""
    for end in _ENDS:
        if stem.lower().endswith(end) and len(stem) > len(end):
            return stem[: -len(end)]
    for start in _STARTS:
        if stem.lower().startswith(start) and len(stem) > len(start):
            return stem[len(start) :]
    return stem


def pair_masks(root: Path, files: list[LabelledFile]) -> list[LabelledFile]:
    """The files with their masks; a warning counts and names masks that match no image, or several.

    Masks lie in ``masks/`` or ``ground_truth/`` of the root or of a folder in it. Below it are the folders of the
    image, or the last ones of them, or none. A mask has the name of its image, with any suffix of an image without
    loss, and may end in ``_mask`` or the like.
    """
    finder = _MaskFinder(root)
    claims: dict[Path, list[tuple[int, bool]]] = defaultdict(
        list
    )  # number of the file; whether its folders are the same
    for number, file in enumerate(files):
        if file.span is None and file.mask is None and file.path.is_relative_to(root):
            mask, exact = finder.find(file.path)
            if mask is not None:
                claims[mask].append((number, exact))
    paired, used = list(files), set()
    for mask, claimants in claims.items():
        same_folders = [number for number, exact in claimants if exact]
        if not same_folders and len(claimants) > 1:
            continue  # it may be that of any of them
        used.add(mask)
        for number in same_folders or [claimants[0][0]]:
            paired[number] = replace(files[number], mask=mask)
    masks = finder.paths()
    unused = sorted(str(mask.relative_to(root)) for mask in masks if mask not in used)
    if unused:
        log.warning(
            "%d of %d masks in %s match no image, or several, and are not used: %s; a mask of CLASS/NAME.tif is "
            "masks/CLASS/NAME.png or NAME_mask.png, in a format without loss (%s)",
            *(len(unused), len(masks), root, name_some(unused), ", ".join(MASK_SUFFIXES)),
        )
    return paired


class _MaskFinder:
    """Finds masks by name; every folder of masks is listed once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._trees: dict[Path, _Masks] = {}
        self._of_folder: dict[Path, list[tuple[_Masks, tuple[str, ...]]]] = {}

    def find(self, image: Path) -> tuple[Path | None, bool]:
        """The mask of an image, and whether the folders below that of the masks are those of the image."""
        if image.parent not in self._of_folder:
            self._of_folder[image.parent] = list(self._places(image.parent.relative_to(self._root).parts))
        for tree, parts in self._of_folder[image.parent]:
            for start in range(len(parts) + 1):
                mask = tree.find(parts[start:], image)
                if mask is not None:
                    return mask, start == 0
        return None, False

    def paths(self) -> list[Path]:
        """Every file in the folders of masks."""
        return [path for tree in self._trees.values() for path in tree.paths]

    def _places(self, parts: tuple[str, ...]) -> Iterator[tuple["_Masks", tuple[str, ...]]]:
        """The folders of masks beside or above a folder of images, and the rest of that folder's path."""
        for depth in range(len(parts) + 1):
            for name in (MASKS, GROUND_TRUTH):
                folder = self._root.joinpath(*parts[:depth], name)
                if folder not in self._trees and folder.is_dir():
                    self._trees[folder] = _Masks.read(folder)
                if folder in self._trees:
                    yield self._trees[folder], parts[depth:]


@dataclass(frozen=True)
class _Masks:
    """The files in one folder of masks.

    Attributes:
        folder: That folder.
        paths: Every file.
        names: Names of masks by their folders below it and their stem.
        stems: The same by the stem of the image.
    """

    folder: Path
    paths: list[Path] = field(default_factory=list)
    names: dict[tuple[tuple[str, ...], str], str] = field(default_factory=dict)
    stems: dict[tuple[tuple[str, ...], str], str] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> "_Masks":
        """List the folder. Raises OSError for one that cannot be read."""
        tree = cls(folder)
        for place, _, names in os.walk(folder, onerror=_fail):
            parts = Path(place).relative_to(folder).parts
            kept = [name for name in names if not is_sidecar(Path(place, name))]
            tree.paths.extend(Path(place, name) for name in kept)
            usable = [
                (MASK_SUFFIXES.index(suffix), name) for name in kept if (suffix := _suffix(name)) in MASK_SUFFIXES
            ]
            for _, name in sorted(usable):
                stem = Path(name).stem
                tree.names.setdefault((parts, stem), name)
                tree.stems.setdefault((parts, image_stem(stem)), name)
        return tree

    def find(self, parts: tuple[str, ...], image: Path) -> Path | None:
        """The mask of an image in one of the folders."""
        for names in (self.names, self.stems):
            for stem in (image.stem, image.name):  # a.tif.png, too
                if (parts, stem) in names:
                    return self.folder.joinpath(*parts, names[parts, stem])
        return None


def _suffix(name: str) -> str:
    return Path(name).suffix.lower()


def _fail(error: OSError) -> None:
    raise error
