"""Images per second of the simulator, against references in the same run.

python benchmarks/generate.py [--seconds 8]        2 minutes

Contestants: all effects of imaging=cdsem and noise=typical; and the same effects as ARTIMAGEN (edge effect, fine
structure, point spread, vibration and drift, Poisson and Gaussian noise). Masks and boxes are included. References:
(a) drawing only the noise of that image with NumPy (one normal and one Poisson number per pixel), (b) a plain Pillow
and NumPy drawing of a line/space image, line by line, with pixel noise, as in the paper's code.

The results are medians over short rounds that alternate between the contestants, and their fastest tenth, which shows
the rate of an idle machine. Rates of ARTIMAGEN at 512 x 512 on one core of such a machine: 0.9 images/s with all
effects, 5.3 without fine structure, 7.3 also without vibration.
"""

import argparse
import multiprocessing
import os
import resource
import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from sem_lightning.config.compose import compose_simulator
from sem_lightning.synthesis.simulator import Simulator, render

_ROUNDS = 20
ONE_FOR_ONE = (
    "imaging.asymmetry=0",
    "imaging.shadow=0",
    "imaging.charging=0",
    "imaging.streaks=0",
    "imaging.jitter=0",
    "noise.salt_pepper=0",
)


def simulate(simulator: Simulator, index: int) -> None:
    render(simulator.draw(0, 0, index, simulator.classes[index % len(simulator.classes)]))


def draw_noise_alone(rng: np.random.Generator, size: int) -> None:
    rng.standard_normal((size, size))
    rng.poisson(50.0, (size, size))


def draw_as_the_paper_does(rng: np.random.Generator, size: int) -> None:
    image = Image.new("L", (size, size), 60)
    draw = ImageDraw.Draw(image)
    for left in range(4, size, 16):
        for y in range(size):
            jitter = rng.normal(0, 0.5, 2)
            draw.line([(left + jitter[0], y), (left + 8 + jitter[1], y)], fill=160)
    image = image.filter(ImageFilter.GaussianBlur(1))
    pixels = np.asarray(image, dtype=np.float64) + rng.normal(0, 8, (size, size))
    hits = rng.random((size, size))
    pixels[hits < 0.001], pixels[hits > 0.999] = 0, 255
    np.clip(pixels, 0, 255).astype(np.uint8)


def measure(contestants: dict[str, Callable[[int], None]], seconds: float) -> dict[str, tuple[float, float]]:
    """Images per second over rounds of equal length: the median and the 90th percentile."""
    rates: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(_ROUNDS):
        for name, make in contestants.items():
            count, started = 0, time.perf_counter()
            while (spent := time.perf_counter() - started) < seconds / _ROUNDS:
                make(count)
                count += 1
            rates[name].append(count / spent)
    return {name: (statistics.median(each), statistics.quantiles(each, n=10)[-1]) for name, each in rates.items()}


def run_for(
    seconds: float, barrier: "multiprocessing.synchronize.Barrier", counts: "multiprocessing.Queue[float]"
) -> None:
    simulator = compose_simulator()
    simulate(simulator, 0)
    barrier.wait()
    count, started = 0, time.perf_counter()
    while (spent := time.perf_counter() - started) < seconds:
        simulate(simulator, count)
        count += 1
    counts.put(count / spent)


def measure_processes(processes: int, seconds: float) -> float:
    """Images per second of several processes together."""
    context = multiprocessing.get_context("spawn")
    barrier, counts = context.Barrier(processes), context.Queue()
    workers = [context.Process(target=run_for, args=(seconds, barrier, counts)) for _ in range(processes)]
    for worker in workers:
        worker.start()
    total = sum(counts.get() for _ in workers)
    for worker in workers:
        worker.join()
    return float(total)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=8.0, help="time for each contestant")
    seconds = parser.parse_args().seconds
    for size in (128, 512):
        everything = compose_simulator(f"imaging.image_size={size}")
        one_for_one = compose_simulator(f"imaging.image_size={size}", *ONE_FOR_ONE)
        rng = np.random.default_rng(0)
        rates = measure(
            {
                "everything on": partial(simulate, everything),
                "ARTIMAGEN's effects": partial(simulate, one_for_one),
                "noise alone": lambda i: draw_noise_alone(rng, size),  # noqa: B023 (called within the round)
                "paper's drawing": lambda i: draw_as_the_paper_does(rng, size),  # noqa: B023
            },
            seconds,
        )
        print(f"{size} x {size}, one core:")
        for name, (rate, fastest) in rates.items():
            ratio = rates["everything on"][0] / rate
            print(f"  {name:20} {rate:8.1f} images/s, {fastest:8.1f} at best   everything on: {ratio:5.2f} times that")
    cores = os.cpu_count() or 1
    pairs = [(measure_processes(1, seconds), measure_processes(cores, seconds)) for _ in range(3)]
    ratio = statistics.median(many / one for one, many in pairs)
    print(f"{cores} processes on {cores} cores: {ratio:.2f} times one (128 x 128)")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
