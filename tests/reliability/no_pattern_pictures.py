"""Pictures without a pattern, as broken scans, empty fields and careless exports leave them; drawn from a seed.

``KINDS`` are told from patterns. ``LIKE_PATTERNS`` have edges or waves as patterns do, and some of them pass.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from sem_lightning.synthesis.simulator import Simulator

Gray = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]
Draw = np.random.Generator

_SIDES = (64, 96, 128, 200, 256, 400, 512)
_PATTERNS = ("pattern=line_space", "pattern=routing", "pattern=freeform", "pattern=maze", "pattern=any_line_space")
_simulators: dict[tuple[str, int], Simulator] = {}


def _shape(rng: Draw) -> tuple[int, int]:
    return int(rng.choice(_SIDES)), int(rng.choice(_SIDES))


def _levels(values: Any) -> Gray:
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)


def _flat(rng: Draw, low: float, high: float) -> Floats:
    return np.full(_shape(rng), rng.uniform(low, high))


def _pattern(rng: Draw, size: int = 256) -> Floats:
    """A simulated image, in grey levels."""
    chosen = str(rng.choice(_PATTERNS)), size
    if chosen not in _simulators:
        _simulators[chosen] = Simulator.compose(chosen[0], f"imaging.image_size={size}", "noise=low")
    sample = _simulators[chosen].sample(int(rng.integers(1 << 30)), seed=7, split=2)
    return np.asarray(sample.image, np.float64)


def _noisy(image: Any, rng: Draw, least: float = 0.0, most: float = 12.0) -> Gray:
    return _levels(image + rng.normal(0, rng.uniform(least, most), image.shape))


def black(rng: Draw) -> Gray:
    return _levels(_flat(rng, 0, 0))


def white(rng: Draw) -> Gray:
    return _levels(_flat(rng, 255, 255))


def grey(rng: Draw) -> Gray:
    return _levels(_flat(rng, 20, 235))


def quantisation_noise(rng: Draw) -> Gray:
    image = _flat(rng, 20, 235)
    return _levels(image + rng.uniform(-1, 1, image.shape))


def gaussian_noise(rng: Draw) -> Gray:
    return _noisy(_flat(rng, 40, 215), rng, 2, 60)


def poisson_noise(rng: Draw) -> Gray:
    shape, dose = _shape(rng), float(np.exp(rng.uniform(np.log(2), np.log(500))))
    return _levels(rng.poisson(dose * rng.uniform(0.2, 0.8), shape) * (255 / dose))


def dark_noise(rng: Draw) -> Gray:
    return _levels(np.abs(rng.normal(rng.uniform(0, 6), rng.uniform(0.5, 4), _shape(rng))))


def salt_and_pepper(rng: Draw) -> Gray:
    image, chance = _flat(rng, 0, 255), rng.random()
    hit = rng.random(image.shape) < rng.uniform(0.002, 0.3)
    return _levels(np.where(hit, np.where(rng.random(image.shape) < chance, 255, 0), image))


def smeared_noise(rng: Draw) -> Gray:
    noise = rng.normal(0, rng.uniform(5, 60), _shape(rng))
    return _levels(cv2.GaussianBlur(noise, (0, 0), sigmaX=rng.uniform(0.3, 1.5), sigmaY=0.01) + 128)


def enlarged_noise(rng: Draw) -> Gray:
    noise, factor = _noisy(_flat(rng, 60, 190), rng, 5, 40), rng.uniform(1.2, 2.5)
    return np.asarray(cv2.resize(noise, None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR), np.uint8)


def grainy_surface(rng: Draw) -> Gray:
    grain = cv2.GaussianBlur(rng.normal(0, 1, _shape(rng)), (0, 0), rng.uniform(0.6, 1.6))
    return _noisy(grain / grain.std() * rng.uniform(2, 12) + rng.uniform(60, 190), rng)


def heavy_defocus(rng: Draw) -> Gray:
    blurred = cv2.GaussianBlur(_pattern(rng), (0, 0), rng.uniform(16, 40))
    return _noisy(blurred, rng, 0, 10)


def saturated(rng: Draw) -> Gray:
    image, share = _pattern(rng), rng.uniform(0.0, 0.03)
    if rng.random() < 0.5:
        return _levels(image + 255 - np.quantile(image, share))
    return _levels(image - np.quantile(image, 1 - share))


def _lower_part(rng: Draw) -> Gray:
    image = _noisy(_pattern(rng), rng)
    image[int(len(image) * rng.uniform(0.2, 0.85)) :] = rng.choice([0, 0, 0, 255, 128])
    return image


def lower_part_blank(rng: Draw) -> Gray:
    return _lower_part(rng)


def upper_part_blank(rng: Draw) -> Gray:
    return np.ascontiguousarray(_lower_part(rng)[::-1])


def side_blank(rng: Draw) -> Gray:
    return np.ascontiguousarray(np.rot90(_lower_part(rng), rng.choice([1, 3])))


def vignetting(rng: Draw) -> Gray:
    height, width = _shape(rng)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    middle = rng.uniform(-0.5, 0.5, 2)
    shade = rng.uniform(-90, 90) * ((y - middle[0]) ** 2 + (x - middle[1]) ** 2) / 2
    return _noisy(shade + rng.uniform(100, 160) + rng.uniform(-30, 30) * x + rng.uniform(-30, 30) * y, rng)


def row_streaks(rng: Draw) -> Gray:
    image = _flat(rng, 60, 190)
    return _noisy(image + rng.normal(0, rng.uniform(1, 20), (len(image), 1)), rng)


def charging_streaks(rng: Draw) -> Gray:
    image = _flat(rng, 60, 190)
    starts = rng.random(image.shape) < rng.uniform(0.0005, 0.01)
    kick, decay = np.where(starts, rng.uniform(5, 40), 0.0), np.exp(-1 / rng.uniform(10, 40))
    trail = np.zeros(len(image))
    for column in range(image.shape[1]):
        trail = trail * decay + kick[:, column]
        image[:, column] -= trail
    return _noisy(image, rng, 0.5)


def slow_drift(rng: Draw) -> Gray:
    image = _flat(rng, 80, 170)
    walk = np.cumsum(rng.normal(0, 1, (len(image), 1)), axis=0)
    smooth = cv2.GaussianBlur(walk, (0, 0), sigmaX=0.01, sigmaY=rng.uniform(4, 20))
    return _noisy(image + smooth * rng.uniform(0.2, 2.0), rng, 0.5)


def data_bar_over_nothing(rng: Draw) -> Gray:
    level = 0.0 if rng.random() < 0.5 else rng.uniform(40, 215)
    image = _noisy(np.full((400, 512), level), rng, 0, 40 if level else 0)
    bar = np.zeros((44, 512), np.uint8)
    cv2.putText(bar, "5kV x100k 500nm HV 8.3mm", (10, 30), cv2.FONT_HERSHEY_SIMPLEX, 0.7, 255, 1, cv2.LINE_AA)
    return np.vstack([image, bar])


def jpeg_blocks(rng: Draw) -> Gray:
    image = (gaussian_noise, vignetting, dark_noise, row_streaks)[int(rng.integers(4))](rng)
    code = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 75))])[1]
    return np.asarray(cv2.imdecode(code, cv2.IMREAD_GRAYSCALE), np.uint8)


def tiny(rng: Draw) -> Gray:
    shapes = ((1, 1), (1, 400), (400, 1), (3, 200), (8, 8), (12, 300), (300, 10))
    return _noisy(np.full(shapes[int(rng.integers(len(shapes)))], 120.0), rng)


def column_noise(rng: Draw) -> Gray:
    image = _flat(rng, 60, 190)
    return _noisy(image + rng.normal(0, rng.uniform(2, 30), (1, image.shape[1])), rng)


def last_row_repeated(rng: Draw) -> Gray:
    image = _noisy(_pattern(rng), rng)
    last = int(len(image) * rng.uniform(0.2, 0.85))
    image[last:] = image[last - 1]
    return image if rng.random() < 0.5 else np.ascontiguousarray(image[::-1])


def part_dark_noise(rng: Draw) -> Gray:
    image = _noisy(_pattern(rng), rng)
    part = image[int(len(image) * rng.uniform(0.2, 0.85)) :]
    part[:] = _levels(np.abs(rng.normal(rng.uniform(0, 6), rng.uniform(0.5, 4), part.shape)))
    return np.ascontiguousarray(np.rot90(image, int(rng.integers(4))))


def mains_hum(rng: Draw) -> Gray:
    image, phase = _flat(rng, 80, 170), rng.uniform(0, 2 * np.pi)
    rows = np.arange(len(image))[:, None] / rng.uniform(6, 20)
    return _noisy(image + rng.uniform(3, 30) * np.sin(2 * np.pi * rows + phase), rng, 0.5)


def slanted_interference(rng: Draw) -> Gray:
    image, angle = _flat(rng, 80, 170), rng.uniform(0.1, np.pi - 0.1)
    y, x = np.mgrid[: image.shape[0], : image.shape[1]] / rng.uniform(6, 20)
    return _noisy(image + rng.uniform(3, 30) * np.sin(2 * np.pi * (x * np.sin(angle) + y * np.cos(angle))), rng, 0.5)


def band_passed_noise(rng: Draw) -> Gray:
    noise, sigma = rng.normal(0, 1, _shape(rng)), rng.uniform(1.5, 5)
    band = cv2.GaussianBlur(noise, (0, 0), sigma) - cv2.GaussianBlur(noise, (0, 0), sigma * rng.uniform(1.5, 3))
    return _noisy(band / band.std() * rng.uniform(8, 40) + rng.uniform(80, 170), rng, 0.5)


def printed_card(rng: Draw) -> Gray:
    image = _levels(_flat(rng, 20, 120))
    for _ in range(int(rng.integers(1, 6))):
        at = (int(rng.integers(image.shape[1])), int(rng.integers(image.shape[0])))
        level = float(rng.uniform(120, 250))
        if rng.random() < 0.5:
            cv2.circle(image, at, int(rng.integers(8, 40)), level, -1 if rng.random() < 0.5 else 3)
        else:
            cv2.putText(image, "TEST 01", at, cv2.FONT_HERSHEY_SIMPLEX, 0.8, level, 2, cv2.LINE_AA)
    return _noisy(image, rng, 0.5)


KINDS: tuple[Callable[[Draw], Gray], ...] = (
    black,
    white,
    grey,
    quantisation_noise,
    gaussian_noise,
    poisson_noise,
    dark_noise,
    salt_and_pepper,
    smeared_noise,
    enlarged_noise,
    grainy_surface,
    heavy_defocus,
    saturated,
    lower_part_blank,
    upper_part_blank,
    side_blank,
    vignetting,
    row_streaks,
    charging_streaks,
    slow_drift,
    data_bar_over_nothing,
    jpeg_blocks,
    tiny,
    column_noise,
    last_row_repeated,
    part_dark_noise,
)
LIKE_PATTERNS: tuple[Callable[[Draw], Gray], ...] = (mains_hum, slanted_interference, band_passed_noise, printed_card)


def pictures(seed: int, each: int, kinds: Sequence[Callable[[Draw], Gray]] = KINDS) -> Iterator[tuple[str, Gray]]:
    """``each`` pictures of every kind, uint8 [H, W], with the name of the kind."""
    for number, draw in enumerate(kinds):
        for index in range(each):
            yield draw.__name__.replace("_", " "), draw(np.random.default_rng([seed, number, index]))
