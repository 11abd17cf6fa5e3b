"""Where a comparison ends: the smallest defects, an image as its own reference, and the memory of a long stream.

python benchmarks/inspection_limits.py --sizes    # capture by size and dose, with a reference and without; 10 minutes
python benchmarks/inspection_limits.py --self     # contact holes and lines as their own reference; 5 minutes
python benchmarks/inspection_limits.py --memory   # 10,000 pairs in one stream; 5 minutes
python benchmarks/inspection_limits.py --sizes --self --network CHECKPOINT   # with a column for a network

Sizes are those of the settings, in pitches of 32 pixels: the extent of a gap or a bridge along the line, the thickness
of a spur that reaches half across the space, the mean diameter of a particle. A defect is captured by a comparison if a
place lies on it, by one image if the image is not called good. The limit of one image at equal overkill is chosen for
each dose on good images of seed 2901. All figures are of the seeds 2920, 2921 and 2922, which nothing was chosen on.
"""

import argparse
import itertools
import math
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from comparisons import (
    CHOICE_SEED,
    FALSE_PLACES,
    TEST_SEEDS,
    balanced,
    make_inspectors,
    pictures,
    print_shares,
    share,
    to_float,
)

import sem_lightning as sl
from sem_lightning.decision.intervals import wilson_interval
from sem_lightning.inspection.inspection import Place
from sem_lightning.inspection.inspector import Inspector
from sem_lightning.inspection.references import InspectionPair
from sem_lightning.synthesis.pairs import Pair, PairSimulator
from sem_lightning.synthesis.simulator import Simulator

PITCH = 32  # pixels
SIZES = (1 / 16, 1 / 8, 3 / 16, 1 / 4)  # pitches
DOSES = (20, 80, 320, 1280)  # electrons a white pixel
DEFECTS = ("gap", "bridge", "microbridge", "particle")
NEAR = 6  # pixels around a defect that belong to it
ONE_IMAGE, EQUAL = "one image (robust)", "one image, equal overkill"
ALONE = {
    "contact holes": (("pattern=contact_hole", "defect=contact_hole"), "dark"),
    "lines": (("pattern=line_space", "defect=basic"), "bright"),
    "lines of any pitch and direction": (("pattern=any_line_space", "defect=basic"), "bright"),
}


@dataclass(frozen=True)
class Judged:
    """A pair with what each method says of it: whether it captures the defect, or takes a good pair for defective."""

    seed: int
    dose: int
    label: str
    size: float
    true_size: float
    called: dict[str, bool]


def small_defects(size: float, dose: int) -> PairSimulator:
    """Pairs of metal whose defects have one size."""
    lengths = [f"defect.{name}={size}" for name in ("gap.length", "bridge.length", "particle.size")]
    plain = [f"defect.{name}.{key}" for name in ("gap", "bridge") for key in ("smoothing=0.03", "bulge=[-0.2,0.2]")]
    spur = (f"defect.microbridge.thickness={size}", "defect.microbridge.extent=0.5")
    view = ("imaging.image_size=192", "noise=low", f"noise.dose={dose}")
    return PairSimulator.compose(
        "pattern=routing", f"pattern.pitch={PITCH}", "defect=full", *lengths, *plain, *spur, *view
    )


def on_defect(places: Iterable[Place], pair: Pair) -> bool:
    x, y, width, height = pair.image.instances[0].box
    defect = Place(x, y, width, height, pair.image.scene.label, 0.0, 0, False)
    return any(place.overlaps(defect, NEAR) for place in places)


