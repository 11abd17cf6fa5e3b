"""Finds the image files that a KLARF file names. Its names are never trusted: none leads out of one folder."""

import os
from collections import defaultdict
from collections.abc import Collection, Sequence
from pathlib import Path, PureWindowsPath

from sem_lightning.io.find import is_inside
from sem_lightning.io.gray_image import ImagePage
from sem_lightning.io.images import ImageError
from sem_lightning.klarf.document import DefectImage
from sem_lightning.klarf.read import KlarfFile


class LotImages:
    """The images of a KLARF file.

    Args:
        lot: The file.
        folder: Where its images lie; ``None`` is its own folder.
        image_kinds: Kinds of images to judge, in any capitals; ``None`` takes all that are no references.
        reference_kinds: Kinds that are references; ``None`` takes those whose name has ``ref`` in it, as in
            ``Reference``. The type numbers of 1.1 and 1.2 have no public meaning: name those that are references.

    Of an absolute name, such as ``C:/data/a.tif`` on the tool that wrote the file, only ``a.tif`` counts, unless
    another name of the lot stands for the same file.
    """

    def __init__(
        self,
        lot: KlarfFile,
        folder: Path | None = None,
        image_kinds: Collection[str] | None = None,
        reference_kinds: Collection[str] | None = None,
    ) -> None:
        self.folder = folder if folder is not None else (lot.path.parent if lot.path else Path())
        self._root = Path(os.path.realpath(self.folder))
        self._kinds = None if image_kinds is None else {kind.lower() for kind in image_kinds}
        self._references = None if reference_kinds is None else {kind.lower() for kind in reference_kinds}
        named = [image for defect in lot.defects for image in defect.images]
        self._from_zero = {image.name for image in named if image.number == 0}
        self._absolute = [name for name in dict.fromkeys(image.name for image in named) if name and _is_absolute(name)]
        self._writings: dict[str, set[str]] = defaultdict(set)  # different paths in the lot, by name in the folder
        for image in named:
            if image.name:
                self._writings[_name_in_folder(image.name).lower()].add(image.name.replace("\\", "/").lower())

    def remarks(self) -> list[str]:
        """One line if the lot has absolute names, which says where their files are looked for."""
        if not self._absolute:
            return []
        some = f"absolute names of images: {len(self._absolute)}, such as {self._absolute[0]}"
        return [f"{some}; only the last part counts, in {self.folder} (klarf.images=...)"]

    def judged(self, images: Sequence[DefectImage]) -> list[DefectImage]:
        """Those of a defect's images that show the defect."""
        chosen = [image for image in images if not self.is_reference(image)]
        return chosen if self._kinds is None else [each for each in chosen if (each.kind or "").lower() in self._kinds]

    def references(self, images: Sequence[DefectImage]) -> list[DefectImage]:
        """Those of a defect's images that show the place without the defect."""
        return [image for image in images if self.is_reference(image)]

    def is_reference(self, image: DefectImage) -> bool:
        """Whether an image shows the place on another die."""
        kind = (image.kind or "").lower()
        return "ref" in kind if self._references is None else kind in self._references

    def locate(self, image: DefectImage) -> ImagePage:
        """The place of an image. Pages are counted from 1, unless the lot has a page 0 in the same file.

        Raises:
            ImageError: The file names none, or one that is not in the folder.
        """
        first = 0 if image.name in self._from_zero else 1
        return ImagePage(self._find(image.name), image.number - first)

    def _find(self, name: str | None) -> Path:
        if not name:
            raise ImageError("the KLARF file names no file for this image")
        inside = _name_in_folder(name)
        if not inside.isprintable():
            raise ImageError(f"{name}: is refused, because it has characters that cannot be printed")
        if _is_absolute(name) and len(self._writings[inside.lower()]) > 1:
            raise ImageError(f"{name}: is refused, because the lot has {inside} from several folders; rename the files")
        path = self.folder / inside
        if not is_inside(path, self._root):
            raise ImageError(f"{name}: is refused, because it leads out of {self.folder} (klarf.images=...)")
        return path


def _is_absolute(name: str) -> bool:
    """Whether a name begins with a drive, a share or the root, on any system."""
    return bool(PureWindowsPath(name).anchor)


def _name_in_folder(name: str) -> str:
    """A name relative to the folder of the images, with slashes; of an absolute one its last part."""
    return PureWindowsPath(name).name if _is_absolute(name) else name.replace("\\", "/")
