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
    claims: dict[str, list[tuple[int, bool]]] = defaultdict(list)  # number of the file; whether the folders agree
    for number, file in enumerate(files):
        if file.span is None and file.mask is None:
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
            paired[number] = replace(files[number], mask=Path(mask))
    masks = finder.paths()
    unused = sorted(os.path.relpath(mask, root) for mask in masks if mask not in used)
    if unused:
        log.warning(
            "%d of %d masks in %s match no image, or several, and are not used: %s; a mask of CLASS/NAME.tif is "
            "masks/CLASS/NAME.png or NAME_mask.png, in a format without loss (%s)",
            len(unused),
            len(masks),
            root,
            name_some(unused),
            ", ".join(MASK_SUFFIXES),
        )
    return paired


class _MaskFinder:
    """Finds masks by name; every folder of masks is listed once. Paths are text, because sets may be large."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._trees: dict[Path, _Masks] = {}
        self._of_folder: dict[str, list[tuple[_Masks, list[str]]]] = {}

    def find(self, image: Path) -> tuple[str | None, bool]:
        """The mask of an image, and whether the folders below that of the masks are those of the image."""
        folder, name = os.path.split(image)
        if folder not in self._of_folder:
            self._of_folder[folder] = list(self._places(Path(folder)))
        for tree, places in self._of_folder[folder]:
            for number, place in enumerate(places):
                mask = tree.find(place, name)
                if mask is not None:
                    return mask, number == 0
        return None, False

    def paths(self) -> list[str]:
        """Every file in the folders of masks."""
        return [path for tree in self._trees.values() for path in tree.paths]

    def _places(self, folder: Path) -> Iterator[tuple["_Masks", list[str]]]:
        """The folders of masks beside or above a folder of images, and where in them its masks may be."""
        if not folder.is_relative_to(self._root):
            return
        parts = folder.relative_to(self._root).parts
        for depth in range(len(parts) + 1):
            for name in (MASKS, GROUND_TRUTH):
                masks = self._root.joinpath(*parts[:depth], name)
                if masks not in self._trees and masks.is_dir():
                    self._trees[masks] = _Masks.read(masks)
                if masks in self._trees:
                    yield (
                        self._trees[masks],
                        [str(masks.joinpath(*parts[start:])) for start in range(depth, len(parts) + 1)],
                    )


@dataclass(frozen=True)
class _Masks:
    """The files in one folder of masks.

    Attributes:
        paths: Every file.
        names: Names of masks by their folder and their stem.
        stems: The same by the stem of the image.
    """

    paths: list[str] = field(default_factory=list)
    names: dict[tuple[str, str], str] = field(default_factory=dict)
    stems: dict[tuple[str, str], str] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> "_Masks":
        """List the folder. Raises OSError for one that cannot be read."""
        tree = cls()
        for place, _, names in os.walk(folder, onerror=_fail):
            usable = [(_preference(name), _stem(name), name) for name in names if _is_mask(name)]
            others = [name for name in names if not _is_mask(name) and not is_sidecar(Path(place, name))]
            tree.paths.extend(f"{place}/{name}" for name in [*(name for _, _, name in usable), *others])
            for _, stem, name in sorted(usable):
                tree.names.setdefault((place, stem), name)
                if (image := image_stem(stem)) != stem:
                    tree.stems.setdefault((place, image), name)
        return tree

    def find(self, place: str, image: str) -> str | None:
        """The mask of an image in a folder."""
        for names in (self.names, self.stems):
            for key in ((place, _stem(image)), (place, image)):  # of a.tif: a.png, a.tif.png
                if key in names:
                    return f"{place}/{names[key]}"
        return None


def _is_mask(name: str) -> bool:
    """Whether a file in a folder of masks may be one."""
    return not name.startswith(".") and name.lower().endswith(MASK_SUFFIXES)


def _preference(name: str) -> int:
    return next(number for number, suffix in enumerate(MASK_SUFFIXES) if name.lower().endswith(suffix))


def _stem(name: str) -> str:
    return name.rpartition(".")[0] or name


def _fail(error: OSError) -> None:
    raise error
