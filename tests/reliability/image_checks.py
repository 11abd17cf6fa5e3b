"""What a kind of image file must come to: the same picture as the truth, or an error that names the file."""

import multiprocessing
import os
import re
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from image_writers import Pixels
from kind import Kind

from sem_lightning.io.images import ImageError, read_gray

_MOST_MEMORY = 1_500  # MB
_MOST_SECONDS = 20.0  # of one core
RNG = np.random.default_rng(0)
TRUTH = cv2.GaussianBlur(RNG.normal(0.5, 0.6, (37, 52)), (0, 0), 2).clip(0, 1)
GREY = np.round(255 * TRUTH).astype(np.uint8)
Make = Callable[..., bytes]  # without arguments; lambdas have theirs as defaults


def quantised(bits: int) -> Pixels:
    """The truth as whole numbers [37, 52, 1]."""
    return np.asarray(np.round(TRUTH * (2**bits - 1)), np.uint8 if bits <= 8 else np.uint16)[..., None]


def right(name: str, make: Make, tolerance: float = 0.003, truth: Pixels = TRUTH, suffix: str = ".tif") -> Kind:
    """A file that must be read as the truth."""

    def check(folder: Path) -> str | None:
        path = folder / f"image{suffix}"
        path.write_bytes(make())
        found = read_quietly(lambda: read_gray(path))
        if isinstance(found, str):
            return found
        if found.shape != truth.shape or found.dtype != np.float32:
            return f"{found.dtype} {found.shape} instead of {truth.shape}"
        error = float(np.abs(found - truth).max())
        return None if error <= tolerance else f"differs by {error:.3f}"

    return Kind(name, check)


def refused(name: str, make: Make, words: str = "", suffix: str = ".tif") -> Kind:
    """A file that must be an error by name."""
    return _bad(name, make, suffix, words, None)


def right_or_refused(name: str, make: Make, suffix: str, truth: Pixels = TRUTH) -> Kind:
    """A damaged file: the picture, where the damage lies outside of it, or an error."""
    return _bad(name, make, suffix, "", truth)


def _bad(name: str, make: Make, suffix: str, words: str, truth: Pixels | None) -> Kind:
    def check(folder: Path) -> str | None:
        path = folder / f"image{suffix}"
        path.write_bytes(make())
        found = read_quietly(lambda: read_gray(path))
        if isinstance(found, str):
            named = found.startswith(f"ImageError: {path}: ") and "\n" not in found
            return None if named and re.search(words, found) else found
        if truth is None:
            return f"was read as {found.shape}, mean {found.mean():.2f}"
        same = found.shape == truth.shape and np.abs(found - truth).max() < 0.1
        return None if same else f"was read as another picture {found.shape}"

    return Kind(name, check)


def read_quietly(read: Callable[[], Pixels]) -> Pixels | str:
    """What is read, or the error; a fault where something is printed, or it takes too much memory or time."""
    before, started = _peak(), time.process_time()
    with tempfile.TemporaryFile() as output:
        kept = [os.dup(number) for number in (1, 2)]
        try:
            for number in (1, 2):
                os.dup2(output.fileno(), number)
            try:
                found: Pixels | str = read()
            except ImageError as error:
                found = f"ImageError: {error}"
            except Exception as error:
                found = f"{type(error).__name__}: {error}"
        finally:
            for number, copy in zip((1, 2), kept, strict=True):
                os.dup2(copy, number)
                os.close(copy)
        output.seek(0)
        printed = output.read().decode(errors="replace").strip()
    memory, seconds = _peak() - before, time.process_time() - started
    if printed:
        return f"printed {printed[:80]!r}"
    if memory > _MOST_MEMORY or seconds > _MOST_SECONDS:
        return f"took {memory:.0f} MB and {seconds:.0f} s"
    return found


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def large(name: str, write: Callable[[Path], None], shape: tuple[int, int] | None) -> Kind:
    """A file of a large image, of brightness 0 to 1, that is read at this shape; ``None`` if it must be refused."""

    def check(folder: Path) -> str | None:
        path = folder / "image.tif"
        process = multiprocessing.get_context("fork").Process(target=write, args=(path,))
        process.start()  # so that the memory for writing does not count
        process.join()
        found = read_quietly(lambda: read_gray(path))
        if isinstance(found, str):
            return None if shape is None and found.startswith(f"ImageError: {path}: ") else found
        return None if found.shape == shape else f"read as {found.shape} instead of {shape}"

    return Kind(name, check)


def cut(data: bytes, share: float) -> bytes:
    return data[: int(share * len(data))]
