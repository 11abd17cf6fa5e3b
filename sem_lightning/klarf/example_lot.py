"""Makes a small lot to try: a KLARF file of version 1.2 and its simulated images.

python -m sem_lightning.klarf.example_lot my_lot
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sem_lightning.synthesis.simulator import Simulator

_COLUMNS = "DEFECTID XREL YREL XINDEX YINDEX CLASSNUMBER IMAGECOUNT IMAGELIST"
_PITCH = (10.0, 12.0)  # mm
_RADIUS = 145.0  # mm, within which defects lie
_CLASS_NAMES = ("Unclassified", "Good", "Gap", "Bridge", "Unsure")
_SHARES = (0.3, 0.2, 0.5)  # of good, gap and bridge


def write_example_lot(folder: str | Path, defects: int = 60) -> Path:
    """Write ``lot.klarf`` and ``lot.tif``, a page for each defect, of lines and spaces with gaps and bridges.

    Args:
        folder: Made if it is not there; files of these names in it are replaced.
        defects: Their number.

    Returns:
        The KLARF file.
    """
    import tifffile

    folder = Path(folder).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    simulator = Simulator.compose("pattern.pitch=20", "noise=low", "imaging.image_size=128")
    rng = np.random.default_rng(0)
    labels = rng.choice(simulator.classes, size=defects, p=_SHARES)
    with tifffile.TiffWriter(folder / "lot.tif") as writer:
        for index, label in enumerate(labels):
            writer.write(simulator.sample(index, label=str(label)).image, contiguous=False)
    rows = [_row(number, *place) for number, place in enumerate(_draw_places(rng, defects), start=1)]
    lot = folder / "lot.klarf"
    lot.write_text("\n".join([*_head(), *rows]) + ";\nEndOfFile;\n")
    return lot


def _head() -> Sequence[str]:
    classes = [f'  {number} "{name}"' for number, name in enumerate(_CLASS_NAMES)]
    return (
        "FileVersion 1 2;", "FileTimestamp 12-01-26 10:00:00;", 'InspectionStationID "sem-lightning" "example" "1";',
        "SampleType WAFER;", "ResultTimestamp 12-01-26 09:30:00;", 'LotID "EXAMPLE";', "SampleSize 1 300;",
        'DeviceID "LINES";', 'StepID "ETCH";', "SampleOrientationMarkType NOTCH;", "OrientationMarkLocation DOWN;",
        f"DiePitch {1000 * _PITCH[0]:.1f} {1000 * _PITCH[1]:.1f};", "DieOrigin 0.0 0.0;", 'WaferID "01";', "Slot 1;",
        f"SampleCenterLocation {500 * _PITCH[0]:.1f} {500 * _PITCH[1]:.1f};", f"ClassLookup {len(classes)}",
        "\n".join(classes) + ";", "InspectionTest 1;",
        f"DefectRecordSpec {len(_COLUMNS.split())} {_COLUMNS} ;", "TiffFileName lot.tif;", "DefectList",
    )  # fmt: skip


def _draw_places(rng: np.random.Generator, count: int) -> list[tuple[float, float]]:
    """Positions on the wafer in mm: half of them on a ring near its edge."""
    radii = np.where(rng.random(count) < 0.5, rng.uniform(120, _RADIUS, count), _RADIUS * np.sqrt(rng.random(count)))
    angles = rng.uniform(0, 2 * np.pi, count)
    return list(zip((radii * np.cos(angles)).tolist(), (radii * np.sin(angles)).tolist(), strict=True))


def _row(number: int, x: float, y: float) -> str:
    """A row; the centre of die (0, 0) is that of the wafer."""
    cells = [divmod(place + pitch / 2, pitch) for place, pitch in zip((x, y), _PITCH, strict=True)]
    inside, dies = [1000 * rest for _, rest in cells], [int(die) for die, _ in cells]
    return f" {number} {inside[0]:.3f} {inside[1]:.3f} {dies[0]} {dies[1]} 0 1 1 {number} 0"


if __name__ == "__main__":
    print(write_example_lot(sys.argv[1] if len(sys.argv) > 1 else "my_lot"))
