"""Inference on the CPU: the study's path, our eager network, OpenVINO and ONNX Runtime, by turns in one run.

python benchmarks/infer.py [--rounds 15] [--student FOLDER_OR_CKPT] [--files 10000]        10 minutes

First the networks alone, on float32 images of 128 x 128 pixels, beside a matrix multiply. Then from the bytes of a PNG
file to a decision. Then the rate of sem-predict with the packaged classifier. Goals: ResNet18 1.8 times our eager
network at batch 1 and 1.3 times at the best batch size, the student 8 times the study's path, sem-predict 1.3 times.
"""

import argparse
import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision import transforms
from torchvision.models import resnet18

from sem_lightning.config.compose import compose_simulator
from sem_lightning.errors import UserError
from sem_lightning.export.graph import onnx_graph, openvino_graph
from sem_lightning.export.quantise import quantise
from sem_lightning.inference.prediction import Prediction
from sem_lightning.inference.predictor import Predictor, load
from sem_lightning.inference.writers import PredictionWriter
from sem_lightning.io.gray_image import decode_image
from sem_lightning.model.checkpoint import TrainedModel, load_model
from sem_lightning.model.classifier import SEMClassifier
from sem_lightning.runtime.exported_folder import FILES, FORMATS, ExportedModel
from sem_lightning.runtime.network import InferenceNetwork
from sem_lightning.runtime.open_model import open_network
from sem_lightning.synthesis.field import Float32

SIZE, CLASSES = 128, ["good", "gap", "bridge"]
BATCHES = (1, 2, 4, 8, 16, 32)
EAGER, STUDY = "our eager network", "the study's path"
AT_ONCE, CALLS, SIDE = 32, 10, 1024  # images of a throughput measurement; calls at batch 1; side of the matrices

Work = Callable[[], object]


@dataclass
class Contestant:
    """Something that is timed by turns with others."""

    one: Work
    many: dict[int, Work] = field(default_factory=dict)  # by batch size, AT_ONCE images each
    latencies: list[float] = field(default_factory=list)  # seconds of each call
    rates: list[float] = field(default_factory=list)  # images a second of each round

    def best_batch(self) -> int:
        return min(self.many, key=lambda size: min(clock(self.many[size]) for _ in range(3)))


def clock(work: Work) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def untrained(network: str) -> TrainedModel:
    torch.manual_seed(0)
    return SEMClassifier(classes=CLASSES, image_size=SIZE, network=network).eval().trained


def exported(model: TrainedModel, form: str, precision: str, images: Sequence[Float32]) -> ExportedModel:
    """A classifier as sem-export makes it, unchecked; ``images`` calibrate int8."""
    graph = onnx_graph(model.net, SIZE)
    if precision == "int8":
        graph = quantise(graph, images, form)
    parts = (graph,) if form == "onnx" else openvino_graph(graph, form)
    files = dict(zip(FILES[form], parts, strict=True))
    return ExportedModel(model.settings, model.rule, form, precision, files, {}, Path(form))


class Study:
    """Pillow, torchvision's transforms, and torchvision's ResNet18 with one input channel, as written in the study."""

    def __init__(self) -> None:
        self.net = resnet18(num_classes=len(CLASSES)).eval()
        self.net.conv1 = nn.Conv2d(1, 64, 7, 2, 3, bias=False)
        self.transform = transforms.Compose(
            [
                transforms.Grayscale(),
                transforms.Resize((SIZE, SIZE)),
                transforms.ToTensor(),
                transforms.Normalize([0.5], [0.5]),
            ]
        )

    def __call__(self, files: Sequence[bytes]) -> list[str]:
        batch = torch.stack([self.transform(Image.open(BytesIO(data)).convert("RGB")) for data in files])
        with torch.no_grad():
            found = self.net(batch).softmax(1).argmax(1)
        return [CLASSES[int(number)] for number in found]


def in_batches(run: Callable[[Any], object], images: Any, size: int) -> Work:
    def work() -> None:
        for start in range(0, AT_ONCE, size):
            run(images[start : start + size])

    return work


def contestant(network: InferenceNetwork) -> Contestant:
    images = np.random.default_rng(0).random((AT_ONCE, 1, SIZE, SIZE), np.float32)
    return Contestant(lambda: network(images[:1]), {size: in_batches(network, images, size) for size in BATCHES})


def contestants(name: str, files: Sequence[bytes], images: Sequence[Float32]) -> dict[str, Contestant]:
    model, found = untrained(name), dict[str, Contestant]()
    if name == "resnet18":
        study = Study()
        whole = list(itertools.islice(itertools.cycle(files), AT_ONCE))
        found[STUDY] = Contestant(lambda: study(whole[:1]), {size: in_batches(study, whole, size) for size in BATCHES})
    found[EAGER] = contestant(open_network(model, "cpu"))
    for form in ("openvino", "onnx"):
        for precision in FORMATS[form]:
            label = f"{'OpenVINO' if form == 'openvino' else 'ONNX Runtime'} {precision}"
            try:
                found[label] = contestant(open_network(exported(model, form, precision, images), "cpu"))
            except UserError as error:  # bf16 on a processor that cannot, or an extra that is not installed
                print(f"{name}, {label}: {error}")
    return found


def take_turns(entries: dict[str, Contestant], best: dict[str, int], rounds: int) -> list[float]:
    """Time everything by turns; returns GFLOP/s of a matrix multiply in each round."""
    square = torch.rand(SIDE, SIDE)
    speeds = []
    for _ in range(rounds):
        speeds.append(2e-9 * SIDE**3 / min(clock(lambda: square @ square) for _ in range(5)))
        for name, each in entries.items():
            each.one()  # the others have filled the caches
            each.latencies += [clock(each.one) for _ in range(CALLS)]
            if best:
                each.rates.append(AT_ONCE / clock(each.many[best[name]]))
    return speeds


