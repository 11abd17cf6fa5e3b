"""Accuracy of a classifier on a pattern, a microscope or a magnification that it was not trained on.

python benchmarks/leave_one_out.py [--axis pattern imaging zoom] [--seeds 0]    an hour, docs/images/leave_one_out.png
python benchmarks/leave_one_out.py --table docs/results/real_images.md          draws earlier results

For each preset of an axis: train on the others and test on it; for comparison, train on all of them and test on it. An
unseen preset is the best available model of an unseen microscope.
"""

import argparse
import re
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lightning
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from torch.utils.data import Dataset

from sem_lightning.config.compose import compose_simulator
from sem_lightning.config.training import compose_training
from sem_lightning.data.curriculum import Curriculum
from sem_lightning.data.datamodule import SEMDataModule
from sem_lightning.data.labelled_image import LabelledImage
from sem_lightning.data.sources import SimulatedSource
from sem_lightning.decision.intervals import wilson_interval
from sem_lightning.evaluation.prediction_collector import PredictionCollector
from sem_lightning.inference.predictor import Predictor
from sem_lightning.model.classifier import SEMClassifier
from sem_lightning.training.run import RunSettings, run_training
from sem_lightning.training.start import build_classifier
from sem_lightning.training.trainer import quiet_lightning

FIELD = ("imaging.image_size=64", "noise=low")  # small fields, for many trainings
AXES: dict[str, dict[str, tuple[str, ...]]] = {
    "pattern": {
        "line_space": ("pattern=line_space", "pattern.pitch=[10,20]", *FIELD),
        "any_line_space": ("pattern=any_line_space", "pattern.pitch=[8,30]", *FIELD),
        "routing": ("pattern=routing", "pattern.pitch=[10,20]", *FIELD),
        "freeform": ("pattern=freeform", "pattern.pitch=[10,20]", *FIELD),
    },
    "imaging": {
        "cdsem": ("imaging=cdsem", "pattern.pitch=[10,20]", *FIELD),
        "review_sem": ("imaging=review_sem", "pattern.pitch=[10,20]", *FIELD),
        "low_dose": ("imaging=low_dose", "pattern.pitch=[10,20]", *FIELD, "noise=high"),
        "paper": ("imaging=paper", "pattern.pitch=[10,20]", *FIELD, "noise=paper"),
    },
    "zoom": {  # lines across the image
        "1.5 to 2.5 lines": ("pattern=any_line_space", "pattern.pitch=[25,42]", *FIELD),
        "2.5 to 4 lines": ("pattern=any_line_space", "pattern.pitch=[15,25]", *FIELD),
        "4 to 7 lines": ("pattern=any_line_space", "pattern.pitch=[9,15]", *FIELD),
        "7 to 10 lines": ("pattern=any_line_space", "pattern.pitch=[6.4,9]", *FIELD),
    },
}
EPOCHS, EASY = 6, 3  # epochs; of these with higher severity and dose
TRAINED = {"pattern": 900, "imaging": 300, "zoom": 600}  # images of a class in an epoch; vertical lines need fewer
VALIDATED, TESTED = 60, 300  # images after each epoch, and at the end
MODEL = ("model=resnet10", "model.pooling=peak_statistics", "model.learning_rate=0.0015", "imaging.image_size=64")


