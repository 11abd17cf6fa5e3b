"""Bias and spread of the estimates of sem-fit on simulated images, and docs/images/fit.png.

python benchmarks/fit.py [--scenes 200] [--output docs/images/fit.png]        20 minutes

Three fifths of the scenes are lines and spaces (half of them vertical, half in any direction), two fifths metal layers.
All other settings, also of effects that are not estimated, are drawn from the ranges of conf/imaging/cdsem.yaml.
"""

import argparse
import dataclasses
from collections import defaultdict
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from sem_lightning.config.compose import compose_simulator
from sem_lightning.errors import UserError
from sem_lightning.fitting.estimate import estimate
from sem_lightning.fitting.microscope import LOGARITHMIC, Microscope
from sem_lightning.metrology.pattern_family import find_family

SIDE = 256
COMMON = (
    "imaging=cdsem", "imaging.defocus=0", "imaging.astigmatism=0", "noise.dose=[20,1000]", "noise.smear=[0,0.8]",
    "noise.contrast=1", "noise.brightness=0",
)  # fmt: skip
FAMILIES = {
    "line_space": ("pattern=line_space", "pattern.pitch=[12,40]"),
    "routing": (
        "pattern=routing", "pattern.pitch=[14,32]", "pattern.empty=[0,0.6]", "pattern.wide=[0,0.5]",
        "pattern.corner=[0.2,0.5]", "pattern.tip_to_tip=[0.5,4]", "pattern.roughness=[0,0.06]",
    ),
}  # fmt: skip
KEYS = {
    "pattern": ("pitch", "duty", "angle", "roughness", "correlation_length", "edge_correlation", "empty"),
    "imaging": (
        "dark", "contrast", "bloom", "bloom_inside", "bloom_outside", "beam", "grain_amplitude", "streaks", "jitter",
    ),
    "noise": ("dose", "smear", "gaussian", "salt_pepper"),
}  # fmt: skip


def draw(microscope: Microscope, number: int) -> dict[str, float]:
    """The true settings of a scene, without keys that the pattern does not have."""
    rng = np.random.default_rng([4711, number])
    return {
        f"{group}.{name}": getattr(microscope, group).draw_value(rng, name)
        for group, names in KEYS.items()
        for name in names
        if hasattr(getattr(microscope, group), name)
    }


def recover(family: str, scenes: int, first: int) -> tuple[dict[str, list[tuple[float, float, float]]], list[str]]:
    """True value, error and stated uncertainty of each estimate; and the reasons of refused images."""
    simulator = compose_simulator(*FAMILIES[family], *COMMON)
    assert simulator.polarity is not None
    usual = Microscope(simulator.pattern, simulator.imaging, simulator.noise, simulator.polarity)
    rows: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    refused = []
    for number in range(first, first + scenes):
        maker = usual
        if family == "line_space" and number % 2:
            maker = dataclasses.replace(usual, pattern=dataclasses.replace(usual.pattern, angle=(-90, 90)))  # type: ignore[call-arg]
        true = draw(maker, number)
        image = maker.with_values(true).simulate((SIDE, SIDE), 100_000 + number)
        try:
            found_family = find_family(image)
            if found_family != family:
                refused.append(f"taken for {found_family}")
                continue
            found = estimate(image, family, usual)
        except UserError as error:
            refused.append(str(error))
            continue
        for key, each in found.items():
            miss = each.value - true[key]
            if key == "pattern.angle":
                miss = (miss + 90) % 180 - 90
            rows[key].append((true[key], miss, each.sigma))
    return rows, refused


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="number of the first scene")
    parser.add_argument("--output", type=Path, default=Path("docs/images/fit.png"))
    arguments = parser.parse_args()
    shares = {"line_space": round(0.6 * arguments.scenes), "routing": arguments.scenes - round(0.6 * arguments.scenes)}
    figure, panels = plt.subplots(5, 7, figsize=(20, 14), layout="constrained")
    axes = iter(panels.flat)
    print("| pattern | key | scenes | mean of the truth | bias | spread | stated | within 2 stated |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for family, scenes in shares.items():
        rows, refused = recover(family, scenes, arguments.first)
        for key, each in rows.items():
            true, error, sigma = np.transpose(each)
            middle = np.median(error)
            spread = 1.4826 * np.median(np.abs(error - middle))
            inside = np.mean(np.abs(error) <= 2 * np.maximum(sigma, 1e-9))
            if key in LOGARITHMIC:  # relative error
                inside = np.mean(np.abs(np.log((true + error) / true)) <= 2 * sigma / (true + error))
            print(
                f"| {family} | `{key}` | {len(each)} | {true.mean():.3g} | {middle:+.2g} | {spread:.2g} "
                f"| {np.median(sigma):.2g} | {inside:.2f} |"
            )
            panel = next(axes)
            panel.errorbar(true, true + error, 2 * sigma, fmt=".", markersize=3, linewidth=0.5)
            panel.plot(*[[true.min(), true.max()]] * 2, "k--", linewidth=0.8)
            panel.set_title(f"{family}: {key.partition('.')[2]}", fontsize=8)
            low, high = np.quantile(true + error, [0.02, 0.98])
            panel.set_ylim(min(low, true.min()), max(high, true.max()))
        for reason in sorted(set(refused)):
            print(f"{family}: {refused.count(reason)} of {scenes} not used: {reason}")
    for panel in axes:
        panel.axis("off")
    figure.savefig(arguments.output, dpi=60)


if __name__ == "__main__":
    main()