def judge_sizes(count: int, network: str | None) -> list[Judged]:
    """Defects of each size, type and dose, and good pairs of each dose."""
    each = math.ceil(count / (len(DOSES) * len(DEFECTS) * len(SIZES) * len(TEST_SEEDS)))
    inspectors, single = make_inspectors(network), sl.load("robust", polarity="dark")
    judged: list[Judged] = []
    for dose in DOSES:
        good = small_defects(SIZES[-1], dose)
        chosen = [pictures(good.sample(index, "good", CHOICE_SEED, 2))[0] for index in range(5 * each)]
        odds = [found.log_odds_good or 0.0 for image in chosen for found in single.predict([image])]
        limit = float(np.quantile(odds, FALSE_PLACES))
        cells = [("good", SIZES[-1], 3 * each), *((label, size, each) for label in DEFECTS for size in SIZES)]
        for label, size, number in cells:
            simulator = small_defects(size, dose)
            first = len(judged)  # no layout twice
            for seed, index in itertools.product(TEST_SEEDS, range(first, first + number)):
                pair = simulator.sample(index, label, seed, 2)
                image, reference = pictures(pair)
                called = {}
                for name, inspector in inspectors.items():
                    found = inspector.inspect(image, reference)
                    called[name] = found.decision != "good" if label == "good" else on_defect(found.places, pair)
                alone = single.predict([image])[0]
                called |= {ONE_IMAGE: alone.label != "good", EQUAL: (alone.log_odds_good or 0.0) < limit}
                true_size = math.sqrt(np.count_nonzero(pair.image.mask)) / PITCH
                judged.append(Judged(seed, dose, label, 0.0 if label == "good" else size, true_size, called))
    return judged


def size_at(rates: Sequence[float], wanted: float) -> str:
    """The size at which a rate first reaches a share, on straight lines between the sizes."""
    if rates[0] >= wanted:
        return f"below {SIZES[0]:.3f}"
    for (small, low), (large, high) in itertools.pairwise(zip(SIZES, rates, strict=True)):
        if high >= wanted:
            return f"{small + (large - small) * (wanted - low) / (high - low):.3f}"
    return f"above {SIZES[-1]:.3f}"


def found_from(judged: Sequence[Judged], method: str, wanted: float) -> str:
    """The size at which a method captures a share, with those at the ends of the rates' 95 % intervals."""
    hits = [[each.called[method] for each in judged if each.size == size] for size in SIZES]
    ends = [wilson_interval(sum(each), len(each)) for each in hits]
    middle = size_at([sum(each) / len(each) for each in hits], wanted)
    smallest, largest = (size_at([end[side] for end in ends], wanted) for side in (1, 0))
    return middle if smallest == largest else f"{middle} [{smallest}, {largest}]"


def said(judged: Sequence[Judged], size: float) -> list[dict[str, bool]]:
    return [each.called for each in judged if each.size == size]


def measure_sizes(count: int, network: str | None) -> None:
    """Tables of overkill, capture, and the sizes from which half and 90 % are captured."""
    judged = judge_sizes(count, network)
    defective = [each for each in judged if each.size]
    rows: list[tuple[str, list[Judged]]] = [("all", judged)]
    rows += [(f"{dose} electrons", [each for each in judged if each.dose == dose]) for dose in DOSES]
    rows += [(f"seed {seed}", [each for each in judged if each.seed == seed]) for seed in TEST_SEEDS]
    print_shares("good pairs called defective", {name: said(each, 0.0) for name, each in rows})
    rows += [(label, [each for each in defective if each.label == label]) for label in DEFECTS]
    print_shares(
        "defects captured",
        {f"{size:.4g} pitches, {name}": said(each, size) for name, each in rows for size in SIZES},
    )
    methods = list(judged[0].called)
    heads = [f"{method}, {wanted:.0%}" for method in methods for wanted in (0.5, 0.9)]
    print(f"\n| found from, pitches | defects | {' | '.join(heads)} |")
    print("| --- | ---: |" + " ---: |" * len(heads))
    for name, chosen in rows:
        cells = [found_from(chosen, method, wanted) for method in methods for wanted in (0.5, 0.9)]
        print(f"| {name} | {sum(each.size > 0 for each in chosen)} | {' | '.join(cells)} |")
    print(f"\n| square root of the mask's area, pitches, median | {' | '.join(f'{size:.4g}' for size in SIZES)} |")
    print("| --- |" + " ---: |" * len(SIZES))
    for label in DEFECTS:
        true = [[each.true_size for each in defective if (each.label, each.size) == (label, size)] for size in SIZES]
        print(f"| {label} | {' | '.join(f'{np.median(each):.3f}' for each in true)} |")


