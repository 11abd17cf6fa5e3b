"""Measures simulated images as a CD-SEM would, against their scenes: a table, and docs/images/validation.png.

python benchmarks/validate.py [--output docs/images/validation.png]        1 minute
"""

import argparse
import dataclasses
from collections.abc import Callable

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from sem_lightning.config.compose import compose_simulator
from sem_lightning.fitting.lines import measure_lines
from sem_lightning.metrology.edges import common_motion, edge_spread, find_edges, power_spectrum
from sem_lightning.synthesis.scan import Sine
from sem_lightning.synthesis.simulator import Scene, render

PLAIN = ("imaging=ideal", "noise=none", "noise.bits=16", "imaging.bloom=0")
WIDE = ("pattern.pitch=42", "pattern.duty=0.5", "pattern.roughness=0")


def good(*overrides: str, index: int = 0) -> Scene:
    return compose_simulator(*PLAIN, *overrides).draw(0, 0, index, "good")


def picture(scene: Scene) -> np.ndarray:
    return (render(scene).image / np.float32(65535)).astype(np.float32)


def shaken(scene: Scene, **changes: object) -> Scene:
    scan = dataclasses.replace(scene.exposure.scan, **changes)  # type: ignore[arg-type]
    return dataclasses.replace(scene, exposure=dataclasses.replace(scene.exposure, scan=scan))


def roughness(axes: Axes) -> str:
    xi, hurst, sigma = 20.0, 0.6, 16 * 0.2 / 3
    simulator = compose_simulator(
        *PLAIN, "imaging.image_size=512", "pattern.pitch=32", "pattern.duty=0.5", "pattern.roughness=0.2",
        f"pattern.correlation_length={xi}", f"pattern.hurst={hurst}", "pattern.edge_correlation=0",
    )  # fmt: skip
    found = [find_edges(picture(simulator.draw(0, 0, i, "good")), 0.4)[:, 1:-1] for i in range(30)]
    frequency = power_spectrum(found[0])[0]
    density = np.mean([power_spectrum(edges)[1] for edges in found], axis=0)
    expected = (1 + (2 * np.pi * frequency * xi) ** 2) ** (-0.5 - hurst)
    expected *= sigma**2 / expected.mean()
    axes.loglog(frequency, density, label="rendered edges")
    axes.loglog(frequency, expected, "--", label="Palasantzas, as asked for")
    axes.set(title="Edge roughness", xlabel="1/nm", ylabel="nm$^3$")
    band = (frequency > 0.004) & (frequency < 0.1)
    measured = np.sqrt(np.mean([edges.var(axis=0).mean() for edges in found]))
    worst = np.abs(np.log(density[band] / expected[band])).mean()
    return f"sigma {measured:.3f} nm of {sigma:.3f}; spectrum off by {100 * worst:.0f} % on average up to 0.1/nm"


def critical_dimension(axes: Axes) -> str:
    found = []
    for label, bloom, measure in (
        ("threshold, no bloom", 0.0, threshold_width),
        ("threshold, bloom of imaging=ideal", 0.3, threshold_width),
        ("edge model, bloom of imaging=ideal", 0.3, lambda image: measure_lines(image, 0.0, "bright").model.cd),
    ):
        simulator = compose_simulator(*PLAIN, "pattern.roughness=0", "pattern.pitch=[20,34]", f"imaging.bloom={bloom}")
        scenes = [simulator.draw(0, 0, index, "good") for index in range(30)]
        true = np.array([scene.pattern.cd for scene in scenes])  # type: ignore[attr-defined]
        bias = np.array([measure(picture(scene)) for scene in scenes]) - true
        axes.plot(true, bias, "o", markersize=3, label=label)
        found.append(f"{label}: {bias.mean():+.2f} px, at most {np.abs(bias).max():.2f}")
    axes.axhspan(-0.2, 0.2, alpha=0.15)
    axes.set(title="CD measured less the scene's", xlabel="CD, nm", ylabel="pixels of 1 nm")
    return "; ".join(found)


