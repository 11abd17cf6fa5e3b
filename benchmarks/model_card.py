"""The figures of the packaged classifier's card, measured and written into it.

python benchmarks/model_card.py [--ckpt robust] [--real "../shared/real_sem/*reference*"] [--write]     15 minutes

The sets: unseen images of the classifier's own kind; tasks of the package on which it was not trained; drawings of
another generator (`foreign.py`); pieces of real images with printed defects (`printed.py`), where images are given.
The table is printed. With ``--write`` it also replaces the one between the two marks of the card.
"""

import argparse
import datetime
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import foreign
import numpy as np
import numpy.typing as npt
import printed

from sem_lightning.config.compose import compose_simulator
from sem_lightning.data.datamodule import SEMDataModule
from sem_lightning.data.labelled_image import LabelledImage
from sem_lightning.data.sources import SimulatedSource
from sem_lightning.decision.intervals import wilson_interval
from sem_lightning.decision.rule import UNSURE_NAME
from sem_lightning.evaluation.compatibility import judged_polarity
from sem_lightning.inference.prediction import Prediction
from sem_lightning.inference.predictor import Predictor, load
from sem_lightning.io.atomic import write_atomically
from sem_lightning.io.find import find_images
from sem_lightning.model.checkpoint import load_model
from sem_lightning.version import PACKAGE_FOLDER

CLASSES = ("good", "gap", "bridge")
CARD = PACKAGE_FOLDER / "weights" / "robust.md"
BEGIN, END = "<!-- figures: benchmarks/model_card.py -->", "<!-- end of figures -->"
OWN = ("pattern=mixed", "imaging=any", "noise=any", "processing=any", "defect=any")
TASKS: dict[str, tuple[tuple[str, ...], int, int]] = {  # overrides, seed, images of each class
    "its own kind": (OWN, 41, 1000),
    "the default task": ((), 44, 200),
    "the study's task": (("imaging=paper", "noise=paper"), 44, 200),
    "lines, another microscope": (("pattern=any_line_space", "imaging=review_sem"), 44, 200),
    "the same, dark lines": (("pattern=any_line_space", "imaging=review_sem", "imaging.polarity=dark"), 44, 200),
    "lines, low dose, extreme noise": (("pattern=any_line_space", "imaging=low_dose", "noise=extreme"), 44, 200),
    "metal, another microscope": (("microscope=metal",), 44, 200),
    "metal on tracks, bright": (("pattern=routing", "pattern.polarity=bright"), 44, 200),
}
FOREIGN_EACH = 150  # drawings of each kind and size
PRINTED_EACH = 20  # pieces of each image, size and class


@dataclass(frozen=True)
class Judged:
    """A set of images with known truth, and what the classifier said.

    Attributes:
        name: Name of the set.
        made_by: The command or the settings that make its images.
        labels: True classes.
        found: Predictions, in the same order.
    """

    name: str
    made_by: str
    labels: list[str]
    found: list[Prediction]

    def row(self) -> str:
        """The row of the table."""
        truth = np.array(self.labels)
        right = np.array([each.label for each in self.found]) == truth
        unsure = np.array([each.decision == UNSURE_NAME for each in self.found])
        recalls = [f"{right[truth == name].mean():.3f}" for name in CLASSES]
        return f"| {self.name} | {self.made_by} | {share(right)} | {' | '.join(recalls)} | {share(unsure)} |"


def share(hits: npt.NDArray[np.bool_]) -> str:
    low, high = wilson_interval(int(hits.sum()), len(hits))
    return f"{hits.mean():.3f} [{low:.3f}, {high:.3f}] of {len(hits)}"


def judge_tasks(ckpt: str) -> Iterator[Judged]:
    """The images of ``sem-evaluate ckpt=robust <settings> data.test_per_class=...``."""
    model = load_model(ckpt)
    for name, (overrides, seed, each) in TASKS.items():
        source = SimulatedSource(compose_simulator(*overrides), seed, {"test": each}, fresh=False)
        items = [item for item in SEMDataModule(source).labelled("test") if isinstance(item, LabelledImage)]
        predictor = Predictor(model, polarity=judged_polarity(model.settings, source))
        found = [each for each in predictor.stream([item.image for item in items]) if isinstance(each, Prediction)]
        labels = [source.classes[item.label] for item in items]
        yield Judged(name, f"`{' '.join([*overrides, f'seed={seed}'])}`", labels, found)


def judge_drawings(ckpt: str) -> Iterator[Judged]:
    for kind in foreign.KINDS:
        labels, found = [], []
        for size in foreign.SIZES:
            drawn, images = foreign.drawn(kind, size, FOREIGN_EACH)
            labels += drawn
            found += load(ckpt).predict(images)
        yield Judged(f"drawings: {kind}", "`benchmarks/foreign.py`", labels, found)


def judge_pieces(ckpt: str, paths: Sequence[Path]) -> Iterator[Judged]:
    subjects = [printed.measure(path) for path in paths]
    for polarity in (None, "dark"):
        labels, found = [], []
        for subject in subjects:
            for size in printed.SIZES:
                truth, pieces = printed.printed(subject, size, PRINTED_EACH)
                if truth:
                    labels += truth
                    found += load(ckpt, polarity=polarity).predict(pieces)
        name = "pieces of real images" + (", known to be dark" if polarity else "")
        yield Judged(name, "`benchmarks/printed.py`", labels, found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ckpt", default="robust")
    parser.add_argument("--real", help="good images of a metal layer, for printed defects")
    parser.add_argument("--write", action="store_true", help="replace the table of the card")
    arguments = parser.parse_args()
    lines = [
        f"| set | made by | accuracy [95 %] | {' | '.join(CLASSES)} | unsure |",
        "| --- | --- | --- |" + " --- |" * (len(CLASSES) + 1),
    ]
    print("\n".join(lines))
    sets: list[Any] = [judge_tasks(arguments.ckpt), judge_drawings(arguments.ckpt)]
    if arguments.real:
        sets.append(judge_pieces(arguments.ckpt, find_images(arguments.real)))
    for judged in (each for some in sets for each in some):
        lines.append(judged.row())
        print(lines[-1], flush=True)
    if arguments.write:
        before, _, rest = CARD.read_text().partition(BEGIN)
        after = rest.partition(END)[2]
        table = "\n".join([BEGIN, "", *lines, "", f"Measured on {datetime.date.today()}.", "", END])
        write_atomically(CARD, lambda path: path.write_text(before + table + after))


if __name__ == "__main__":
    main()