def measure_self(count: int, network: str | None) -> None:
    """Balanced accuracy of images without a second one, and what is called of each class."""
    print("| half of the images good | of | method | balanced accuracy | unsure |")
    print("| --- | ---: | --- | ---: | ---: |")
    by_class: dict[str, list[dict[str, bool]]] = defaultdict(list)
    for name, (pattern, polarity) in ALONE.items():
        simulator = Simulator.compose(*pattern, "imaging.image_size=256", "noise=typical")
        inspectors, single = make_inspectors(network), sl.load("robust", polarity=polarity)
        labels = [each for label in simulator.classes[1:] for each in ("good", label)]
        decided: dict[str, list[tuple[bool, str]]] = defaultdict(list)
        for seed, index in itertools.product(TEST_SEEDS, range(math.ceil(count / len(TEST_SEEDS)))):
            label = labels[index % len(labels)]
            image = to_float(simulator.sample(index, label, seed, 2).image)
            found = {f"self, {title}": each.inspect(image, "self").decision for title, each in inspectors.items()}
            alone = single.predict([image])[0]
            found |= {ONE_IMAGE: alone.label, "one image (robust), its decision": alone.decision}
            for title, decision in found.items():
                decided[title].append((label != "good", decision))
            by_class[f"{name}: {label}"].append({title: each != "good" for title, each in found.items()})
        for title, each in decided.items():
            accuracy = balanced([(truth, decision != "good") for truth, decision in each])
            unsure = share([decision == "unsure" for _, decision in each])
            print(f"| {name} | {len(each)} | {title} | {accuracy} | {unsure} |", flush=True)
    print_shares("images not called good", by_class)


def measure_memory(count: int, network: str | None) -> None:
    """Resident memory along a stream of pairs of 128 x 128 pixels, ten of them again and again."""
    simulator = PairSimulator.compose("pattern=routing", "defect=basic", "imaging.image_size=128", "noise=typical")
    print("| pairs | resident memory, MiB |\n| ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        pairs = []
        for index in range(10):
            pair = simulator.sample(index, seed=TEST_SEEDS[0], split=2)
            image, reference = Path(folder) / f"{index}.png", Path(folder) / f"{index}_ref.png"
            cv2.imwrite(str(image), pair.image.image)
            cv2.imwrite(str(reference), pair.reference)
            pairs.append(InspectionPair(image, (reference,)))
        stream = Inspector(FALSE_PLACES, network=network).stream(itertools.islice(itertools.cycle(pairs), count))
        for number, _ in enumerate(stream, 1):
            if number == 1 or number % max(count // 10, 1) == 0:
                print(f"| {number} | {resident():.1f} |", flush=True)


def resident() -> float:
    """Memory of this process, MiB (Linux)."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", action="store_true", help="capture by size and dose")
    parser.add_argument("--self", action="store_true", dest="alone", help="contact holes and lines with themselves")
    parser.add_argument("--memory", action="store_true", help="resident memory along a stream")
    parser.add_argument("--network", help="a checkpoint of experiment=reference")
    parser.add_argument("--pairs", type=int, help="number of pairs or images (2,500 defects, 600 a pattern, 10,000)")
    asked = parser.parse_args()
    if asked.sizes:
        measure_sizes(asked.pairs or 2500, asked.network)
    if asked.alone:
        measure_self(asked.pairs or 600, asked.network)
    if asked.memory:
        measure_memory(asked.pairs or 10000, asked.network)


if __name__ == "__main__":
    main()