class Turns(Dataset[dict[str, Any]]):
    """Images of several data sets in turn."""

    def __init__(self, parts: list[Any]) -> None:
        self.parts = parts

    def __len__(self) -> int:
        return sum(len(part) for part in self.parts)

    def __getitem__(self, index: int) -> dict[str, Any]:
        image: dict[str, Any] = self.parts[index % len(self.parts)][index // len(self.parts)]
        return image

    def labelled(self, index: int) -> LabelledImage:
        found: LabelledImage = self.parts[index % len(self.parts)].labelled(index // len(self.parts))
        return found


class SeveralSources:
    """Simulators in turn, as one source."""

    group = 1

    def __init__(self, parts: list[SimulatedSource]) -> None:
        self.parts = parts
        self.pixel_size: float | None = None
        self.polarity: str | None = None
        self.folder: dict[str, Any] | None = None
        self.classes, self.image_size = parts[0].classes, parts[0].image_size

    def dataset(self, split: str) -> Dataset[dict[str, Any]]:
        return Turns([part.dataset(split) for part in self.parts])

    def counts(self, split: str) -> dict[str, int]:
        return {name: sum(part.counts(split)[name] for part in self.parts) for name in self.classes}


def settings_for(seed: int) -> RunSettings:
    overrides = [*MODEL, "trainer.accelerator=cpu", f"trainer.max_epochs={EPOCHS}", "logger=none", f"seed={seed}"]
    return compose_training(*overrides, "callbacks.progress_bar=false").run


def sources_for(names: Sequence[str], axis: str, seed: int) -> list[SimulatedSource]:
    """A source for each preset; together an epoch has ``TRAINED`` images of each class."""
    presets = AXES[axis]
    per_class = {"train": TRAINED[axis] // len(names), "val": VALIDATED // len(names), "test": TESTED, "calibration": 0}
    easy = Curriculum(easy_epochs=EASY)
    return [SimulatedSource(compose_simulator(*presets[name]), seed, per_class, True, None, easy) for name in names]


def train_on(
    names: Sequence[str], axis: str, seed: int, change: Callable[[SEMClassifier], None] | None = None
) -> SEMClassifier:
    """A classifier trained on the named presets; ``change`` may modify it before training."""
    settings = settings_for(seed)
    source = SeveralSources(sources_for(names, axis, seed))
    lightning.seed_everything(seed, workers=True, verbose=False)
    classifier = build_classifier(settings.model, source, seed)
    if change is not None:
        change(classifier)
    with tempfile.TemporaryDirectory() as folder:
        run_training(settings, source, classifier, Path(folder), None)
    return classifier.eval()


def count_right(classifier: SEMClassifier, name: str, axis: str, seed: int) -> list[int]:
    """Number of correct predictions of each class among ``TESTED`` unseen images of it."""
    module = SEMDataModule(sources_for([name], axis, seed)[0])
    found = PredictionCollector(Predictor(classifier.trained)).run(module.labelled("test")).test_predictions()
    return [int(n) for n in found.confusion().diagonal()]


def describe(right: list[int]) -> str:
    low, high = wilson_interval(sum(right), TESTED * len(right))
    each = ", ".join(f"{one / TESTED:.2f}" for one in right)
    return f"{sum(right) / TESTED / len(right):.3f} [{low:.3f}, {high:.3f}] ({each})"


def draw(table: str, path: Path) -> None:
    """Draw the accuracy without and with each preset in training, from printed rows."""
    number = r"([\d.]+) \[([\d.]+), ([\d.]+)\][^|]*"
    rows = re.findall(rf"^\| `(.+?)` \| (\d+) \| {number}\| {number}\|", table, flags=re.M)
    names = list(dict.fromkeys(row[0] for row in rows))
    figure, axes = plt.subplots(figsize=(7, 0.9 + 0.33 * len(names)), layout="constrained")
    for first, (label, aside) in {2: ("trained without it", 0.12), 5: ("trained with it", -0.12)}.items():
        mean, low, high = np.array([row[first : first + 3] for row in rows], float).T
        places = [names.index(row[0]) + aside for row in rows]
        axes.errorbar(mean, places, xerr=[mean - low, high - mean], fmt="o", capsize=2, label=label)
    axes.axvline(1 / 3, color="grey", linewidth=0.8, linestyle="--")  # chance level
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="accuracy on unseen images of the preset", xlim=(0, 1.02), ylim=(len(names) - 0.5, -0.5))
    axes.grid(axis="x", alpha=0.3)
    axes.legend(fontsize=8, loc="lower left")
    figure.savefig(path, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--axis", nargs="+", choices=AXES, default=list(AXES))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--table", type=Path, help="a file with rows of an earlier run")
    parser.add_argument("--output", type=Path, default=Path("docs/images/leave_one_out.png"))
    arguments = parser.parse_args()
    if arguments.table:
        draw(arguments.table.read_text(), arguments.output)
        return
    rows = []
    quiet_lightning()
    print(f"accuracy on {TESTED} unseen images of each class (good, gap, bridge)")
    print("| left out | seed | trained without it | trained with it | trained without it, on the others |")
    print("| --- | ---: | --- | --- | ---: |")
    for axis in arguments.axis:
        presets = AXES[axis]
        for seed in arguments.seeds:
            knowing = train_on(list(presets), axis, seed)
            for name in presets:
                others = [other for other in presets if other != name]
                without = train_on(others, axis, seed)
                on_others = np.mean([count_right(without, other, axis, seed) for other in others]) / TESTED
                found = [describe(count_right(each, name, axis, seed)) for each in (without, knowing)]
                rows.append(f"| `{axis}={name}` | {seed} | {found[0]} | {found[1]} | {on_others:.3f} |")
                print(rows[-1], flush=True)
    draw("\n".join(rows), arguments.output)


if __name__ == "__main__":
    main()
