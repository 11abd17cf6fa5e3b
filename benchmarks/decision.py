"""What a promise about escapes costs: escape and overkill at several promises and levels of noise, on unseen images.

python benchmarks/decision.py low=LOW.ckpt typical=TYPICAL.ckpt high=HIGH.ckpt        30 minutes on two CPU cores

Each checkpoint comes from `python train.py noise=NAME`. Its rule is made from the calibration split (15,000 images of
that noise) and tried on 12,000 images of the test split; temperature and familiarity come from the validation split.
"""

import argparse
import time
from pathlib import Path

import lightning

from sem_lightning.commands.calibrate import collect_answers
from sem_lightning.commands.preview import compose_simulator
from sem_lightning.data.datamodule import SEMDataModule, SimulatedSource
from sem_lightning.decision.calibration import DecisionSettings, make_rule
from sem_lightning.decision.intervals import wilson_interval
from sem_lightning.model.classifier import load_classifier

PER_CLASS = {"train": 1, "val": 300, "calibration": 5000, "test": 4000}
PROMISES = (0.05, 0.01, 0.001)
SEED = 1000  # not that of the training


def show(rate: tuple[int, int]) -> str:
    low, high = wilson_interval(*rate)
    return f"{100 * rate[0] / rate[1]:.2f} % [{100 * low:.2f}, {100 * high:.2f}] {rate[0]}/{rate[1]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", nargs="+", help="NOISE=CHECKPOINT")
    names = [entry.split("=", 1) for entry in parser.parse_args().checkpoint]
    print("| noise | promised escape | measured escape | overkill | argmax: escape | argmax: overkill | unsure |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for noise, path in names:
        started = time.perf_counter()
        classifier = load_classifier(Path(path))
        source = SimulatedSource(compose_simulator(f"noise={noise}"), SEED, PER_CLASS, fresh=False)
        trainer = lightning.Trainer(
            accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False
        )
        datamodule = SEMDataModule(source, 64, 1, SEED)
        fitting, calibration, test = (
            collect_answers(trainer, classifier, datamodule, split) for split in ("val", "calibration", "test")
        )
        defective = test.labels > 0
        plain = test.logits.argmax(axis=1)
        counts = (int((plain[defective] == 0).sum()), int(defective.sum()))
        spared = (int((plain[~defective] > 0).sum()), int((~defective).sum()))
        for promise in PROMISES:
            settings = DecisionSettings("conservative", promise, 0.95, unlike=0.0, too_close=0.0)
            decisions = make_rule(settings, classifier.classes, fitting, calibration).decide(test.logits, test.features)
            escaped = (int((decisions.decisions[defective] == 0).sum()), int(defective.sum()))
            killed = (int((decisions.decisions[~defective] > 0).sum()), int((~defective).sum()))
            settings = DecisionSettings("conservative", promise, 0.95, unlike=0.01, too_close=0.01)
            reviewed = make_rule(settings, classifier.classes, fitting, calibration).decide(test.logits, test.features)
            unsure = (int((reviewed.decisions == -1).sum()), len(defective))
            cells = [
                noise,
                f"{100 * promise:g} %",
                show(escaped),
                show(killed),
                show(counts),
                show(spared),
                show(unsure),
            ]
            print(f"| {' | '.join(cells)} |", flush=True)
        print(f"<!-- {noise}: {time.perf_counter() - started:.0f} s -->", flush=True)


if __name__ == "__main__":
    main()
