"""Comparison with a reference on pairs that our simulator did not make.

python benchmarks/inspection_transfer.py --foreign   # drawings of foreign.py, each printed twice; 5 minutes
python benchmarks/inspection_transfer.py --printed "../shared/real_sem/*_reference_image.tif"   # 5 minutes
python benchmarks/inspection_transfer.py --foreign --network CHECKPOINT   # with a column for a network

--foreign: half of the images are good. The reference is the same drawing with other rough edges, contrast, brightness
and noise, a shift of up to 0.15 of the field, a turn of up to 1 degree and a scale of up to 1 %.

--printed: pieces of a real good image with the defects of printed.py; the reference is the same place of the image that
was taken for it on another die (its name with inspected for reference). Pieces whose reference shows one of its own
defects, which an inspection of the whole images with false_places=2.2 finds, are left out. Pieces overlap and come from
three pairs of images, so the intervals are those of the pieces, not of layouts.

The single-image classifier is told the polarity. Seeds: the plain difference chose its limit on 2901. The figures of
--foreign are of 2930, 2931 and 2932, those of --printed of 2920, 2921 and 2922. Nothing was chosen on these; the range
of the rough edges was halved after a look at drawings of 2920 to 2922.
"""

import argparse
import itertools
import math
from collections import defaultdict
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt
from comparisons import (
    CHOICE_SEED,
    TEST_SEEDS,
    balanced,
    best_limit,
    make_inspectors,
    plain_difference,
    print_shares,
    share,
    to_float,
)
from foreign import CLASSES, FINE, KINDS, LOOKS, Mask, add_defect, detect, draw_lines, draw_metal, shade
from printed import Subject, defect_types, measure
from printed import add_defect as print_defect

import sem_lightning as sl
from sem_lightning.inference.prediction import Prediction
from sem_lightning.inspection.inspection import DEFECT, Place
from sem_lightning.inspection.inspector import Inspector
from sem_lightning.io.find import find_images
from sem_lightning.io.images import read_gray
from sem_lightning.synthesis.field import Float32

LABELS = ("good", "gap", "good", "bridge")
DRAWN_SEEDS = (2930, 2931, 2932)
DRAWN_SIZES, PRINTED_SIZES = (128, 256), (128, 192, 256)
MARGIN = 0.18  # of the field: what a reference may show beyond its image
ONE_IMAGE, PLAIN = "one image (robust)", "plain difference"
NEAR = 6  # pixels around a defect that belong to it
Bytes = npt.NDArray[np.uint8]
Decided = dict[str, list[tuple[bool, dict[str, str]]]]  # of each row: whether defective, and each method's decision


def displace_edges(rng: np.random.Generator, mask: Mask, pitch: float) -> Mask:
    """The mask with rough edges: smoothly displaced by 0.005 to 0.02 pitches (1 sigma); no part is cut or joined."""
    cells = math.ceil(len(mask) / (pitch * rng.uniform(0.3, 1))) + 3
    field = rng.normal(0, pitch * rng.uniform(0.005, 0.02), (2, cells, cells)).astype(np.float32)
    x, y = np.meshgrid(*2 * [np.arange(len(mask), dtype=np.float32)])
    moved_x, moved_y = (cv2.resize(each, mask.shape[::-1], interpolation=cv2.INTER_CUBIC) for each in field)
    found = cv2.remap(mask, x + moved_x, y + moved_y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found, np.uint8)


def draw_masks(rng: np.random.Generator, kind: str, size: int, label: str) -> tuple[Mask, Mask, int]:
    """Two masks that are wider than the image, with the defect and without, and the pitch; its pixels are fine ones."""
    wide = size + 2 * round(MARGIN * size)
    free = round((MARGIN + 0.17) * size) * FINE
    while True:
        mask, lines = draw_metal(rng, wide) if "metal" in kind else draw_lines(rng, wide)
        if label == "good":
            return mask, mask, lines[0][2]
        changed = add_defect(rng, mask, lines, label, kind == "threads" and label == "bridge")
        if changed is not None:
            differs = changed != mask
            if np.count_nonzero(differs) == np.count_nonzero(differs[free:-free, free:-free]):
                return changed, mask, lines[0][2]


