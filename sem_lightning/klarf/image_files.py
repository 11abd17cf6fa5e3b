"""Finds the image files that a KLARF file names. Its names are never trusted: none leads out of one folder."""

import os
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
        numbered = (image for defect in lot.defects for image in defect.images)
        self._from_zero = {image.name for image in numbered if image.number == 0}

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
        slashed = name.replace("\\", "/")
        anchored = slashed.startswith("/") or bool(PureWindowsPath(name).anchor)
        if anchored or not slashed.isprintable():
            raise ImageError(f"{name}: is refused, because names are relative to {self.folder} (klarf.images=...)")
        path = self.folder / slashed
        if not is_inside(path, self._root):
            raise ImageError(f"{name}: is refused, because it leads out of {self.folder} (klarf.images=...)")
        return path
