"""A classifier on real images: unchanged, and with simulated gaps and bridges.

python benchmarks/printed.py "../shared/real_sem/*reference*" [--ckpt robust] [--polarity dark] [--each 20]   3 minutes

Pieces of several sizes are cut at random from good images of a metal layer (dark wires). A third is not changed. The
others get a gap or a bridge of defect=basic: the outline of the real wires is changed as in the simulator; where it
moved, brightness follows the image's own mean edge profile, with noise of the spectrum of its own flat areas. Counting
connected parts checks that a gap opens a wire and a bridge joins two. Layout, noise and profile are real; the shape of
the defect is simulated. Pieces overlap and come from few images, so there are no intervals.
"""

import argparse
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from foreign import CHANGE, CLASSES, parts

from sem_lightning.config.compose import compose_simulator
from sem_lightning.fitting.metal_lines import measure_wires
from sem_lightning.inference.predictor import load
from sem_lightning.io.find import find_images
from sem_lightning.io.images import read_gray
from sem_lightning.metrology.edges import edge_profile
from sem_lightning.synthesis.defects.defect import DefectSettings
from sem_lightning.synthesis.field import FieldOfView, Float32
from sem_lightning.synthesis.patterns.shapes import find_sites

SIZES = (128, 192, 256, 320)
REACH = 12  # pixels from an edge beyond which brightness does not change
FLAT = 32  # pixels: side of the patches for noise
MOVED = 0.5  # pixels of outline movement from which brightness changes


@dataclass(frozen=True)
class Subject:
    """A good image and its measurements: signed distance in wires, pitch, mean profile, noise."""

    image: Float32
    phi: Float32
    pitch: float
    profile: np.ndarray
    noise: Float32

    def brightness(self, phi: Float32) -> Float32:
        across = np.linspace(-REACH, REACH, len(self.profile))
        return np.asarray(np.interp(phi, across, self.profile), np.float32)

    def cut(self, top: int, left: int, size: int) -> "Subject":
        part = (slice(top, top + size), slice(left, left + size))
        return Subject(self.image[part], self.phi[part], self.pitch, self.profile, self.noise[part])


def measure(path: Path) -> Subject:
    image = read_gray(path)
    wires = measure_wires(image, "dark")
    profile = edge_profile(image, wires.phi, REACH)
    place = np.arange(len(profile))
    known = profile > 0  # distances without pixels are unknown
    profile = np.interp(place, place[known], profile[known])
    return Subject(image, wires.phi, wires.pitch, profile, draw_noise(image, wires.phi))


