"""Compares each real image with a simulated one, and prints their differences.

python benchmarks/compare_real.py FOLDER [--output outputs/real]        1 minute for six images

The exposure is fitted to the mean brightness at each distance from the outlines of the real image, the noise to its
noise level. The sheet shows for each image: the real image; a simulated image with the real outlines; a layer of
pattern=routing with the same pitch, exposure and noise.
"""

import argparse
import dataclasses
from pathlib import Path

import cv2
import numpy as np

from sem_lightning.config.compose import compose_simulator
from sem_lightning.io.images import read_gray
from sem_lightning.metrology.edges import edge_profile, histogram_distance, noise_level, outline_distance
from sem_lightning.synthesis.beam import Beam
from sem_lightning.synthesis.field import FieldOfView, Float32
from sem_lightning.synthesis.imaging import Exposure
from sem_lightning.synthesis.noise import Detection
from sem_lightning.synthesis.simulator import render

COLUMNS = (
    "histogram distance",
    "edge profile, RMS",
    "pixel noise, real / simulated",
    "flat areas, real / simulated",
    "bloom",
    "lambda in / out, px",
    "beam, px",
    "dose",
)
REACH = 12  # pixels from an edge over which profiles are compared


def levels(image: Float32) -> tuple[float, float]:
    """Brightness of the dark and the bright material: the peaks of the histogram on both sides of its valley."""
    smooth = cv2.GaussianBlur(image, (0, 0), 1.5)
    counts = np.convolve(np.histogram(smooth, 128, (0, 1))[0], np.ones(7) / 7, "same")
    bright = int(counts.argmax())
    valley = bright - int(np.argmin(counts[bright:4:-1])) if counts[:bright].max() < 0.02 * counts[bright] else None
    dark = int(counts[: (valley or bright - 12)].argmax())
    return (dark + 0.5) / 128, (bright + 0.5) / 128


def exposure_of(numbers: np.ndarray, like: Exposure) -> Exposure:
    dark, contrast, bloom, inside, outside, sigma, shadow, _ = (float(n) for n in numbers)
    return dataclasses.replace(
        like, dark=dark, contrast=contrast, bloom=bloom, bloom_inside=inside, bloom_outside=outside,
        beam=Beam(sigma, 0.0, 0.0, 0.0, 8.0), shadow=min(shadow, 1.0),
    )  # fmt: skip


def fit_exposure(
    image: Float32, phi: Float32, view: FieldOfView, like: Exposure, start: np.ndarray
) -> tuple[Exposure, float]:
    """Least squares on the edge profile by coordinate search with decreasing steps.

    The last number is the distance of the edge (the brightest part of the rim) outside the outline ``phi``, pixels.
    """
    target = edge_profile(image, phi, REACH)

    def misfit(numbers: np.ndarray) -> float:
        rendered = exposure_of(numbers, like).render(phi + np.float32(numbers[-1]), (), view)
        return float(np.mean((edge_profile(rendered, phi, REACH) - target) ** 2))

    best, error, step = start.copy(), misfit(start), 1.4
    while step > 1.01:
        improved = False
        for number in range(len(best)):
            for factor in (step, 1 / step):
                tried = best.copy()
                tried[number] *= factor
                if (found := misfit(tried)) < error:
                    best, error, improved = tried, found, True
        if not improved:
            step = step**0.5
    return exposure_of(best, like), float(best[-1])


def fit_noise(image: Float32, flat: np.ndarray, exposure: Exposure, phi: Float32) -> tuple[Exposure, Detection]:
    """Fit the dose to the real image's pixel noise, and grain to the other variance of ``flat`` areas."""
    wanted, brightness = noise_level(image), float(image[flat].mean())
    dose = 1000.0
    detection = Detection(dose, 1, 0.0, 0.0, 1.0, 0.0, 1.0, 8, key=1)
    grain = dataclasses.replace(exposure.grain, operation="open", size=4.0, amplitude=0.02)
    for _ in range(10):
        simulated = simulate(dataclasses.replace(exposure, grain=grain), detection, phi)
        dose *= (noise_level(simulated) / wanted) ** 2
        detection = dataclasses.replace(detection, dose=dose)
        missing = (image[flat].var() - simulated[flat].var()) / brightness**2  # grain is blurred later
        grain = dataclasses.replace(grain, amplitude=float(np.sqrt(max(grain.amplitude**2 + 2 * missing, 1e-8))))
    return dataclasses.replace(exposure, grain=grain), detection


def simulate(exposure: Exposure, detection: Detection, phi: Float32) -> Float32:
    clean = exposure.render(phi, (), FieldOfView(phi.shape[0], phi.shape[1], 1.0))
    return (detection.render(clean) / np.float32(255)).astype(np.float32)


def compare(path: Path) -> tuple[np.ndarray, str]:
    image = read_gray(path)
    view = FieldOfView(image.shape[0], image.shape[1], 1.0)
    dark, bright = levels(image)
    phi = outline_distance(image, (dark + bright) / 2, 1.0)
    plain = compose_simulator("imaging=ideal", "noise=none").draw(0, 0, 0, "good")
    like = dataclasses.replace(plain.exposure, polarity="dark", shadow_range=15.0)
    start = np.array([dark, bright - dark, 0.6, 1.5, 1.5, 1.2, 0.05, 2.5])
    exposure, outwards = fit_exposure(image, phi, view, like, start)
    flat = phi < -REACH
    exposure, detection = fit_noise(image, flat, exposure, phi + np.float32(outwards))
    simulated = simulate(exposure, detection, phi + np.float32(outwards))

    ridge = (phi >= cv2.dilate(phi, np.ones((3, 3), np.uint8))) & (phi > 1.5)
    cd = 2 * (float(np.median(phi[ridge])) + outwards)
    duty = min(max(float(np.mean(phi > 0)) * 1.5, 0.35), 0.6)  # tracks are partly empty
    routing = compose_simulator(
        "pattern=routing",
        "imaging.image_size=512",
        f"pattern.pitch={cd / duty}",
        f"pattern.duty={duty}",
        "pattern.roughness=0.05",
    ).draw(0, 0, 0, "good")
    drawn = dataclasses.replace(routing, view=view, exposure=exposure, detection=detection)
    fresh = (render(drawn).image / np.float32(255)).astype(np.float32)

    profile = edge_profile(image, phi, REACH) - edge_profile(simulated, phi, REACH)
    numbers = [
        f"{histogram_distance(image, simulated):.3f}",
        f"{np.sqrt(np.mean(profile**2)):.3f}",
        f"{noise_level(image):.3f} / {noise_level(simulated):.3f}",
        f"{image[flat].std():.3f} / {simulated[flat].std():.3f}",
        f"{exposure.bloom:.2f}",
        f"{exposure.bloom_inside:.1f} / {exposure.bloom_outside:.1f}",
        f"{exposure.beam.sigma:.1f}",
        f"{detection.dose:.0f}",
    ]
    return np.hstack(
        [np.uint8(255 * each) for each in (image, simulated, fresh)]
    ), f"| {path.stem} | {' | '.join(numbers)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--output", type=Path, default=Path("outputs/real"))
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    print(f"| image | {' | '.join(COLUMNS)} |")
    print("| --- |" + " ---: |" * len(COLUMNS))
    for path in sorted(arguments.folder.glob("*.tif")):
        sheet, numbers = compare(path)
        print(numbers)
        cv2.imwrite(str(arguments.output / f"{path.stem}.png"), sheet)


if __name__ == "__main__":
    main()
