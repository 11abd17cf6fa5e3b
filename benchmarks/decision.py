"""The cost of the risk bound: escape and overkill at several bounds and noise levels, on unseen images.

python benchmarks/decision.py low=LOW.ckpt typical=TYPICAL.ckpt high=HIGH.ckpt        30 minutes on two CPU cores

Each checkpoint comes from `python train.py noise=NAME`. Its rule is made from the calibration split (15,000 images with
that noise) and tested on 12,000 images of the test split. Temperature and out-of-distribution score come from the
validation split.
"""

import argparse
import time

from sem_lightning.config.compose import compose_simulator
from sem_lightning.data.datamodule import SEMDataModule
from sem_lightning.data.sources import SimulatedSource
from sem_lightning.decision.calibration import make_rule
from sem_lightning.decision.decision_settings import DecisionSettings
from sem_lightning.decision.intervals import wilson_interval
from sem_lightning.evaluation.prediction_collector import collect_scores
from sem_lightning.inference.predictor import load

PER_CLASS = {"train": 1, "val": 300, "calibration": 5000, "test": 4000}
PROMISES = (0.05, 0.01, 0.001)
SEED = 1000  # differs from the seed of training


def show(rate: tuple[int, int]) -> str:
    low, high = wilson_interval(*rate)
    return f"{100 * rate[0] / rate[1]:.2f} % [{100 * low:.2f}, {100 * high:.2f}] {rate[0]}/{rate[1]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", nargs="+", help="NOISE=CHECKPOINT")
    names = [entry.split("=", 1) for entry in parser.parse_args().checkpoint]
    print("| noise | bound on escape | measured escape | overkill | argmax: escape | argmax: overkill | unsure |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for noise, path in names:
        started = time.perf_counter()
        predictor = load(path)
        source = SimulatedSource(compose_simulator(f"noise={noise}"), SEED, PER_CLASS, fresh=False)
        datamodule = SEMDataModule(source, num_workers=1)
        fitting, calibration, test = (
            collect_scores(predictor, datamodule.labelled(split)) for split in ("val", "calibration", "test")
        )
        defective = test.labels > 0
        plain = test.logits.argmax(axis=1)
        counts = (int((plain[defective] == 0).sum()), int(defective.sum()))
        spared = (int((plain[~defective] > 0).sum()), int((~defective).sum()))
        for promise in PROMISES:
            settings = DecisionSettings("conservative", promise, 0.95, ood_rate=0.0, ambiguous_rate=0.0)
            decisions = make_rule(settings, predictor.classes, fitting, calibration).decide(test.logits, test.features)
            escaped = (int((decisions.decisions[defective] == 0).sum()), int(defective.sum()))
            killed = (int((decisions.decisions[~defective] > 0).sum()), int((~defective).sum()))
            settings = DecisionSettings("conservative", promise, 0.95, ood_rate=0.01, ambiguous_rate=0.01)
            reviewed = make_rule(settings, predictor.classes, fitting, calibration).decide(test.logits, test.features)
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
