"""Damaged, truncated and hostile layouts.

What is right: the polygons of the file, or one line that names it. Half a file is never taken for a whole one.
"""

import functools
import itertools
import os
import random
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import gdstk
import numpy as np
from kind import Kind

from sem_lightning.errors import SettingError
from sem_lightning.synthesis.patterns.layout import Chip, read_chip

_FILES = 6  # of each kind
_PATIENCE = 20.0  # seconds for a small file, on a busy machine


def kinds() -> Iterable[Kind]:
    for suffix in (".gds", ".oas", "_packed.oas"):
        for part in range(4):
            yield Kind(f"{suffix}: truncated, {part}", functools.partial(_try_truncated, suffix, part))
            yield Kind(f"{suffix}: flipped bits, {part}", functools.partial(_try_flipped, suffix, part))
            yield Kind(f"{suffix}: random stretches, {part}", functools.partial(_try_scrambled, suffix, part))
        yield Kind(f"{suffix}: as it is", functools.partial(_try_whole, suffix))
        yield Kind(f"{suffix}: stretches left out", functools.partial(_try_holes, suffix))
        yield Kind(f"{suffix}: under the other format's name", functools.partial(_try_renamed, suffix))
    for name, content in _foreign():
        yield Kind(f"foreign: {name}", functools.partial(_try_foreign, content))
    for make in (make_cyclic, make_bomb, _make_nested_bomb, _make_far, _make_empty):
        yield Kind(make.__doc__ or "", functools.partial(_try_hostile, make))
    yield Kind("a pipe", _try_pipe)


def write_chip(path: Path) -> Path:
    """Lines in an array of cells, a path, a circle, a text and a repetition; OASIS with a checksum."""
    library = gdstk.Library(unit=1e-6, precision=1e-9)
    line = library.new_cell("LINE")
    line.add(gdstk.rectangle((0, 0), (0.012, 0.8), layer=10))
    top = library.new_cell("TOP")
    top.add(gdstk.Reference(line, columns=20, rows=2, spacing=(0.024, 1)), gdstk.ellipse((1, 1), 0.2, layer=10))
    top.add(gdstk.FlexPath([(0, 2), (1, 2), (1, 3)], 0.02, layer=10), gdstk.Label("text", (0, 0)))
    shape = gdstk.rectangle((2, 2), (2.01, 2.01), layer=10)
    shape.repetition = gdstk.Repetition(5, 7, spacing=(0.02, 0.02))
    top.add(shape)
    if path.suffix == ".gds":
        library.write_gds(path)
    else:
        packed = "packed" in path.name
        library.write_oas(path, compression_level=6 if packed else 0, validation="crc32" if packed else None)
    return path


@functools.cache
def _original(suffix: str, folder: Path) -> tuple[bytes, Chip]:
    path = write_chip(folder / f"chip{suffix}")
    return path.read_bytes(), read_chip(str(path), 10, 0, None)


def _same(one: Chip, other: Chip) -> bool:
    ours, theirs = (sorted(np.round(each, 3).tolist() for each in chip.polygons) for chip in (one, other))
    return ours == theirs


def _read(path: Path) -> Chip | str:
    """The chip, or how it was refused; a fault in words that begin with ``fault``."""
    started = time.monotonic()
    try:
        found = read_chip(str(path), 10, 0, None)
    except SettingError as error:
        line = str(error)
        if "\n" in line or path.name not in line or error.key not in ("file", "layer", "cell"):
            return f"fault: {line}"
        found_or_line: Chip | str = line
    else:
        found_or_line = found
    seconds = time.monotonic() - started
    return f"fault: took {seconds:.0f} s" if seconds > _PATIENCE else found_or_line


def _try_whole(suffix: str, folder: Path) -> str | None:
    _, chip = _original(suffix, folder)
    return None if len(chip.polygons) == 40 + 1 + 1 + 35 else f"{len(chip.polygons)} polygons"


def _try_truncated(suffix: str, part: int, folder: Path) -> str | None:
    content, _ = _original(suffix, folder)
    numbers = random.Random(part)
    for place in [numbers.randrange(len(content)) for _ in range(_FILES)]:
        path = folder / f"{place}{suffix}"
        path.write_bytes(content[:place])
        found = _read(path)
        if isinstance(found, Chip) or found.startswith("fault"):
            return f"the first {place} bytes: {found if isinstance(found, str) else 'read'}"
    return None


def _try_flipped(suffix: str, part: int, folder: Path) -> str | None:
    def change(content: bytearray, numbers: random.Random) -> None:
        content[numbers.randrange(len(content))] ^= 1 << numbers.randrange(8)

    return _try_changed(suffix, part, folder, change)


def _try_scrambled(suffix: str, part: int, folder: Path) -> str | None:
    def change(content: bytearray, numbers: random.Random) -> None:
        start, length = numbers.randrange(len(content)), numbers.choice((1, 2, 4, 16, 64))
        end = min(start + length, len(content))
        content[start:end] = numbers.randbytes(end - start)

    return _try_changed(suffix, part, folder, change)