def draw_pair(rng: np.random.Generator, kind: str, size: int, look: str, label: str) -> tuple[Bytes, Bytes]:
    """An image and its reference."""
    changed, mask, pitch = draw_masks(rng, kind, size, label)
    margin = round(MARGIN * size)
    process, turned = int(rng.integers(2**32)), rng.random() < 0.5  # both have one process: grey levels, rims, blur
    shown = []
    for each in (changed, mask):
        drawn = displace_edges(rng, each, pitch)
        shaded = shade(np.random.default_rng(process), drawn, size + 2 * margin, look, KINDS[kind])
        shown.append(shaded.T if turned else shaded)
    middle = (shown[1].shape[0] - 1) / 2
    matrix = cv2.getRotationMatrix2D((middle, middle), rng.uniform(-1, 1), rng.uniform(0.99, 1.01))
    shift, heading = 0.15 * size * rng.random(), rng.uniform(0, 2 * math.pi)
    matrix = matrix + np.array([[0, 0, shift * math.cos(heading)], [0, 0, shift * math.sin(heading)]])
    moved = cv2.warpAffine(shown[1], matrix, shown[1].shape, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    moved = np.asarray(moved * rng.uniform(0.9, 1.1) + rng.uniform(-0.05, 0.05), np.float32)
    inner = (slice(margin, margin + size), slice(margin, margin + size))
    return detect(rng, shown[0][inner]), detect(rng, moved[inner])


def drawn_pairs(seed: int, kind: str, size: int, count: int) -> list[tuple[str, str, Float32, Float32]]:
    """Label, style, image and reference of each pair."""
    rng = np.random.default_rng([seed, list(KINDS).index(kind), size])
    made = []
    for number in range(count):
        label, look = LABELS[number % 4], LOOKS[number // 2 % 3]
        image, reference = draw_pair(rng, kind, size, look, label)
        made.append((label, look, to_float(image), to_float(reference)))
    return made


def measure_foreign(count: int, network: str | None) -> None:
    """Balanced accuracy of good against defective, by kind, style, size and seed."""
    inspectors = make_inspectors(network)
    found: Decided = defaultdict(list)
    each = math.ceil(count / (len(KINDS) * len(DRAWN_SIZES) * len(DRAWN_SEEDS)))
    chosen: dict[bool, list[float]] = {True: [], False: []}
    for kind, size in itertools.product(KINDS, DRAWN_SIZES):
        for label, _, image, reference in drawn_pairs(CHOICE_SEED, kind, size, each):
            chosen[label != "good"].append(plain_difference(image, reference))
    limit = best_limit(chosen[True], chosen[False])
    for kind, size, seed in itertools.product(KINDS, DRAWN_SIZES, DRAWN_SEEDS):
        single = sl.load("robust", polarity="dark" if KINDS[kind] else "bright")
        for label, look, image, reference in drawn_pairs(seed, kind, size, each):
            called = {name: way.inspect(image, reference).decision for name, way in inspectors.items()}
            called[ONE_IMAGE] = single.predict([image])[0].label
            called[PLAIN] = "defect" if plain_difference(image, reference) > limit else "good"
            for row in ("all", kind, look, f"{size} x {size} pixels", f"seed {seed}"):
                found[row].append((label != "good", called))
    print_accuracies("drawn pairs", ordered(found, ("all", *KINDS, *LOOKS)))


def print_accuracies(title: str, found: Decided) -> None:
    """Balanced accuracy, where ``unsure`` counts as not good, and shares of what is decided."""
    methods = list(found["all"][0][1])
    print(f"| {title}: balanced accuracy | of | {' | '.join(methods)} |")
    print("| --- | ---: |" + " ---: |" * len(methods))
    for row, judged in found.items():
        cells = [balanced([(truth, decided[method] != "good") for truth, decided in judged]) for method in methods]
        print(f"| {row} | {len(judged)} | {' | '.join(cells)} |")
    for head, is_defective, asked in (
        ("good ones called defective", False, {*CLASSES[1:], DEFECT}),
        ("good ones unsure", False, {"unsure"}),
        ("defective ones unsure", True, {"unsure"}),
    ):
        rows = {row: [each for truth, each in judged if truth == is_defective] for row, judged in found.items()}
        called = {row: [{name: each[name] in asked for name in methods} for each in rows[row]] for row in rows}
        print_shares(f"{title}: {head}", called)


def ordered(found: Decided, first: Sequence[str]) -> Decided:
    """The rows in the order of their names, those named first in theirs."""
    return {row: found[row] for row in (*first, *sorted(set(found) - set(first)))}


def print_pieces(
    seed: int, subject: Subject, other: Float32, avoided: Sequence[Place], size: int, count: int
) -> list[tuple[str, Float32, Float32, Place | None]]:
    """Label, piece, the same place of the other image, and the printed defect."""
    rng = np.random.default_rng([seed, size])
    made: list[tuple[str, Float32, Float32, Place | None]] = []
    height, width = (min(sides) for sides in zip(subject.image.shape, other.shape, strict=True))
    if min(height, width) < size:
        return made
    for _ in range(200 * count):
        if len(made) == count:
            break
        top, left = int(rng.integers(0, height - size + 1)), int(rng.integers(0, width - size + 1))
        piece, area = subject.cut(top, left, size), Place(left, top, size, size, "", 0.0, 0, False)
        if not 0.05 < np.mean(piece.phi > 0) < 0.9 or any(area.overlaps(place, NEAR) for place in avoided):
            continue
        label = LABELS[len(made) % 4]
        image = piece.image if label == "good" else print_defect(rng, piece, defect_types()[label])
        if image is not None:
            x, y, wide, high = cv2.boundingRect((np.abs(image - piece.image) > 0.02).astype(np.uint8))
            defect = None if label == "good" else Place(x, y, wide, high, label, 0.0, 0, False)
            made.append((label, as_stored(image), as_stored(other[top : top + size, left : left + size]), defect))
    return made


def as_stored(image: Float32) -> Float32:
    """The image as a file of 8 bits gives it back."""
    stored: Float32 = to_float(np.asarray(255 * np.clip(image, 0, 1) + 0.5, np.uint8))
    return stored


def regions_of(prediction: Prediction) -> tuple[Place, ...]:
    return tuple(Place(r.x, r.y, r.width, r.height, r.label, r.score, 0, False) for r in prediction.regions)


def measure_printed(images: str, count: int, network: str | None) -> None:
    """Balanced accuracy, defects found where they are, and places that lie on one."""
    inspectors, single = make_inspectors(network), sl.load("robust", polarity="dark")
    accuracy: Decided = defaultdict(list)
    at_defect: dict[str, list[dict[str, bool]]] = defaultdict(list)
    on_defect: dict[str, list[bool]] = defaultdict(list)
    files = list(find_images(images))
    each = math.ceil(count / (len(files) * len(PRINTED_SIZES) * len(TEST_SEEDS)))
    for path, size, seed in itertools.product(files, PRINTED_SIZES, TEST_SEEDS):
        other = path.with_name(path.name.replace("reference", "inspected"))
        avoided = Inspector(2.2).inspect(other, path).places
        for label, image, reference, defect in print_pieces(seed, measure(path), read_gray(other), avoided, size, each):
            called, places = {}, {}
            for name, inspector in inspectors.items():
                found = inspector.inspect(image, reference)
                called[name], places[name] = found.decision, found.places
            alone = single.predict([image])[0]
            called[ONE_IMAGE], places[ONE_IMAGE] = alone.label, regions_of(alone)
            rows = ("all", path.stem, f"{size} x {size} pixels", f"seed {seed}")
            for row in rows:
                accuracy[row].append((label != "good", called))
            if defect is not None:
                hits = {name: [place.overlaps(defect, NEAR) for place in found] for name, found in places.items()}
                for row in (*rows, label):
                    at_defect[row].append({name: any(found) for name, found in hits.items()})
                for name, found in hits.items():
                    on_defect[name] += found
    print_accuracies("printed defects", ordered(accuracy, ("all", *(path.stem for path in files))))
    print_shares("printed defects with a place on them", dict(sorted(at_defect.items())))
    for name, hits_of in on_defect.items():
        print(f"\n{name}: of {len(hits_of)} places in pieces with a defect {share(hits_of)} lie on it")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--foreign", action="store_true", help="pairs of another generator")
    parser.add_argument("--printed", metavar="IMAGES", help="good real images, whose names contain reference")
    parser.add_argument("--network", help="a checkpoint of experiment=reference")
    parser.add_argument("--pairs", type=int, default=1800, help="number of pairs")
    asked = parser.parse_args()
    if asked.foreign:
        measure_foreign(asked.pairs, asked.network)
    if asked.printed:
        measure_printed(asked.printed, asked.pairs, asked.network)


if __name__ == "__main__":
    main()
