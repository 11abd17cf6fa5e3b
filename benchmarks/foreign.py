"""A classifier on images of another generator that shares only the three classes with ours.

python benchmarks/foreign.py [--ckpt robust] [--polarity dark] [--images 150] [--kinds lines] [--sheet F]   4 minutes

Plain drawings: rectangles on a binary image at four times the resolution, then one of three styles. ``flat``: two grey
levels. ``rims``: lines and spaces of equal grey, with bright edges. ``thick``: two levels and broad rims. Blur,
Gaussian noise, salt and pepper; no signed distances, spectra or electrons. ``lines`` are parallel and bright.
``threads`` are lines with bridges two to four pixels thick at any file size. ``metal`` are wires on tracks that end
anywhere, bright on dark or dark on bright. A defect is a rectangle or an ellipse that opens one wire or joins two;
counting connected parts checks this. Images of 128 to 512 pixels are judged by the Predictor.
"""

import argparse

import cv2
import numpy as np
import numpy.typing as npt

from sem_lightning.decision.intervals import wilson_interval
from sem_lightning.inference.predictor import load

CLASSES = ("good", "gap", "bridge")
CHANGE = {"gap": 1, "bridge": -1}  # change of the number of connected parts
SIZES, LOOKS = (128, 256, 512), ("flat", "rims", "thick")
KINDS = {"lines": False, "bright metal": False, "dark metal": True, "threads": False}  # whether wires are dark
FINE = 4
Mask = npt.NDArray[np.uint8]


def draw_lines(rng: np.random.Generator, size: int) -> tuple[Mask, list[tuple[int, int, int]]]:
    """Vertical lines: the mask, and left, right and pitch of each line."""
    pitch = size * FINE / np.exp(rng.uniform(np.log(3), np.log(18)))
    width, phase = pitch * rng.uniform(0.35, 0.65), rng.uniform(0, pitch)
    mask = np.zeros((size * FINE, size * FINE), np.uint8)
    lines = []
    for left in np.arange(phase - pitch, size * FINE, pitch):
        lines.append((round(left), round(left + width), round(pitch)))
        mask[:, max(lines[-1][0], 0) : max(lines[-1][1], 0)] = 1
    return mask, lines


def draw_metal(rng: np.random.Generator, size: int) -> tuple[Mask, list[tuple[int, int, int]]]:
    """Vertical wires on tracks, each in pieces, some joined to the next track."""
    mask, lines = draw_lines(rng, size)
    tall = len(mask)
    for left, right, pitch in lines:
        left, right = max(left, 0), max(right, 0)
        y = int(rng.uniform(-4, 4) * pitch)
        while y < tall:
            y += int(pitch * rng.uniform(2, 12))
            space = int(pitch * rng.uniform(1.6, 4))  # longer than any gap
            mask[max(y, 0) : max(y + space, 0), left:right] = 0
            y += space
            if rng.random() < 0.2 and 0 < y < tall:
                mask[y : y + right - left, left : right + pitch - (right - left)] = 1
    return mask, lines


def parts(mask: Mask) -> int:
    return int(cv2.connectedComponents(mask, connectivity=4)[0])


