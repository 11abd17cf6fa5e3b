"""What a CD-SEM measures in simulated images is what their scenes say; docs/simulator.md shows it as figures."""

import dataclasses

import numpy as np
import pytest
from conftest import make_simulator

from sem_lightning.fitting.lines import measure_lines
from sem_lightning.metrology.edges import common_motion, edge_spread, find_edges, noise_level, power_spectrum
from sem_lightning.synthesis.patterns.line_space import Lines
from sem_lightning.synthesis.scan import Sine
from sem_lightning.synthesis.simulator import Scene, Simulator, render

UPRIGHT = ("pattern.angle=0", "imaging=ideal", "noise=none", "noise.bits=16")
SMOOTH = ("pattern.roughness=0", *UPRIGHT)


def picture(scene: Scene) -> np.ndarray:
    return (render(scene).image / np.float32(65535)).astype(np.float32)


def lines_of(scene: Scene) -> Lines:
    assert isinstance(scene.pattern, Lines)
    return scene.pattern


def with_scan(simulator: Simulator, index: int, **changes: object) -> Scene:
    scene = simulator.draw(0, 0, index, "good")
    scan = dataclasses.replace(scene.exposure.scan, **changes)  # type: ignore[arg-type]
    return dataclasses.replace(scene, exposure=dataclasses.replace(scene.exposure, scan=scan))


def measured_cd(simulator: Simulator, index: int) -> tuple[float, float]:
    """CD at half way between ground and rim, and the scene's, in pixels."""
    scene = simulator.draw(0, 0, index, "good")
    image = picture(scene)
    edges = find_edges(image, (float(image.min()) + float(image.max())) / 2)
    rising = image[0, int(edges[0, 0]) + 1] > image[0, int(edges[0, 0])]
    widths = np.diff(edges, axis=1)[:, (0 if rising else 1) :: 2]
    return float(widths.mean()), lines_of(scene).cd / scene.view.pixel_size


@pytest.mark.parametrize("pixel_size", [0.5, 1.0])
def test_cd_at_the_half_way_threshold_is_the_scenes(pixel_size: float) -> None:
    simulator = make_simulator(*SMOOTH, "imaging.bloom=0", f"imaging.pixel_size={pixel_size}")
    for index in range(10):
        measured, true = measured_cd(simulator, index)
        assert measured == pytest.approx(true, abs=0.2)


def test_edge_bloom_widens_every_line_alike_as_it_does_in_a_microscope() -> None:
    # The threshold then finds the outer flank of the rim: a bias that does not depend on the line can be calibrated.
    simulator = make_simulator(*SMOOTH, "pattern.pitch=[28,34]", "pattern.duty=[0.4,0.6]", "imaging.pixel_size=0.5")
    bias = [measured - true for measured, true in (measured_cd(simulator, index) for index in range(12))]
    assert np.std(bias) < 0.15 and 0 < np.mean(bias) < 2.5


def test_a_model_of_the_edge_finds_the_cd_without_bias_whatever_the_bloom() -> None:
    simulator = make_simulator(
        *SMOOTH, "pattern.pitch=[20,34]", "imaging.bloom=[0.05,0.4]", "imaging.bloom_inside=[1,3]",
        "imaging.bloom_outside=[0.7,2]", "imaging.beam=[0.7,1.8]",
    )  # fmt: skip
    scenes = [simulator.draw(0, 0, index, "good") for index in range(15)]
    bias = [measure_lines(picture(scene), 0.0, "bright").model.cd - lines_of(scene).cd for scene in scenes]
    assert abs(np.mean(bias)) < 0.2 and np.median(np.abs(bias)) < 0.2


