"""Kinds of orientation, of images and of their masks."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from image_checks import GREY, TRUTH, quantised, read_quietly, right
from image_writers import chunk, exif, jpeg, png, tiff
from kind import Kind

from sem_lightning.io.images import read_mask, read_oriented
from sem_lightning.io.orientation import turn


def orientations() -> Iterator[Kind]:
    """Images with an orientation, and their masks."""
    writers: dict[str, tuple[Callable[[int], bytes], float]] = {
        ".tif": (lambda number: tiff(quantised(8), 8, tags={274: number}), 0.003),
        ".png": (lambda number: png(quantised(8), 8, 0, before=chunk(b"eXIf", exif(number))), 0.003),
        ".jpg": (lambda number: jpeg(GREY, exif=b"Exif\0\0" + exif(number, ">")), 0.04),
    }
    for suffix, (write, tolerance) in writers.items():
        for number in (*range(9), 9, 77, 65535):
            shown = turn(TRUTH, number)
            yield right(f"{suffix} orientation {number}", lambda w=write, n=number: w(n), tolerance, shown, suffix)
            for side in ("stored", "shown", "tagged", "half"):
                if number < 9:
                    yield _mask_kind(suffix, write, number, side)


def _mask_kind(suffix: str, write: Callable[[int], bytes], number: int, side: str) -> Kind:
    """A mask as stored, as shown (which its shape must tell), with the tag of its image, or at half the resolution."""

    def check(folder: Path) -> str | None:
        image, path = folder / f"image{suffix}", folder / "mask.png"
        image.write_bytes(write(number))
        mask = (TRUTH > 0.6).astype(np.uint8)[..., None] * 255
        if side == "half":
            mask = mask[::2, ::2]
        if side == "shown":
            if number < 5:
                return None  # the shapes are the same, so the mask is taken as stored
            mask = turn(mask[..., 0], number)[..., None]
        path.write_bytes(png(mask, 8, 0, before=chunk(b"eXIf", exif(number)) if side == "tagged" else b""))
        shape = turn(TRUTH, number).shape
        found = read_quietly(lambda: read_mask(path, None, read_oriented(image)[1], (shape[0], shape[1])))
        if isinstance(found, str):
            return found
        stored = TRUTH[::2, ::2] if side == "half" else TRUTH
        expected = turn(stored > 0.6, number)
        return None if np.array_equal(found > 0, expected) else "the mask is not turned as its image"

    return Kind(f"{suffix} orientation {number}, mask {side}", check)
