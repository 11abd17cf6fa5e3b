"""Reads one layer of a GDSII or OASIS file, as a program of its own: gdstk crashes on some damaged files.

It imports nothing of the package and starts in a tenth of a second. Its argument is JSON with ``path``, ``layer``,
``datatype``, ``cell``, ``most_polygons``, ``most_bytes`` and ``most_seconds``. On standard output it writes two arrays
of `numpy.save`: the corners of all polygons (float64 [corners, 2], nm) and the number of corners of each (int64); or
one of bytes, the JSON text of the refused key and the reason.
"""

import json
import sys
from pathlib import Path
from typing import Any

import gdstk
import numpy as np
import numpy.typing as npt

_GDS_START, _GDS_END = b"\x00\x06\x00\x02", b"\x00\x04\x04\x00"
_OASIS_START, _OASIS_END_BYTES = b"%SEMI-OASIS\r\n", 256
_FARTHEST = 1e12  # nm: a kilometre


class RefusedError(Exception):
    """A key of the pattern, and why its value cannot be used."""


def read_layer(path: str, layer: int, datatype: int, cell: str | None, most: int) -> list[npt.NDArray[np.float64]]:
    """The polygons of a layer, nm.

    Raises:
        RefusedError: No layout, an incomplete one, an unknown cell, an empty layer, or more than ``most`` polygons.
    """
    try:
        if _is_gds(path):
            library = gdstk.read_gds(path, unit=1e-9)
        else:
            if gdstk.oas_validate(path)[0] is False:
                raise ValueError("its checksum is wrong")
            library = gdstk.read_oas(path, unit=1e-9)
    except (RuntimeError, ValueError, OSError, MemoryError) as error:
        raise RefusedError("file", f"{path} cannot be read as GDSII or OASIS ({error})") from None
    cells = {each.name: each for each in library.cells if hasattr(each, "get_polygons")}
    if cell is not None and cell not in cells:
        known = ", ".join(sorted(cells)[:20]) or "none"
        raise RefusedError("cell", f"no cell {cell!r} in {path}, which has {known}")
    counts = _count_polygons(cells, path)
    tops = [cells[cell]] if cell is not None else library.top_level()
    total = sum(counts[top.name] for top in tops if top.name in counts)
    if total > most:
        reason = f"{path} holds {total} polygons, more than {most}; cut the block out, or choose a smaller cell"
        raise RefusedError("file", reason)
    found = [
        np.asarray(each.points, np.float64) for top in tops for each in top.get_polygons(layer=layer, datatype=datatype)
    ]
    if not found:
        known = ", ".join(sorted({f"{one}/{two}" for one, two in library.layers_and_datatypes()})[:20])
        raise RefusedError("layer", f"layer {layer}/{datatype} of {path} is empty; it has {known or 'no polygons'}")
    if not all(len(each) > 2 and (np.abs(each) < _FARTHEST).all() for each in found):
        raise RefusedError("file", f"{path} is damaged: a polygon of layer {layer} has no size, or is a kilometre away")
    return found


def _is_gds(path: str) -> bool:
    """Whether the file is GDSII or else OASIS, by its beginning and end.

    Raises:
        ValueError: It is neither. Without its end the reader takes half a file for a whole one, or crashes.
    """
    with Path(path).open("rb") as stream:
        head = stream.read(len(_OASIS_START))
        stream.seek(0, 2)
        size = stream.tell()
        stream.seek(max(0, size - (1 << 16)))
        tail = stream.read()
    gds = head[2:4] == _GDS_START[2:] and head[:2] == _GDS_START[:2]
    if not gds and head != _OASIS_START:
        raise ValueError("it does not begin like one")
    if gds and not (tail.rstrip(b"\x00") + b"\x00").endswith(_GDS_END):  # tapes are padded with zeros
        raise ValueError("its end is missing")
    if not gds and (size < _OASIS_END_BYTES or tail[-_OASIS_END_BYTES] != 2):
        raise ValueError("its end is missing")
    return gds


def _count_polygons(cells: dict[str, Any], path: str) -> dict[str, int]:
    """Number of polygons of each cell with references and repetitions, without creating them.

    Raises:
        RefusedError: Cells that contain themselves.
    """
    below = {
        name: [(_times(each), each.cell.name) for each in cell.references if hasattr(each.cell, "references")]
        for name, cell in cells.items()
    }
    counts: dict[str, int] = {}
    waiting = dict(cells)
    while waiting:  # from the leaves up
        ready = [name for name in waiting if all(child in counts or child not in cells for _, child in below[name])]
        if not ready:
            raise RefusedError("file", f"{path} has cells that contain themselves: {', '.join(sorted(waiting)[:5])}")
        for name in ready:
            cell = waiting.pop(name)
            own = sum(_times(shape) for shape in (*cell.polygons, *cell.paths))
            counts[name] = own + sum(times * counts.get(child, 0) for times, child in below[name])
    return counts


def _times(shape: Any) -> int:
    return max(1, shape.repetition.size or 1)


def _limit(most_bytes: int, most_seconds: int) -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    if hard == resource.RLIM_INFINITY or most_bytes < hard:
        resource.setrlimit(resource.RLIMIT_AS, (most_bytes, hard))
    resource.setrlimit(resource.RLIMIT_CPU, (most_seconds, most_seconds))  # should the process that asked be killed
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash is expected, and leaves no file


def main() -> None:
    """Entry point, see the module."""
    asked = json.loads(sys.argv[1])
    _limit(asked["most_bytes"], asked["most_seconds"])
    try:
        found = read_layer(asked["path"], asked["layer"], asked["datatype"], asked["cell"], asked["most_polygons"])
    except RefusedError as error:
        np.save(sys.stdout.buffer, np.frombuffer(json.dumps(error.args).encode(), np.uint8))
        return
    np.save(sys.stdout.buffer, np.concatenate(found))
    np.save(sys.stdout.buffer, np.array([len(each) for each in found], np.int64))


if __name__ == "__main__":
    main()