def threshold_width(image: np.ndarray) -> float:
    """Mean width of bright lines half way between the darkest and the brightest."""
    edges = find_edges(image, (float(image.min()) + float(image.max())) / 2)
    rising = image[0, int(edges[0, 0]) + 1] > image[0, int(edges[0, 0])]
    return float(np.diff(edges, axis=1)[:, (0 if rising else 1) :: 2].mean())


def beam(axes: Axes) -> str:
    sigmas = np.array([0.8, 1.2, 1.6, 2.0, 2.5, 3.0])
    measured = []
    for sigma in sigmas:
        image = picture(good(*WIDE, f"imaging.beam={sigma}"))
        edge = find_edges(image, 0.4)[0]
        middle = round(float(edge[(edge > 20) & (edge < 108)][0]))
        measured.append(edge_spread(image[64][middle - 10 : middle + 11]))
    axes.plot(sigmas, measured, "o", [0, 3], [0, 3], "--", markersize=4)
    axes.set(title="Beam", xlabel="sigma asked for, nm", ylabel="recovered from an edge, nm")
    return f"recovered to {100 * np.abs(measured / sigmas - 1).max():.1f} % or better"


def dose(axes: Axes) -> str:
    doses = np.array([5.0, 20, 80, 320, 1280])
    worst = 0.0
    dim = ("noise.contrast=0.25",)  # so that no count is clipped at white
    for brightness, inside in ((0.2, -1), (0.6, 1)):
        found = []
        for electrons in doses:
            scene = good(
                "pattern.roughness=0", "imaging.image_size=512", "pattern.pitch=84", f"noise.dose={electrons}", *dim
            )
            found.append(16 * picture(scene).astype(np.float64)[scene.phi() * inside > 5].var())
        axes.loglog(doses, found, "o", markersize=4, label=f"brightness {brightness}")
        axes.loglog(doses, brightness / doses, "k--", linewidth=0.8)
        worst = max(worst, float(np.abs(np.asarray(found) * doses / brightness - 1).max()))
    axes.set(title="Variance over dose", xlabel="electrons at white", ylabel="variance")
    return f"brightness / dose to {100 * worst:.1f} % or better"


def vibration(axes: Axes) -> str:
    scene = good("pattern.roughness=0", "imaging.image_size=512", "pattern.pitch=24", "imaging.line_time=100")
    moved = shaken(scene, vibration=(Sine(1.5, 140.0, 0.3, 0.0),))
    motion = common_motion(find_edges(picture(moved), 0.4)[:, 1:-1])
    spectrum = np.abs(np.fft.rfft(motion * np.hanning(512))) / 128
    frequency = np.fft.rfftfreq(512, 100e-6)
    axes.plot(frequency, spectrum)
    axes.axvline(140, linestyle="--", color="k", linewidth=0.8)
    axes.set(title="Vibration of 1.5 nm at 140 Hz", xlabel="Hz", ylabel="nm", xlim=(0, 600))
    return f"peak at {frequency[spectrum.argmax()]:.0f} Hz, amplitude {np.sqrt(2) * motion.std():.2f} nm"


def drift(axes: Axes) -> str:
    scene = good("pattern.roughness=0", "pattern.pitch=20")
    asked, found = np.array([-4.0, -2, 0, 1, 3]), []
    for distance in asked:
        motion = common_motion(find_edges(picture(shaken(scene, drift_x=float(distance))), 0.4)[:, 1:-1])
        axes.plot(motion, label=f"{distance:g} nm")
        found.append(-np.polyfit(np.arange(128), motion, 1)[0] * 128)
    axes.set(title="Drift to the right during the image", xlabel="scan line", ylabel="shift of all edges, nm")
    return f"recovered to {np.abs(found - asked).max():.2f} nm or better"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", default="docs/images/validation.png")
    output = parser.parse_args().output
    parts: tuple[Callable[[Axes], str], ...] = (roughness, critical_dimension, beam, dose, vibration, drift)
    figure, panels = plt.subplots(2, 3, figsize=(13, 7), layout="constrained")
    for part, axes in zip(parts, panels.flat, strict=True):
        print(f"| {part.__name__.replace('_', ' ')} | {part(axes)} |")
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=7)
    figure.savefig(output, dpi=80)


if __name__ == "__main__":
    main()
