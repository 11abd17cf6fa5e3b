"""Layout: clips of a user's GDSII or OASIS file."""

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from sem_lightning.errors import SettingError, UserError
from sem_lightning.synthesis.field import FieldOfView
from sem_lightning.synthesis.patterns.local_width import local_widths
from sem_lightning.synthesis.patterns.pattern import PatternSettings
from sem_lightning.synthesis.patterns.shapes import SITE_KINDS, Polygon, Shapes
from sem_lightning.synthesis.ranges import Range, ranged
from sem_lightning.synthesis.roughness import RoughnessSettings
from sem_lightning.synthesis.sampling import draw_key

MAX_FILE_BYTES = 2 << 30
MAX_POLYGONS = 5_000_000
_WINDOW_TRIES = 256


@dataclass(frozen=True)
class Chip:
    """The polygons of one layer, nm, y upwards as in the file.

    Attributes:
        polygons: Corners [n, 2] of each polygon.
        boxes: float64 [polygons, 4]: left, bottom, right, top.
    """

    polygons: list[npt.NDArray[np.float64]]
    boxes: npt.NDArray[np.float64]

    @functools.cached_property
    def pitch(self) -> float:
        """Twice the median width of its polygons, nm; see `local_widths`."""
        return 2 * float(np.median(local_widths(self.polygons)))

    def near(self, x: float, y: float, half_width: float, half_height: float) -> npt.NDArray[np.intp]:
        """Numbers of the polygons with boxes that intersect a window."""
        left, bottom, right, top = self.boxes.T
        meets = (
            (left < x + half_width) & (right > x - half_width) & (bottom < y + half_height) & (top > y - half_height)
        )
        return np.flatnonzero(meets)


@dataclass(kw_only=True)
class Layout(RoughnessSettings, PatternSettings):
    """A layer of a chip (``conf/pattern/layout.yaml`` documents each key)."""

    kind: ClassVar[str] = "layout"

    site_kinds: ClassVar[tuple[str, ...]] = SITE_KINDS

    file: str
    layer: int
    datatype: int
    cell: str | None
    windows: Any
    corner: Range = ranged("nm", low=0, why="a radius is no less than none")
    roughness: Range = ranged("nm (3 sigma)", low=0, why="a deviation is no less than none")

    @property
    def chip(self) -> Chip:
        return read_chip(self.file, self.layer, self.datatype, self.cell)

    @property
    def usual_polarity(self) -> str:
        return "dark"

    @property
    def pitches(self) -> tuple[float, float]:
        return self.chip.pitch, self.chip.pitch

    def check(self, view: FieldOfView) -> None:
        """Check the file and the windows.

        Raises:
            SettingError: Not a layout, an empty layer, a window outside the chip, a field of view larger than the chip.
        """
        chip = self.chip
        left, bottom = chip.boxes[:, :2].min(axis=0)
        right, top = chip.boxes[:, 2:].max(axis=0)
        height, width = view.extent
        size = f"{right - left:.6g} x {top - bottom:.6g} nm"
        if width > right - left or height > top - bottom:
            raise SettingError(
                "file",
                f"layer {self.layer} of {self.file} covers {size}, less than the field of view of {width:g} x "
                f"{height:g} nm; use a smaller imaging.image_size or imaging.pixel_size",
            )
        self.check_pixels("file", chip.pitch / 2, f"half of the polygons in {self.file}", view, 2)
        for x, y in self._given_windows():
            if not (
                left <= x - width / 2 and x + width / 2 <= right and bottom <= y - height / 2 and y + height / 2 <= top
            ):
                raise SettingError(
                    "windows",
                    f"[{x:g}, {y:g}] with a field of view of {width:g} x {height:g} nm is not inside the layer, which "
                    f"spans [{left:g}, {bottom:g}] to [{right:g}, {top:g}] nm",
                )
            if not len(chip.near(x, y, width / 2, height / 2)):
                raise SettingError("windows", f"[{x:g}, {y:g}] shows no polygon of layer {self.layer}; choose another")

    def sources(self) -> dict[str, str]:
        with Path(self.file).expanduser().open("rb") as stream:
            return {"layout_sha256": hashlib.file_digest(stream, "sha256").hexdigest()}

    def _given_windows(self) -> list[tuple[float, float]]:
        if self.windows is None:
            return []
        pairs = list(self.windows) if isinstance(self.windows, Sequence) and not isinstance(self.windows, str) else []
        good = [
            isinstance(pair, Sequence) and len(pair) == 2 and all(isinstance(number, int | float) for number in pair)
            for pair in pairs
        ]
        if not pairs or not all(good):
            raise SettingError(
                "windows", f"found {self.windows!r}, expected [[x, y], ...] in nm, or null for random ones"
            )
        return [(float(x), float(y)) for x, y in pairs]

    def draw(self, rng: np.random.Generator, view: FieldOfView) -> Shapes:
        """Draw one clip: a given window, or a random one that shows a polygon.

        Raises:
            UserError: No random window of this size shows a polygon, because the layer is too sparse.
        """
        chip = self.chip
        half_height, half_width = (extent / 2 for extent in view.extent)
        corner, sigma = self.draw_value(rng, "corner"), self.draw_value(rng, "roughness") / 3
        roughness = self.draw_roughness(rng, sigma)
        key = draw_key(rng)
        windows = self._given_windows()
        (left, bottom), (right, top) = chip.boxes[:, :2].min(axis=0), chip.boxes[:, 2:].max(axis=0)
        for _ in range(_WINDOW_TRIES):
            if windows:
                x, y = windows[int(rng.integers(len(windows)))]
            else:
                x = float(rng.uniform(left + half_width, right - half_width))
                y = float(rng.uniform(bottom + half_height, top - half_height))
            if len(chip.near(x, y, half_width * 0.9, half_height * 0.9)):
                break
        else:
            raise UserError(f"{self.file}: layer {self.layer} is too sparse for random windows; give pattern.windows")
        near = chip.near(x, y, half_width + chip.pitch, half_height + chip.pitch)
        polygons = tuple(_place(chip.polygons[number], x, y) for number in near)
        return Shapes(polygons, (), chip.pitch, corner, roughness, key)