def _try_holes(suffix: str, folder: Path) -> str | None:
    def change(content: bytearray, numbers: random.Random) -> None:
        start = numbers.randrange(20, len(content) - 300)
        del content[start : start + numbers.randrange(1, 200)]

    return _try_changed(suffix, 9, folder, change)


def _try_changed(
    suffix: str, part: int, folder: Path, change: Callable[[bytearray, random.Random], None]
) -> str | None:
    content, chip = _original(suffix, folder)
    numbers = random.Random(part)
    for number in range(_FILES):
        changed = bytearray(content)
        change(changed, numbers)
        path = folder / f"{number}{suffix}"
        path.write_bytes(changed)
        found = _read(path)
        if isinstance(found, str) and found.startswith("fault"):
            return found
        if isinstance(found, Chip) and "packed" in suffix and not _same(found, chip):
            return f"{number}: other polygons under a checksum"
    return None


def _try_renamed(suffix: str, folder: Path) -> str | None:
    content, chip = _original(suffix, folder)
    path = folder / ("other.oas" if suffix == ".gds" else "other.gds")
    path.write_bytes(content)
    found = _read(path)
    return None if isinstance(found, Chip) and _same(found, chip) else str(found)


def _foreign() -> Iterator[tuple[str, bytes]]:
    start = b"%SEMI-OASIS\r\n"
    yield from (("empty", b""), ("a picture", b"GIF89a" * 50), ("text", b"hello\n" * 100), ("zeros", bytes(5000)))
    yield from (("only the start of OASIS", start), ("OASIS and zeros", start + bytes(300)))
    yield "OASIS and an end", start + bytes(100) + b"\x02" + bytes(255)
    yield "only the start of GDSII", b"\x00\x06\x00\x02\x02\x58"
    yield "GDSII and noise", b"\x00\x06\x00\x02\x02\x58" + random.Random(0).randbytes(3000) + b"\x00\x04\x04\x00"
    yield "GDSII without content", b"\x00\x06\x00\x02\x02\x58\x00\x04\x04\x00"
    yield "GDSII with records of no length", b"\x00\x06\x00\x02\x02\x58" + bytes(2000) + b"\x00\x04\x04\x00"


def _try_foreign(content: bytes, folder: Path) -> str | None:
    for name in ("chip.gds", "chip.oas"):
        (folder / name).write_bytes(content)
        found = _read(folder / name)
        if isinstance(found, Chip) or found.startswith("fault"):
            return str(found)
    return None


def make_cyclic(path: Path) -> None:
    """cells that contain themselves"""
    library = gdstk.Library()
    one, other = library.new_cell("ONE"), library.new_cell("OTHER")
    one.add(gdstk.rectangle((0, 0), (1, 1), layer=10), gdstk.Reference(other))
    other.add(gdstk.Reference(one))
    library.write_gds(path)


def make_bomb(path: Path) -> None:
    """36 million polygons in a repetition"""
    library = gdstk.Library()
    shape = gdstk.rectangle((0, 0), (0.01, 0.01), layer=10)
    shape.repetition = gdstk.Repetition(6000, 6000, spacing=(0.02, 0.02))
    library.new_cell("TOP").add(shape)
    library.write_oas(path)


def _make_nested_bomb(path: Path) -> None:
    """10^15 polygons in five levels of arrays"""
    library = gdstk.Library()
    cells = [library.new_cell(f"C{level}") for level in range(6)]
    cells[0].add(gdstk.rectangle((0, 0), (0.01, 0.01), layer=10))
    for below, above in itertools.pairwise(cells):
        above.add(gdstk.Reference(below, columns=1000, rows=1, spacing=(0.02, 0.02)))
    library.write_gds(path)


def _make_far(path: Path) -> None:
    """a polygon 10^7 m away"""
    library = gdstk.Library(unit=1, precision=1e-2)
    library.new_cell("TOP").add(gdstk.rectangle((1e7, 1e7), (1.1e7, 1.1e7), layer=10))
    library.write_gds(path)


def _make_empty(path: Path) -> None:
    """an empty layer"""
    library = gdstk.Library()
    library.new_cell("TOP").add(gdstk.rectangle((0, 0), (1, 1), layer=11))
    library.write_gds(path)


def _try_hostile(make: Callable[[Path], None], folder: Path) -> str | None:
    path = folder / "chip.gds"
    make(path)
    found = _read(path)
    return str(found)[:200] if isinstance(found, Chip) or found.startswith("fault") else None


def _try_pipe(folder: Path) -> str | None:
    os.mkfifo(folder / "chip.gds")
    found = _read(folder / "chip.gds")
    return str(found) if isinstance(found, Chip) or found.startswith("fault") else None