def test_roughness_spectrum_is_recovered_from_the_edges() -> None:
    simulator = make_simulator(
        *UPRIGHT, "imaging.image_size=512", "pattern.pitch=32", "pattern.duty=0.5", "pattern.roughness=0.2",
        "pattern.correlation_length=20", "pattern.hurst=0.6", "pattern.edge_correlation=0", "imaging.bloom=0",
    )  # fmt: skip
    densities, variances = [], []
    for index in range(12):
        edges = find_edges(picture(simulator.draw(0, 0, index, "good")), 0.4)[:, 1:-1]
        frequency, density = power_spectrum(edges)
        densities.append(density)
        variances.append(edges.var(axis=0).mean())
    sigma = 16 * 0.2 / 3
    assert np.sqrt(np.mean(variances)) == pytest.approx(sigma, rel=0.07)
    expected = (1 + (2 * np.pi * frequency * 20) ** 2) ** (-0.5 - 0.6)
    expected *= sigma**2 / np.mean(np.concatenate([expected, expected]))
    ratio = np.mean(densities, axis=0) / expected
    for low, high in ((0.004, 0.01), (0.01, 0.03), (0.03, 0.1)):  # the beam smooths what is finer
        band = (frequency >= low) & (frequency < high)
        assert np.mean(ratio[band]) == pytest.approx(1, abs=0.15), (low, high)


@pytest.mark.parametrize("sigma", [0.8, 1.5, 2.5])
def test_beam_sigma_is_recovered(sigma: float) -> None:
    simulator = make_simulator(
        *SMOOTH, f"imaging.beam={sigma}", "imaging.bloom=0", "pattern.pitch=42", "pattern.duty=0.5"
    )
    scene = simulator.draw(0, 0, 0, "good")
    row = picture(scene)[64]
    edge = find_edges(picture(scene), 0.4)[0]
    middle = round(float(edge[(edge > 20) & (edge < 108)][0]))
    assert edge_spread(row[middle - 10 : middle + 11]) == pytest.approx(sigma, rel=0.04)


def test_defocus_and_astigmatism_widen_the_beam_as_the_optics_say() -> None:
    def spread(**changes: float) -> float:
        settings = [f"imaging.{name}={value}" for name, value in changes.items()]
        simulator = make_simulator(
            *SMOOTH, "imaging.beam=1", "imaging.bloom=0", "pattern.pitch=42", "pattern.duty=0.5", *settings
        )
        scene = simulator.draw(0, 0, 0, "good")
        beam = dataclasses.replace(scene.exposure.beam, astigmatism_angle=0.0)
        scene = dataclasses.replace(scene, exposure=dataclasses.replace(scene.exposure, beam=beam))
        edge = find_edges(picture(scene), 0.4)[0]
        middle = round(float(edge[(edge > 20) & (edge < 108)][0]))
        return edge_spread(picture(scene)[64][middle - 10 : middle + 11])

    assert spread(defocus=400) == pytest.approx(np.hypot(1, 0.5 * 8e-3 * 400), rel=0.05)
    assert spread(defocus=-400) == pytest.approx(spread(defocus=400), rel=0.01)
    # this direction focuses where the other does not
    assert spread(defocus=200, astigmatism=400) == pytest.approx(np.hypot(1, 0.5 * 8e-3 * 400), rel=0.05)
    assert spread(defocus=-200, astigmatism=400) == pytest.approx(1, rel=0.05)


@pytest.mark.parametrize("frames", [1, 8])
def test_variance_in_the_image_is_brightness_over_dose(frames: int) -> None:
    simulator = make_simulator(
        *SMOOTH,
        "noise.dose=40",
        f"noise.frames={frames}",
        "imaging.bloom=0",
        "imaging.image_size=512",
        "pattern.pitch=84",
    )
    scene = simulator.draw(0, 0, 0, "good")
    phi, image = scene.phi(), picture(scene).astype(np.float64)
    for brightness, flat in ((0.2, phi < -5), (0.6, phi > 5)):
        assert image[flat].mean() == pytest.approx(brightness, rel=0.01)
        assert image[flat].var() * 40 * frames == pytest.approx(brightness, rel=0.03)


