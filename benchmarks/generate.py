"""Images a second of the simulator on one core, against two references in the same run.

python benchmarks/generate.py [--seconds 4]

References: (a) the cost of drawing that image's noise alone with NumPy (one normal and one Poisson number a pixel),
(b) a plain Pillow and NumPy drawing of a line/space image, line by line, pixel noise included, as the paper's own code
does it. All effects on, masks and boxes included. Medians over repeated rounds that alternate between the contestants.
"""

import argparse
import resource
import statistics
import time
from collections.abc import Callable

import numpy as np
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from PIL import Image, ImageDraw, ImageFilter

from sem_lightning.commands.app import config_folder
from sem_lightning.commands.generate import GenerateSettings
from sem_lightning.commands.settings import build_simulator
from sem_lightning.synthesis.simulator import Simulator, render


def make_simulator(size: int) -> Simulator:
    ConfigStore.instance().store(name="generate_schema", node=GenerateSettings)
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        return build_simulator(compose("generate", overrides=[f"imaging.image_size={size}"]))


def simulate(simulator: Simulator, index: int) -> None:
    render(simulator.draw(0, 0, index, simulator.classes[index % 3]))


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


def measure(contestants: dict[str, Callable[[int], None]], seconds: float) -> dict[str, float]:
    """Median images a second of each, over rounds of equal length."""
    rates: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(5):
        for name, make in contestants.items():
            count, started = 0, time.perf_counter()
            while (spent := time.perf_counter() - started) < seconds / 5:
                make(count)
                count += 1
            rates[name].append(count / spent)
    return {name: statistics.median(values) for name, values in rates.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=4.0, help="time for each contestant")
    seconds = parser.parse_args().seconds
    for size in (128, 512):
        simulator, rng = make_simulator(size), np.random.default_rng(0)
        rates = measure(
            {
                "simulator": lambda i, s=simulator: simulate(s, i),
                "noise alone": lambda i, r=rng, n=size: draw_noise_alone(r, n),
                "paper's drawing": lambda i, r=rng, n=size: draw_as_the_paper_does(r, n),
            },
            seconds,
        )
        print(f"{size} x {size}, one core:")
        for name, rate in rates.items():
            print(f"  {name:16} {rate:8.1f} images/s   simulator is {rates['simulator'] / rate:5.2f} times as fast")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