def draw_noise(image: Float32, phi: Float32) -> Float32:
    """Gaussian noise with the spectrum of the image's flat ground."""
    spectra = []
    for top in range(0, image.shape[0] - FLAT, FLAT // 2):
        for left in range(0, image.shape[1] - FLAT, FLAT // 2):
            part = (slice(top, top + FLAT), slice(left, left + FLAT))
            if phi[part].max() < -REACH:
                spectra.append(np.abs(np.fft.fft2(image[part] - image[part].mean())) ** 2)
    amplitude = np.sqrt(np.mean(spectra, axis=0)) / FLAT
    kernel = np.fft.fftshift(np.fft.ifft2(amplitude).real).astype(np.float32)
    white = np.random.default_rng(3).standard_normal(image.shape).astype(np.float32)
    return np.asarray(cv2.filter2D(white, -1, kernel), np.float32)


@functools.cache
def defect_types() -> dict[str, DefectSettings]:
    return compose_simulator().defect.types


def add_defect(rng: np.random.Generator, piece: Subject, settings: DefectSettings) -> Float32 | None:
    """The piece with a defect, or ``None`` if there is no place for one."""
    height, width = piece.phi.shape
    view = FieldOfView(height, width, 1.0)
    sites = find_sites(piece.phi, settings.defect_type.site_kind, piece.pitch, view)
    if not len(sites):
        return None

    class Traced:  # the part of a pattern that candidates() needs
        longest_gap = None

        def draw_site(self, rng: np.random.Generator, kind: str, view: FieldOfView) -> object:
            return sites[int(rng.integers(len(sites)))]

    for defect in settings.candidates(rng, Traced(), view, crossing=False):  # type: ignore[arg-type]
        window = defect.window(view)
        across, along = view.axes(defect.site.x, defect.site.y, defect.site.angle, window)
        phi = piece.phi.copy()
        phi[window] = defect.change(piece.phi[window], across, along, view)
        opened = parts((phi > 0).astype(np.uint8)) - parts((piece.phi > 0).astype(np.uint8))
        if not defect.is_inside(view) or opened != CHANGE[settings.defect_type.name]:
            continue
        near = np.clip(phi, -REACH, REACH) - np.clip(piece.phi, -REACH, REACH)
        share = cv2.GaussianBlur((np.abs(near) > MOVED).astype(np.float32), (0, 0), 0.7)
        return piece.image + share * (piece.brightness(phi) + piece.noise - piece.image)
    return None


def cut(rng: np.random.Generator, subject: Subject, size: int, label: str) -> Float32 | None:
    """A random piece of that size and class."""
    height, width = subject.image.shape
    if min(height, width) < size:
        return None
    settings = None if label == "good" else defect_types()[label]
    for _ in range(50):
        piece = subject.cut(int(rng.integers(0, height - size + 1)), int(rng.integers(0, width - size + 1)), size)
        if not 0.05 < np.mean(piece.phi > 0) < 0.9:  # hardly a pattern
            continue
        image = piece.image if settings is None else add_defect(rng, piece, settings)
        if image is not None:
            return image
    return None


def save_sheet(path: str, subjects: Sequence[Subject]) -> None:
    """Some pieces of each image, a row for each class."""
    rng = np.random.default_rng(5)
    rows = [[cut(rng, subject, 192, label) for subject in subjects for _ in range(3)] for label in CLASSES]
    found = [[piece for piece in row if piece is not None] for row in rows]
    most = min(len(row) for row in found)
    sheet = np.vstack([np.hstack(row[:most]) for row in found])
    cv2.imwrite(path, (255 * np.clip(sheet, 0, 1)).astype(np.uint8))


def printed(subject: Subject, size: int, each: int) -> tuple[list[str], list[npt.NDArray[np.uint8]]]:
    """Labels and pieces of one image."""
    rng = np.random.default_rng([6, size])
    pieces = [(label, cut(rng, subject, size, label)) for label in CLASSES for _ in range(each)]
    made = [
        (label, (255 * np.clip(piece, 0, 1) + 0.5).astype(np.uint8)) for label, piece in pieces if piece is not None
    ]
    return [label for label, _ in made], [piece for _, piece in made]


def judge(subject: Subject, size: int, ckpt: str, polarity: str | None, each: int) -> str:
    """Accuracy, pieces, and recall of each class."""
    labels, pieces = printed(subject, size, each)
    if not labels:
        return "-"
    truth = np.array(labels)
    right = np.array([found.label for found in load(ckpt, polarity=polarity).predict(pieces)]) == truth
    recalls = ", ".join(f"{right[truth == name].mean():.2f}" if (truth == name).any() else "-" for name in CLASSES)
    return f"{right.mean():.3f} of {len(labels)} ({recalls})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images")
    parser.add_argument("--ckpt", default="robust")
    parser.add_argument("--polarity", help="as in sem-predict: bright or dark")
    parser.add_argument("--each", type=int, default=20, help="pieces of each image, size and class")
    parser.add_argument("--sheet", help="only draw some of the pieces into this file")
    arguments = parser.parse_args()
    subjects = {path.stem: measure(path) for path in find_images(arguments.images)}
    if arguments.sheet:
        save_sheet(arguments.sheet, list(subjects.values()))
        return
    print(f"| image | {' | '.join(f'{size} x {size}' for size in SIZES)} |")
    print("| --- |" + " --- |" * len(SIZES))
    for name, subject in subjects.items():
        cells = [judge(subject, size, arguments.ckpt, arguments.polarity, arguments.each) for size in SIZES]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