def test_noise_level_is_measured_beside_edges() -> None:
    for gaussian in (0.02, 0.06):
        simulator = make_simulator("pattern.angle=0", "imaging=ideal", "noise=none", f"noise.gaussian={gaussian}")
        image = (render(simulator.draw(0, 0, 0, "good")).image / np.float32(255)).astype(np.float32)
        assert noise_level(image) == pytest.approx(gaussian, rel=0.15)


@pytest.mark.parametrize("frequency", [60.0, 140.0, 310.0])
def test_vibration_frequency_and_amplitude_are_recovered(frequency: float) -> None:
    simulator = make_simulator(*SMOOTH, "imaging.image_size=512", "pattern.pitch=24", "imaging.line_time=100")
    scene = with_scan(simulator, 0, vibration=(Sine(1.5, frequency, 0.3, 0.0),))
    motion = common_motion(find_edges(picture(scene), 0.4)[:, 1:-1])
    spectrum = np.abs(np.fft.rfft(motion * np.hanning(512)))
    peak = np.fft.rfftfreq(512, 100e-6)[spectrum.argmax()]
    assert peak == pytest.approx(frequency, abs=1 / (512 * 100e-6))
    assert np.sqrt(2) * motion.std() == pytest.approx(1.5, rel=0.1)


@pytest.mark.parametrize(("x", "y"), [(4.0, 0.0), (-2.5, 0.0), (3.0, 2.0)])
def test_drift_is_recovered(x: float, y: float) -> None:
    simulator = make_simulator(*SMOOTH, "pattern.pitch=20")
    motion = common_motion(find_edges(picture(with_scan(simulator, 1, drift_x=x, drift_y=y)), 0.4)[:, 1:-1])
    slope = np.polyfit(np.arange(128), motion, 1)[0] * 128
    assert slope == pytest.approx(-x, abs=0.15)  # the beam moves right, so the picture moves left


def test_jitter_is_recovered_and_frames_average_it() -> None:
    simulator = make_simulator(*SMOOTH, "pattern.pitch=20", "noise.frames=4", "imaging.image_size=256")
    motion = common_motion(find_edges(picture(with_scan(simulator, 1, jitter=1.0)), 0.4)[:, 1:-1])
    assert motion.std() == pytest.approx(0.5, rel=0.15)


def test_charging_leaves_a_dark_tail_along_the_fast_axis_only() -> None:
    simulator = make_simulator(*SMOOTH, "imaging.bloom=0", "pattern.pitch=80", "imaging.image_size=256")
    clean = picture(with_scan(simulator, 0)).astype(np.float64)
    charged = picture(with_scan(simulator, 0, charging=0.3, charging_length=20.0)).astype(np.float64)
    ground = clean[0] < 0.25
    after = ground & np.roll(clean[0] > 0.55, 6)  # just right of a line
    before = ground & np.roll(clean[0] > 0.55, -6)
    change = (charged - clean).mean(axis=0)
    assert change[after].mean() < change[before].mean() - 0.02
    assert np.abs((charged - clean).std(axis=0)).max() < 1e-3  # every row of upright lines alike
    tail = change[np.flatnonzero(after)[0] :][:30]
    assert (np.diff(tail) > -1e-4).all()  # it leaks away


def test_streaks_differ_from_line_to_line() -> None:
    simulator = make_simulator(*SMOOTH)
    clean, streaked = picture(with_scan(simulator, 0)), picture(with_scan(simulator, 0, streaks=0.03))
    change = streaked - clean
    assert change.std(axis=1).max() < 1e-3 and change.mean(axis=1).std() == pytest.approx(0.03, rel=0.25)


def test_what_drifts_out_of_sight_is_drawn_elsewhere() -> None:
    simulator = make_simulator("imaging.drift=32", "imaging.vibration=16", "imaging.vibration_frequency=[50,100]")
    for index in range(80):
        sample = render(simulator.draw(0, 0, index, ("gap", "bridge")[index % 2]))
        assert sample.mask.sum() >= 4 and all(instance.box[2] and instance.box[3] for instance in sample.instances)
