"""Layout: clips of a user's GDSII or OASIS file."""

import functools
import hashlib
import importlib.util
import io
import json
import math
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from sem_lightning.errors import SettingError, UserError, missing_extra
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
# what the reader of a file may take
_LEAST_SECONDS, _SLOWEST = 60, 5_000_000  # seconds, bytes a second
_LEAST_MEMORY, _MEMORY_PER_BYTE = 4 << 30, 10


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
        UserError: The extra ``layout`` is not installed.
        SettingError: A missing or invalid file, an unknown cell or an empty layer.
    """
    path = Path(file).expanduser()
    if not path.is_file():
        raise SettingError("file", f"{path} is not a file; expected a GDSII (.gds) or OASIS (.oas) layout")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise SettingError("file", f"{path} is larger than {MAX_FILE_BYTES >> 30} GiB; cut the block out first")
    return _read_chip(str(path), path.stat().st_mtime_ns, layer, datatype, cell)


@functools.lru_cache(maxsize=2)
def _read_chip(path: str, changed: int, layer: int, datatype: int, cell: str | None) -> Chip:
    if importlib.util.find_spec("gdstk") is None:
        raise missing_extra("layout", path)
    found = _ask_reader(path, layer, datatype, cell)
    boxes = np.array([[*points.min(axis=0), *points.max(axis=0)] for points in found])
    return Chip(found, boxes)


def _ask_reader(path: str, layer: int, datatype: int, cell: str | None) -> list[npt.NDArray[np.float64]]:
    """The polygons that `layout_process` reads in a process of its own.

    Raises:
        SettingError: It refuses the file, crashes, or takes too much time or memory.
    """
    size = Path(path).stat().st_size
    asked = {
        "path": path,
        "layer": layer,
        "datatype": datatype,
        "cell": cell,
        "most_polygons": MAX_POLYGONS,
        "most_seconds": math.ceil(_LEAST_SECONDS + size / _SLOWEST),
        "most_bytes": _LEAST_MEMORY + _MEMORY_PER_BYTE * size,
    }
    seconds = _LEAST_SECONDS + size / _SLOWEST
    command = [sys.executable, "-P", str(Path(__file__).with_name("layout_process.py")), json.dumps(asked)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        raise SettingError("file", f"{path} takes more than {seconds:.0f} s to read; cut the block out first") from None
    if done.returncode != 0:
        memory = f"{(_LEAST_MEMORY + _MEMORY_PER_BYTE * size) / 2**30:.0f} GiB"
        raise SettingError("file", f"{path} cannot be read: it is damaged, or takes more than {memory} of memory")
    answer = io.BytesIO(done.stdout)
    content = np.load(answer, allow_pickle=False)
    if content.dtype == np.uint8:
        raise SettingError(*json.loads(content.tobytes()))
    counts = np.load(answer, allow_pickle=False)
    return np.split(content, np.cumsum(counts)[:-1])