def _place(polygon: npt.NDArray[np.float64], x: float, y: float) -> Polygon:
    """A polygon of the chip in the image's frame (y down), rounded to 0.001 nm to keep scenes short."""
    return tuple((round(float(right - x), 3), round(float(y - up), 3)) for right, up in polygon)


def read_chip(file: str, layer: int, datatype: int, cell: str | None) -> Chip:
    """The polygons of one layer of a GDSII or OASIS file.

    Raises:
        SettingError: A missing extra, a missing or invalid file, an unknown cell or an empty layer.
    """
    path = Path(file).expanduser()
    if not path.is_file():
        raise SettingError("file", f"{path} is not a file; expected a GDSII (.gds) or OASIS (.oas) layout")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise SettingError("file", f"{path} is larger than {MAX_FILE_BYTES >> 30} GiB; cut the block out first")
    return _read_chip(str(path), path.stat().st_mtime_ns, layer, datatype, cell)


@functools.lru_cache(maxsize=2)
def _read_chip(path: str, changed: int, layer: int, datatype: int, cell: str | None) -> Chip:
    try:
        import gdstk
    except ImportError:
        raise SettingError("file", "reading layouts needs the extra: pip install 'sem-lightning[layout]'") from None
    read = gdstk.read_oas if path.lower().endswith((".oas", ".oasis")) else gdstk.read_gds
    try:
        _check_header(path)
        library = read(path, unit=1e-9)
    except (RuntimeError, ValueError, OSError, MemoryError) as error:
        raise SettingError("file", f"{path} cannot be read as GDSII or OASIS ({error})") from None
    cells = {each.name: each for each in library.cells if hasattr(each, "get_polygons")}
    if cell is not None and cell not in cells:
        raise SettingError("cell", f"no cell {cell!r} in {path}, which has {', '.join(sorted(cells)[:20]) or 'none'}")
    counts = _count_polygons(cells, path)
    tops = [cells[cell]] if cell is not None else library.top_level()
    total = sum(counts[top.name] for top in tops if top.name in counts)
    if total > MAX_POLYGONS:
        raise SettingError(
            "file", f"{path} holds {total} polygons, more than {MAX_POLYGONS}; choose a smaller pattern.cell"
        )
    found = [
        np.asarray(each.points, np.float64) for top in tops for each in top.get_polygons(layer=layer, datatype=datatype)
    ]
    if not found:
        layers = sorted({f"{each[0]}/{each[1]}" for each in library.layers_and_datatypes()})
        raise SettingError(
            "layer", f"layer {layer}/{datatype} of {path} is empty; it has {', '.join(layers[:20]) or 'no polygons'}"
        )
    boxes = np.array([[*points.min(axis=0), *points.max(axis=0)] for points in found])
    return Chip(found, boxes)


def _check_header(path: str) -> None:
    """Check that the file begins like a layout, because the reader crashes on some other files."""
    with Path(path).open("rb") as stream:
        head = stream.read(16)
    gds = head[2:4] == b"\x00\x02" and head[:2] == b"\x00\x06"
    if not gds and not head.startswith(b"%SEMI-OASIS\r\n"):
        raise ValueError("it does not begin like one")


def _count_polygons(cells: dict[str, Any], path: str) -> dict[str, int]:
    """Number of polygons of each cell with references and repetitions, without creating them.

    Raises:
        SettingError: Cells that contain themselves.
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
            raise SettingError("file", f"{path} has cells that contain themselves: {', '.join(sorted(waiting)[:5])}")
        for name in ready:
            cell = waiting.pop(name)
            own = sum(_times(shape) for shape in (*cell.polygons, *cell.paths))
            counts[name] = own + sum(times * counts.get(child, 0) for times, child in below[name])
    return counts


def _times(shape: Any) -> int:
    return max(1, shape.repetition.size or 1)