def percentile(seconds: Sequence[float], share: float) -> float:
    return 1000 * float(np.percentile(seconds, share))


def faster(mine: Contestant, reference: Contestant) -> float:
    """How many times lower the latency is: the median over rounds."""
    rounds = [np.reshape(each.latencies, (-1, CALLS)) for each in (mine, reference)]
    own, other = (np.median(each, axis=1) for each in rounds)
    return float(np.median(other / own))


def compare_networks(name: str, files: Sequence[bytes], images: Sequence[Float32], rounds: int) -> None:
    entries = contestants(name, files, images)
    with FlopCounterMode(display=False) as counter:
        untrained(name).net(torch.zeros(1, 1, SIZE, SIZE))
    work = 1e-9 * counter.get_total_flops()
    for each in entries.values():
        for many in each.many.values():
            many()
    best = {label: each.best_batch() for label, each in entries.items()}
    speed = statistics.median(take_turns(entries, best, rounds))
    print(f"\n{name}, {work:.2f} GFLOP an image; matrix multiply of {SIDE} x {SIDE}: {speed:.0f} GFLOP/s\n")
    print("| | p50, ms | p99, ms | of our eager | best, images/s | batch | of our eager | of the multiply |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    eager = entries[EAGER]
    for label, each in entries.items():
        rate = statistics.median(each.rates)
        ratio = statistics.median(mine / theirs for mine, theirs in zip(each.rates, eager.rates, strict=True))
        print(
            f"| {label} | {percentile(each.latencies, 50):.2f} | {percentile(each.latencies, 99):.2f} | "
            f"{faster(each, eager):.2f} | {rate:.0f} | {best[label]} | {ratio:.2f} | {rate * work / speed:.2f} |"
        )


def from_bytes(predictor: Predictor, files: Sequence[bytes]) -> Work:
    """One file after the other: decode, prepare, run, decide."""
    turn = itertools.cycle(files)

    def work() -> None:
        (found,) = predictor.stream(iter([decode_image(next(turn))]))
        assert isinstance(found, Prediction)

    return work


def students(name: str | None, images: Sequence[Float32]) -> dict[str, Predictor]:
    if name is not None and Path(name).is_dir():
        return {f"student, {name}": load(name)}
    model = untrained("resnet18_small") if name is None else load_model(name)
    return {"student, eager": Predictor(model)} | {
        f"student, OpenVINO {precision}": Predictor(exported(model, "openvino", precision, images))
        for precision in ("fp32", "int8")
    }


def compare_decisions(student: str | None, files: Sequence[bytes], images: Sequence[Float32], rounds: int) -> None:
    study, turn = Study(), itertools.cycle(files)
    entries = {f"{STUDY}, ResNet18": Contestant(lambda: study([next(turn)]))}
    predictors = students(student, images)
    predictors |= {"packaged, eager": Predictor(load_model("robust")), "packaged, by default": load("robust")}
    entries |= {label: Contestant(from_bytes(each, files)) for label, each in predictors.items()}
    take_turns(entries, {}, 2 * rounds)
    reference = next(iter(entries.values()))
    print(f"\nFrom the bytes of a PNG of {SIZE} x {SIZE} pixels to a decision, one at a time\n")
    print("| | p50, ms | p99, ms | times the study's path |\n| --- | ---: | ---: | ---: |")
    for label, each in entries.items():
        low, high = percentile(each.latencies, 50), percentile(each.latencies, 99)
        print(f"| {label} | {low:.2f} | {high:.2f} | {faster(each, reference):.2f} |")


def predict(paths: Sequence[Path], predictor: Predictor, folder: Path) -> None:
    writer = PredictionWriter(predictor.classes, folder / "predictions.csv", None, None)
    with writer.open():
        for found in predictor.stream(paths):
            assert isinstance(found, Prediction)
            writer.add(found)


def compare_rates(count: int, files: Sequence[bytes], rounds: int = 5) -> None:
    """The rate of sem-predict on files, as the packaged checkpoint in torch and as it runs by default."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = [folder / f"{number:06d}.png" for number in range(count)]
        for path, data in zip(paths, itertools.cycle(files), strict=False):
            path.write_bytes(data)
        predictors = {"in torch": Predictor(load_model("robust")), "by default": load("robust")}
        seconds = dict.fromkeys(predictors, 0.0)
        part = -(-count // rounds)
        for start in range(0, count, part):
            for label, predictor in predictors.items():
                begun = time.perf_counter()
                predict(paths[start : start + part], predictor, folder)
                seconds[label] += time.perf_counter() - begun
    torch_rate, own_rate = (count / each for each in seconds.values())
    print(f"\nsem-predict on {count} files: {own_rate:.0f} images/s, {torch_rate:.0f} in torch: ", end="")
    print(f"{own_rate / torch_rate:.2f} times")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--networks", nargs="*", default=["resnet18", "resnet10", "resnet18_small"])
    parser.add_argument("--student", help="a checkpoint, or a folder of sem-export; an untrained resnet18_small if not")
    parser.add_argument("--files", type=int, default=10_000, help="files for the rate of sem-predict; 0 for none")
    arguments = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1))
    simulator = compose_simulator(f"imaging.image_size={SIZE}")
    files = [cv2.imencode(".png", simulator.sample(number).image)[1].tobytes() for number in range(64)]
    images = [decode_image(data).pixels for data in files]
    for name in arguments.networks:
        compare_networks(name, files, images, arguments.rounds)
    compare_decisions(arguments.student, files, images, arguments.rounds)
    if arguments.files:
        compare_rates(arguments.files, files)


if __name__ == "__main__":
    main()