def add_defect(
    rng: np.random.Generator, mask: Mask, lines: list[tuple[int, int, int]], label: str, thin: bool
) -> Mask | None:
    """The mask with a gap or a bridge inside the image, or ``None`` if no place was found."""
    tall = len(mask)
    for _ in range(60):
        left, right, pitch = lines[int(rng.integers(len(lines)))]
        length = FINE * rng.uniform(2, 4) if thin else pitch * np.exp(rng.uniform(np.log(0.35), np.log(1.2)))
        y = rng.uniform(0.05 * tall + length, 0.95 * tall - length)
        if label == "bridge":
            left, right = right, left + pitch
        if left < 0.05 * tall or right > 0.95 * tall or right - left < 2 * FINE:
            continue
        # straight on both sides, so that it does not look intended
        near = mask[max(int(y - 1.5 * length - pitch / 2), 0) : int(y + 1.5 * length + pitch / 2), :]
        beside = near[:, [left - 1, min(right, tall - 1)]] if label == "bridge" else near[:, [(left + right) // 2]]
        if not beside.all() or (label == "bridge" and near[:, (left + right) // 2].any()):
            continue
        changed = mask.copy()
        colour = int(label == "bridge")
        middle = ((left + right) / 2, y)
        if rng.random() < 0.5:
            corners = [(left - 1, round(y - length / 2)), (right, round(y + length / 2))]
            cv2.rectangle(changed, corners[0], corners[1], colour, -1)
        else:
            axes = (0.75 * (right - left), max(length / 2, FINE))
            cv2.ellipse(changed, (middle, (2 * axes[0], 2 * axes[1]), 0.0), colour, -1)
        if parts(changed) - parts(mask) == CHANGE[label]:
            return changed
    return None


def shade(rng: np.random.Generator, mask: Mask, size: int, look: str, dark: bool) -> npt.NDArray[np.float32]:
    """Grey levels of the mask, without noise."""
    fine = mask.astype(np.float32)
    if dark:
        fine = 1 - fine
    low, high = rng.uniform(0.1, 0.4), rng.uniform(0.5, 0.85)
    if look == "rims":
        high = low + rng.uniform(0.05, 0.15)
    image = low + (high - low) * fine
    if look != "flat":
        kernel = np.ones((3, 3), np.uint8)
        edge = cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, kernel).astype(np.float32)
        width = FINE * (rng.uniform(0.6, 1.0) if look == "rims" else rng.uniform(1.0, 2.0))
        rim = cv2.GaussianBlur(edge, (0, 0), width)
        image = image + rng.uniform(0.2, 0.5) * rim / max(float(rim.max()), 1e-6)
    image = np.asarray(cv2.GaussianBlur(image, (0, 0), FINE * rng.uniform(0.4, 1.2)), np.float32)
    return np.asarray(cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA), np.float32)


def detect(rng: np.random.Generator, shaded: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """The image that a noisy detector makes of grey levels."""
    image = shaded + rng.normal(0, rng.uniform(0.01, 0.08), shaded.shape)
    hit = rng.random(image.shape)
    image = np.where(hit < 0.0005, 0, np.where(hit > 0.9995, 1, image))
    return np.asarray(np.clip(image * 255, 0, 255).round(), np.uint8)


def draw(rng: np.random.Generator, kind: str, size: int, look: str, label: str) -> npt.NDArray[np.uint8]:
    while True:
        mask, lines = draw_metal(rng, size) if "metal" in kind else draw_lines(rng, size)
        thin = kind == "threads" and label == "bridge"
        changed = mask if label == "good" else add_defect(rng, mask, lines, label, thin)
        if changed is not None:
            shaded = shade(rng, changed, size, look, KINDS[kind])
            return detect(rng, shaded.T if rng.random() < 0.5 else shaded)


def drawn(kind: str, size: int, count: int) -> tuple[list[str], list[npt.NDArray[np.uint8]]]:
    """Labels and images of a kind, as many of each class and style."""
    rng = np.random.default_rng([8, list(KINDS).index(kind), size])
    labels = [CLASSES[number % 3] for number in range(count)]
    return labels, [draw(rng, kind, size, LOOKS[n // 3 % 3], label) for n, label in enumerate(labels)]


def measure(kind: str, size: int, ckpt: str, polarity: str | None, count: int) -> str:
    """Accuracy with its interval, and recall of each class."""
    labels, images = drawn(kind, size, count)
    found = [each.label for each in load(ckpt, polarity=polarity).predict(images)]
    right = np.array(found) == np.array(labels)
    low, high = wilson_interval(int(right.sum()), count)
    recalls = ", ".join(f"{right[np.array(labels) == name].mean():.2f}" for name in CLASSES)
    return f"{right.mean():.3f} [{low:.3f}, {high:.3f}] ({recalls})"


def save_sheet(path: str) -> None:
    """Some images of each kind and style, a row for each class."""
    rng = np.random.default_rng(1)
    rows = []
    for label in CLASSES:
        images = [draw(rng, kind, 128, look, label) for kind in KINDS for look in LOOKS]
        rows.append(np.hstack([cv2.copyMakeBorder(image, 2, 2, 2, 2, cv2.BORDER_CONSTANT) for image in images]))
    cv2.imwrite(path, np.vstack(rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ckpt", default="robust")
    parser.add_argument("--polarity", help="as in sem-predict: bright or dark")
    parser.add_argument("--images", type=int, default=150)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--sheet", help="only draw some of the images into this file")
    arguments = parser.parse_args()
    if arguments.sheet:
        save_sheet(arguments.sheet)
        return
    print(f"| kind | {' | '.join(f'{size} x {size}' for size in SIZES)} |")
    print("| --- |" + " --- |" * len(SIZES))
    for kind in arguments.kinds:
        cells = [measure(kind, size, arguments.ckpt, arguments.polarity, arguments.images) for size in SIZES]
        print(f"| {kind} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
