"""Time and memory of training.

python benchmarks/train.py            # waiting for data, the loop's overhead, memory; about 4 minutes
python benchmarks/train.py --race     # seconds until 0.893 and 0.99 for the paper's and the default recipe; 10 minutes
python benchmarks/train.py --neighbour   # images/s alone and beside a busy process, training and prediction; 7 minutes
python benchmarks/train.py --networks    # weights and multiply-adds of each network for an image of 128 x 128; seconds

The overhead, logging included, is measured against a bare PyTorch loop (forward, losses, backward, Adam) on the same
batches in the same run, in alternating rounds. Memory is what train.py and its worker processes hold together, pages
they share counted once. The race tests on 600 unseen images after every half epoch. Beside
a busy process half the speed is fair on two cores. Each measurement is a process of its own, because OpenMP reads its
settings once; the package's setting, libgomp's own and one thread fewer than cores take turns.
"""

import argparse
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import lightning
import torch
import torch.nn.functional as F
from lightning.pytorch.callbacks import Callback, LearningRateMonitor
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from torch.utils.data import DataLoader
from torch.utils.flop_counter import FlopCounterMode

from sem_lightning.config.compose import compose_simulator
from sem_lightning.config.training import compose_training
from sem_lightning.data.datamodule import SEMDataModule
from sem_lightning.evaluation.prediction_collector import PredictionCollector
from sem_lightning.inference.predictor import Predictor, load
from sem_lightning.model.classifier import SEMClassifier
from sem_lightning.model.mask_loss import mask_loss
from sem_lightning.model.network import NETWORKS, build_network
from sem_lightning.training.callbacks import ImageCounter
from sem_lightning.training.start import build_classifier
from sem_lightning.training.trainer import quiet_lightning

ROUNDS, STEPS, WARM_UP = 5, 12, 3
POLICIES: dict[str, dict[str, str]] = {
    "passive": {},
    "spinning": {"GOMP_SPINCOUNT": "300000"},  # libgomp's default
    "one thread fewer": {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 2) - 1))},
}


def prepare(*overrides: str) -> tuple[SEMClassifier, SEMDataModule, int]:
    """A new classifier, its data, and the number of epochs of a composed config."""
    settings = compose_training(*overrides)
    run, seed = settings.run, settings.run.seed
    lightning.seed_everything(seed, verbose=False)
    source = run.data.source(settings.simulator, seed)
    module = SEMDataModule(source, run.data.batch_size, run.data.num_workers, seed)
    return build_classifier(run.model, source, seed), module, int(run.trainer["max_epochs"])


class Stopwatch(Callback):
    """Splits the time of training into steps and waiting for the next batch."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.steps: list[float] = []
        self._mark = 0.0

    def on_train_batch_start(self, *_: Any) -> None:
        now = time.perf_counter()
        self.waits.append(now - self._mark)
        self._mark = now

    def on_train_batch_end(self, *_: Any) -> None:
        now = time.perf_counter()
        self.steps.append(now - self._mark)
        self._mark = now


def make_trainer(logger: Logger | bool = False, **options: Any) -> lightning.Trainer:
    return lightning.Trainer(
        accelerator="cpu",
        logger=logger,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        **options,
    )


def measure_waiting() -> None:
    classifier, module, _ = prepare()
    watch = Stopwatch()
    make_trainer(max_steps=60, limit_val_batches=0, callbacks=[watch]).fit(classifier, module)
    waits, steps = sum(watch.waits[WARM_UP:]), sum(watch.steps[WARM_UP:])
    print(f"waiting for data: {waits / (waits + steps):.2%} of a training step (limit 3 %)")


def measure_overhead() -> None:
    classifier, module, _ = prepare("data.num_workers=0")
    iterator = iter(module.train_dataloader())
    batches = [next(iterator) for _ in range(STEPS)]
    ours, bare = [], []
    for _ in range(ROUNDS):
        ours.append(time_our_loop(classifier, batches))
        bare.append(time_bare_loop(classifier, batches))
    ratio = statistics.median(ours) / statistics.median(bare)
    print(f"our loop: {statistics.median(ours):.3f} s a step, bare loop: {statistics.median(bare):.3f} s")
    print(f"overhead {ratio - 1:+.1%} (limit 5 %)")


def time_our_loop(classifier: SEMClassifier, batches: list[dict[str, Any]]) -> float:
    watch = Stopwatch()
    loader: DataLoader[Any] = DataLoader(batches, batch_size=None)  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory() as folder:
        callbacks = [watch, ImageCounter(), LearningRateMonitor(logging_interval="step")]
        logger = TensorBoardLogger(folder, default_hp_metric=False)
        make_trainer(logger, max_epochs=1, callbacks=callbacks, log_every_n_steps=10).fit(classifier, loader)
    times = [wait + step for wait, step in zip(watch.waits, watch.steps, strict=True)]
    return statistics.median(times[WARM_UP:])


def time_bare_loop(classifier: SEMClassifier, batches: list[dict[str, Any]]) -> float:
    net = classifier.net.train()
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-4, fused=True)
    times = []
    for batch in batches:
        started = time.perf_counter()
        optimizer.zero_grad()
        prediction = net(batch["image"].contiguous(memory_format=torch.channels_last))
        loss = F.cross_entropy(prediction.logits, batch["label"])
        total = loss + mask_loss(prediction.maps, batch["label"], batch["mask"])
        total.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        times.append(time.perf_counter() - started)
    return statistics.median(times[WARM_UP:])


def measure_memory() -> None:
    small = ["data.train_per_class=100", "data.val_per_class=20", "data.test_per_class=50", "trainer.max_epochs=2"]
    script = Path(__file__).parents[1] / "train.py"
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(script), *small, "callbacks.progress_bar=false", "trainer.accelerator=cpu"]
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
        peak = 0
        while process.poll() is None:
            peak = max(peak, sum(map(proportional_memory, family(process.pid))))
            time.sleep(0.5)
    print(f"train.py and its workers: peak {peak / 2**20:.2f} GB (limit 2 GB)")


def family(pid: int) -> list[int]:
    """A process and all its descendants (Linux)."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *(member for child in children for member in family(int(child)))]


