"""Whether the check of usability tells images with a pattern from pictures without one.

python benchmarks/usability.py              # simulated images called unusable; pictures without a pattern called good
python benchmarks/usability.py --unsure     # unsure among images of the packaged classifier's own kind, by reason
python benchmarks/usability.py --time       # milliseconds of the check, with and without a pattern

The limits were chosen on images of the seeds 9001 and 9005 and pictures of 9101 and 9105, after looks at 9002 and 9102
to 9104. So 9006 stands for images and 9106 for pictures, each drawn once.
"""

import argparse
import itertools
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

import sem_lightning as sl
from sem_lightning.decision.intervals import wilson_interval
from sem_lightning.metrology.usability import FAULTS, find_fault

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "reliability"))
from no_pattern_pictures import KINDS as PICTURES
from no_pattern_pictures import LIKE_PATTERNS, pictures

SEED, PICTURES_SEED, UNSURE_SEED = 9006, 9106, 1306
PATTERNS = {
    "pattern=line_space": "full",
    "pattern=any_line_space": "basic",
    "pattern=contact_hole": "contact_hole",
    "pattern=freeform": "basic",
    "pattern=maze": "basic",
    "pattern=routing": "basic",
    "pattern=mixed": "any",
    "microscope=metal": "basic",
}
IMAGINGS = ("cdsem", "ideal", "low_dose", "paper", "review_sem", "any")
NOISES = ("none", "low", "typical", "high", "paper", "any", "extreme")
SIZES = (("none", 128), ("none", 256), ("any", 128))  # processing and image_size
OWN_KIND = ("pattern=mixed", "defect=any", "imaging=any", "noise=any", "processing=any", "processing.negative=0.2")
KINDS = {
    "experiment=robust": (OWN_KIND, {128: 600, 256: 240, 512: 90}),
    "default task": ((), {128: 600, 256: 150, 512: 90}),
    "contact holes (not trained)": (("pattern=contact_hole", "defect=contact_hole"), {128: 120, 256: 60, 512: 30}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--each", type=int, default=3, help="images of each combination of presets")
    parser.add_argument("--pictures", type=int, default=40, help="pictures of each kind without a pattern")
    parser.add_argument("--unsure", action="store_true", help="unsure among images of the classifier's kind")
    parser.add_argument("--time", action="store_true", help="milliseconds of the check")
    asked = parser.parse_args()
    if asked.unsure:
        print_unsure()
    elif asked.time:
        print_times()
    else:
        print_pictures(asked.pictures)
        print_images(asked.each)


def print_images(each: int) -> None:
    found: dict[str, Counter[str | None]] = defaultdict(Counter)
    for noise, imaging, pattern, image in simulated(each):
        fault = find_fault(image)
        for preset in (f"noise={noise}", *([f"imaging={imaging}", pattern] if noise != "extreme" else [])):
            found[preset][fault] += 1
    total = sum((found[f"noise={noise}"] for noise in NOISES if noise != "extreme"), Counter[str | None]())
    print("| simulated images | images | called unusable | reasons |\n| --- | ---: | ---: | --- |")
    for preset, faults in {**found, "all but noise=extreme": total}.items():
        unusable = share(faults.total() - faults[None], faults.total())
        print(f"| `{preset}` | {faults.total()} | {unusable} | {listed(faults)} |")


def simulated(each: int) -> Iterator[tuple[str, str, str, np.ndarray]]:
    """Noise, imaging, pattern and float32 [H, W] image."""
    index = 0
    for (pattern, defect), imaging, noise, (processing, size) in itertools.product(
        PATTERNS.items(), IMAGINGS, NOISES, SIZES
    ):
        if pattern.startswith("microscope") and imaging != "cdsem":
            continue
        presets = [pattern, f"defect={defect}", f"noise={noise}", f"processing={processing}"]
        presets += [f"imaging.image_size={size}"] + ([f"imaging={imaging}"] if "pattern" in pattern else [])
        simulator = sl.Simulator.compose(*presets)
        for _ in range(each):
            index += 1
            yield (
                noise,
                imaging,
                pattern,
                np.asarray(simulator.sample(index, seed=SEED, split=2).image, np.float32) / 255,
            )


def print_pictures(each: int) -> None:
    predictor = sl.load("robust")
    print("| pictures without a pattern | pictures | not recognised | good | gap or bridge | reasons |")
    print("| --- | ---: | ---: | ---: | ---: | --- |")
    for group in (PICTURES, LIKE_PATTERNS):
        print_group(predictor, *zip(*pictures(PICTURES_SEED, each, group), strict=True))
    print()


def print_group(predictor: sl.Predictor, kinds: Sequence[str], drawn: Sequence[np.ndarray]) -> None:
    """A row for each kind, and one for all of them."""
    found: dict[str, Counter[str | None]] = defaultdict(Counter)
    decided: dict[str, Counter[str]] = defaultdict(Counter)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{number}.png" for number in range(len(drawn))]
        for path, picture in zip(paths, drawn, strict=True):
            cv2.imwrite(str(path), picture)
        predictions = predictor.predict(paths)
    for kind, prediction in zip(kinds, predictions, strict=True):
        found[kind][prediction.reason] += 1
        decided[kind][prediction.decision] += 1
    decided["all"] = sum(decided.values(), Counter[str]())
    found["all"] = sum(found.values(), Counter[str | None]())
    for kind, counts in decided.items():
        missed = counts.total() - sum(found[kind][fault] for fault in FAULTS)
        cells = (kind, counts.total(), missed, counts["good"], counts["gap"] + counts["bridge"], listed(found[kind]))
        print(f"| {' | '.join(map(str, cells))} |", flush=True)


def print_unsure() -> None:
    predictor = sl.load("robust")
    print("| images | pixels | images | unsure | reasons |\n| --- | ---: | ---: | ---: | --- |")
    for kind, (presets, sizes) in KINDS.items():
        for size, count in sizes.items():
            simulator = sl.Simulator.compose(*presets, f"imaging.image_size={size}")
            labels = [simulator.classes[i % len(simulator.classes)] for i in range(count)]
            images = (simulator.sample(i, labels[i], seed=UNSURE_SEED, split=2).image for i in range(count))
            faults = Counter(prediction.reason for prediction in predictor.stream(images))  # type: ignore[union-attr]
            print(
                f"| {kind} | {size} | {count} | {share(count - faults[None], count)} | {listed(faults)} |", flush=True
            )


def print_times() -> None:
    """The fastest of 50 calls on images of 512 x 512 pixels, on one thread; other processes do not slow that down."""
    cv2.setNumThreads(1)
    shown: dict[str, np.ndarray] = {}
    for pattern in ("pattern=line_space", "pattern=routing", "pattern=maze"):
        sample = sl.Simulator.compose("imaging.image_size=512", "noise=typical", pattern).sample(1, seed=SEED)
        shown[pattern] = np.asarray(sample.image, np.float32) / 255
    shown["noise"] = np.random.default_rng(SEED).normal(0.4, 0.1, (512, 512)).clip(0, 1).astype(np.float32)
    shown["one grey level"] = np.full((512, 512), 0.4, np.float32)
    print("| image of 512 x 512 pixels | found | ms |\n| --- | --- | ---: |")
    for name, image in shown.items():
        taken = []
        for _ in range(50):
            started = time.perf_counter()
            fault = find_fault(image)
            taken.append(time.perf_counter() - started)
        print(f"| {name} | {fault or 'a pattern'} | {1000 * min(taken):.1f} |")


def share(events: int, trials: int) -> str:
    low, high = wilson_interval(events, trials)
    return f"{events} ({events / trials:.2%} [{low:.2%}, {high:.2%}])"


def listed(faults: "Counter[str | None]") -> str:
    return ", ".join(f"{fault} {count}" for fault, count in faults.most_common() if fault is not None)


if __name__ == "__main__":
    main()
