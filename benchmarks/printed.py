"""A classifier on real images: as they are, and with gaps and bridges printed into them.

python benchmarks/printed.py "../shared/real_sem/*reference*" [--ckpt robust] [--each 40] [--sheet F]        3 minutes

From good images of a metal layer (dark wires) pieces of several sizes are cut at random. A third stays as it is: real
in every pixel. Into the others a gap or a bridge of defect=basic is printed: the outline of the real wires is changed
as in the simulator, and the brightness by what the image's own mean profile across an edge says of the change. Layout,
noise and rim stay the real ones. Pieces overlap, and come from as few images as are given: so no intervals.
"""

import argparse
import tempfile
from pathlib import Path

import cv2
import numpy as np
from compare_real import levels
from foreign import CLASSES, predicted

from sem_lightning.commands.preview import compose_simulator
from sem_lightning.data.images import read_gray
from sem_lightning.inspection.find import find_images
from sem_lightning.metrology import edge_profile, outline_distance
from sem_lightning.synthesis.defects.defect import DefectSettings
from sem_lightning.synthesis.field import FieldOfView, Float32
from sem_lightning.synthesis.patterns.shapes import find_sites

SIZES = (128, 192, 256, 320)
REACH = 12  # pixels from an edge, beyond which brightness does not change
PLACES = np.arange(-REACH, REACH + 0.25, 0.5)


def add_defect(
    rng: np.random.Generator, image: Float32, phi: Float32, profile: np.ndarray, settings: DefectSettings
) -> Float32 | None:
    """A piece of a real image with a defect, or ``None`` where it has no place for one."""
    view = FieldOfView(*image.shape, 1.0)
    inside = phi[phi > 1]
    pitch = 4 * float(np.quantile(inside, 0.8)) if len(inside) else 0.0
    kind = settings.defect_type.site_kind
    sites = find_sites(phi, kind, pitch, view) if pitch else ()
    if not sites:
        return None

    class Traced:  # what candidates() asks of a pattern
        def draw_site(self, rng: np.random.Generator, kind: str, view: FieldOfView) -> object:
            return sites[int(rng.integers(len(sites)))]

    for defect in settings.candidates(rng, Traced(), view, crossing=False):  # type: ignore[arg-type]
        window = defect.window(view)
        across, along = view.axes(defect.site.x, defect.site.y, defect.site.angle, window)
        here = phi[window]
        changed = defect.change(here, across, along, view)
        if defect.is_inside(view) and np.count_nonzero((changed > 0) != (here > 0)) >= 8:
            printed = image.copy()
            printed[window] += np.interp(changed, PLACES, profile) - np.interp(here, PLACES, profile)
            return printed
    return None


def cut(rng: np.random.Generator, path: Path, size: int, label: str) -> Float32 | None:
    """A random piece of that size and class."""
    image = read_gray(path)
    if min(image.shape) < size:
        return None
    phi = outline_distance(image, sum(levels(image)) / 2, 1.0)
    profile = edge_profile(image, phi, REACH)
    settings = None if label == "good" else compose_simulator().defect.types[label]
    for _ in range(50):
        top, left = (int(rng.integers(0, n - size + 1)) for n in image.shape)
        part = (slice(top, top + size), slice(left, left + size))
        if not 0.05 < np.mean(phi[part] > 0) < 0.9:  # hardly a pattern
            continue
        piece = image[part] if settings is None else add_defect(rng, image[part], phi[part], profile, settings)
        if piece is not None:
            return piece
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images")
    parser.add_argument("--ckpt", default="robust")
    parser.add_argument("--each", type=int, default=40, help="pieces of each image, size and class")
    parser.add_argument("--sheet", help="draw some of the pieces into this file, and measure nothing")
    arguments = parser.parse_args()
    paths = find_images(arguments.images)
    rng = np.random.default_rng(5)
    if arguments.sheet:
        rows = [np.hstack([piece for path in paths for _ in range(3)
                           if (piece := cut(rng, path, 192, label)) is not None]) for label in CLASSES]  # fmt: skip
        width = min(row.shape[1] for row in rows)
        cv2.imwrite(arguments.sheet, np.uint8(255 * np.clip(np.vstack([row[:, :width] for row in rows]), 0, 1)))
        return
    print(f"| image | {' | '.join(f'{size} x {size}' for size in SIZES)} |")
    print("| --- |" + " --- |" * len(SIZES))
    for path in paths:
        cells = []
        for size in SIZES:
            pieces = [(label, cut(rng, path, size, label)) for label in CLASSES for _ in range(arguments.each)]
            labels = np.array([label for label, piece in pieces if piece is not None])
            with tempfile.TemporaryDirectory() as folder:
                for number, piece in enumerate(piece for _, piece in pieces if piece is not None):
                    cv2.imwrite(f"{folder}/{number:04d}.png", np.uint8(255 * np.clip(piece, 0, 1)))
                right = np.array(predicted(Path(folder), arguments.ckpt)) == labels
            recalls = ", ".join(
                f"{right[labels == name].mean():.2f}" if (labels == name).any() else "-" for name in CLASSES
            )
            cells.append(f"{right.mean():.3f} of {len(labels)} ({recalls})")
        print(f"| {path.stem} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