def proportional_memory(pid: int) -> int:
    """Kilobytes of a process, each shared page divided by the processes that share it."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def measure_speed(work: str) -> None:
    """Print images/s of a few training steps, or of the packaged classifier's prediction, in this process."""
    if work == "train":
        classifier, module, _ = prepare("data.num_workers=0")
        watch = Stopwatch()
        make_trainer(max_steps=WARM_UP + 8, limit_val_batches=0, callbacks=[watch]).fit(classifier, module)
        print(module.batch_size / statistics.median(watch.steps[WARM_UP:]))
        return
    predictor = load("robust", device="cpu")
    simulator = compose_simulator("imaging.image_size=256")
    images = [simulator.sample(index).image for index in range(16)]
    times = []
    for _ in range(4):
        started = time.perf_counter()
        predictor.predict(images)
        times.append(time.perf_counter() - started)
    print(len(images) / statistics.median(times[1:]))


def measure_neighbour() -> None:
    """Speed alone and beside one busy process: the package's OpenMP, libgomp's own, and one thread fewer than cores."""
    for work in ("train", "predict"):
        found: dict[tuple[bool, str], list[float]] = {}
        for _ in range(3):
            for beside in (False, True):
                for policy in POLICIES:
                    found.setdefault((beside, policy), []).append(speed_of(work, beside, policy))
        median = {key: statistics.median(each) for key, each in found.items()}
        for policy in POLICIES:
            shared = median[True, policy]
            print(
                f"{work}, {policy}: {median[False, policy]:.1f} images/s alone, {shared:.1f} beside a busy process: "
                f"{shared / median[False, 'passive']:.2f} of the package's speed alone (limit 0.5)",
                flush=True,
            )


def speed_of(work: str, beside: bool, policy: str) -> float:
    own = {name: value for name, value in os.environ.items() if name not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    settings = POLICIES[policy]
    neighbour = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if beside else None
    try:
        command = [sys.executable, __file__, "--speed", work]
        done = subprocess.run(command, env=own | settings, capture_output=True, text=True, check=True)
    finally:
        if neighbour is not None:
            neighbour.kill()
            neighbour.wait()
    return float(done.stdout.split()[-1])


def count_networks() -> None:
    """Print weights and multiply-adds of convolutions and linear layers, for three classes."""
    print("| network | weights, M | multiply-adds, M |\n| --- | ---: | ---: |")
    for name in NETWORKS:
        net = build_network(name, None, 3, "average").eval()
        with torch.inference_mode(), FlopCounterMode(display=False) as counter:
            net(torch.rand(1, 1, 128, 128))
        weights, operations = sum(each.numel() for each in net.parameters()), counter.get_total_flops() // 2
        print(f"| {name} | {weights / 1e6:.2f} | {operations / 1e6:.1f} |")


class Race(Callback):
    """Accuracy on unseen images against training seconds, without the time of the test."""

    def __init__(self, module: SEMDataModule, every: int) -> None:
        self.items = list(itertools.islice(module.labelled("test"), 600))
        self.every = every
        self.seconds = 0.0
        self.points: list[tuple[float, float]] = []
        self._mark = 0.0

    def on_train_start(self, *_: Any) -> None:
        self._mark = time.perf_counter()

    def on_train_batch_end(self, trainer: lightning.Trainer, pl_module: Any, *_: Any) -> None:
        if trainer.global_step % self.every and trainer.global_step != trainer.estimated_stepping_batches:
            return
        self.seconds += time.perf_counter() - self._mark
        found = PredictionCollector(Predictor(pl_module.trained)).run(self.items).test_predictions()
        self.points.append((self.seconds, float(found.correct.mean())))
        self._mark = time.perf_counter()

    def seconds_until(self, accuracy: float) -> str:
        reached = [seconds for seconds, value in self.points if value >= accuracy]
        return f"{reached[0]:.0f} s" if reached else "never"


def race() -> None:
    for name, overrides in (("paper", ["experiment=paper"]), ("default", [])):
        classifier, module, epochs = prepare(*overrides)
        every = max(1, len(module.train_dataloader()) // 2)
        racer = Race(module, every)
        make_trainer(max_epochs=epochs, limit_val_batches=0, callbacks=[racer]).fit(classifier, module)
        seconds, accuracy = racer.points[-1]
        print(
            f"{name:8} 0.893 after {racer.seconds_until(0.893)}, 0.99 after {racer.seconds_until(0.99)}; "
            f"{accuracy:.4f} at the end, after {seconds:.0f} s",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--race", action="store_true", help="seconds until 0.893 and 0.99 instead")
    parser.add_argument("--neighbour", action="store_true", help="speed beside a busy process instead")
    parser.add_argument("--networks", action="store_true", help="weights and multiply-adds of each network instead")
    parser.add_argument("--speed", choices=["train", "predict"], help=argparse.SUPPRESS)
    quiet_lightning()
    options = parser.parse_args()
    if options.race:
        race()
    elif options.speed:
        measure_speed(options.speed)
    elif options.neighbour:
        measure_neighbour()
    elif options.networks:
        count_networks()
    else:
        measure_waiting()
        measure_overhead()
        measure_memory()


if __name__ == "__main__":
    main()
