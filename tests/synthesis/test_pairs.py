"""Pairs of an image and its reference: the same design on another die, and where it lies."""

import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from sem_lightning.errors import SettingError
from sem_lightning.synthesis.field import FieldOfView
from sem_lightning.synthesis.pairs import Pair, PairSimulator, render_pair
from sem_lightning.synthesis.patterns.pattern import Pattern
from sem_lightning.synthesis.reference import ReferenceScene
from sem_lightning.synthesis.simulator import Scene, render

PATTERNS = ("line_space", "any_line_space", "routing", "freeform", "maze", "mixed")
# both images differ in geometry alone
QUIET = ("noise=none", "imaging=ideal", "pattern.roughness=0")
HOLES = ("pattern=contact_hole", "defect=contact_hole")
STILL = ("pair.shift=0", "pair.rotation=0", "pair.scale=1")


def laid_on(pair: Pair, x: float = 0, y: float = 0) -> npt.NDArray[np.uint8]:
    """The reference as its matrix lays it on the image, missed by some pixels."""
    matrix = pair.matrix + np.array([[0, 0, x], [0, 0, y]])
    size = pair.reference.shape[::-1]
    return np.asarray(
        cv2.warpAffine(pair.reference, matrix, size, flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP), np.uint8
    )


def inner(pair: Pair, margin: int = 4) -> npt.NDArray[np.bool_]:
    """Where both show the same place, without their borders."""
    kernel = np.ones((2 * margin + 1, 2 * margin + 1), np.uint8)
    shared = cv2.erode(pair.overlap.astype(np.uint8), kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return np.asarray(shared, bool)


def correlation(a: npt.NDArray[np.generic], b: npt.NDArray[np.generic]) -> float:
    return float(np.corrcoef(a.astype(float).ravel(), b.astype(float).ravel())[0, 1])


@pytest.mark.parametrize(
    "pattern",
    [
        ("pattern=any_line_space",),
        ("pattern=line_space", "pattern.taper=0.5", "pattern.angle=20"),
        ("pattern=routing",),
        ("pattern=freeform",),
        ("pattern=maze",),
        (*HOLES, "pattern.placement=0"),
    ],
    ids=lambda pattern: pattern[0],
)
def test_the_matrix_lays_the_reference_on_the_image(pattern: tuple[str, ...]) -> None:
    simulator = PairSimulator.compose(*pattern, *QUIET, "imaging.drift=4", "pair.shift=[0.05,0.25]")
    for index in range(3):
        pair = simulator.sample(index, label="good")
        shared = inner(pair)
        assert shared.mean() > 0.4
        image = pair.image.image[shared]
        right = correlation(image, laid_on(pair)[shared])
        off = ((0.5, 0), (-0.5, 0), (0, 0.5), (0, -0.5))
        missed = [correlation(image, laid_on(pair, x, y)[shared]) for x, y in off]
        assert right > 0.998 and right > max(missed) and right > min(missed) + 0.002, (right, missed)


def smooth(pattern: Pattern) -> Pattern:
    """The design itself."""
    numbers = dataclasses.asdict(pattern) | {"key": 0}
    numbers["roughness"]["sigma"] = 0.0
    return type(pattern).from_dict(numbers | ({"placement": 0.0} if "placement" in numbers else {}))


@pytest.mark.parametrize("pattern", [*((f"pattern={name}",) for name in PATTERNS), HOLES], ids=lambda names: names[0])
def test_the_design_is_the_same_and_its_edges_are_not(pattern: tuple[str, ...]) -> None:
    """Deviations of both from the design, near its edges."""
    simulator = PairSimulator.compose(*pattern, *([] if "mixed" in pattern[0] else ["pattern.roughness=0.1"]))
    here, there = [], []
    for index in range(8):
        scene, reference = simulator.draw(0, 0, index, "good")
        again = scene.pattern.reprinted(reference.key)
        assert smooth(again) == smooth(scene.pattern) and again != scene.pattern
        design = smooth(scene.pattern).phi(scene.view)
        edges = np.abs(design) < 2
        here.append((scene.pattern.phi(scene.view) - design)[edges])
        there.append((again.phi(scene.view) - design)[edges])
    one, other = np.concatenate(here), np.concatenate(there)
    assert one.std() > 0.1 and other.std() == pytest.approx(one.std(), rel=0.35)
    assert abs(correlation(one, other)) < 0.25


@pytest.mark.parametrize(
    "settings",
    [("pattern=routing", "defect=full"), ("pattern=line_space", "defect=full"), (*HOLES, "pattern.placement=0")],
)
def test_images_without_noise_differ_where_the_mask_says(settings: tuple[str, ...]) -> None:
    """Also in a pair of other shift, turn and size; the bloom of a changed edge reaches a little further."""
    simulator = PairSimulator.compose(*settings, *QUIET, "imaging.drift=2")
    for index, label in enumerate(simulator.classes * 2):
        pair = simulator.sample(index, label=label)
        difference = np.abs(pair.image.image.astype(int) - laid_on(pair))
        differs = (difference > 50) & inner(pair)
        near = cv2.dilate(pair.image.mask, np.ones((15, 15), np.uint8)) > 0
        assert not (differs & ~near).any(), (label, index)
        found = difference[(pair.image.mask > 0) & pair.overlap]
        assert label == "good" or found.max(initial=0) > 15, (label, index)


def test_the_reference_is_never_the_identical_twin() -> None:
    for noise in ("none", "low", "typical"):
        simulator = PairSimulator.compose(f"noise={noise}", *STILL)
        for index in range(6):
            pair = simulator.sample(index)
            twin = render(pair.image.scene.without_defects()).image
            assert np.mean(pair.reference == twin) < 0.5
    flat = (*QUIET, *STILL)
    with pytest.raises(SettingError, match="pair: the reference would be the image without its defect"):
        PairSimulator.compose(*flat).sample(0, label="good")
    with pytest.raises(SettingError, match="pair: the reference"):
        PairSimulator.compose(*flat).sample(0, label="gap")
    PairSimulator.compose(*flat[:-1]).sample(0)


def test_noise_and_roughness_are_its_own() -> None:
    """Two images of noise alone have nothing in common."""
    simulator = PairSimulator.compose(*QUIET, *STILL, "noise.gaussian=0.02", "imaging.grain_amplitude=0.05")
    pair = simulator.sample(0, label="good")
    calm = dataclasses.replace(pair.image.scene.detection, gaussian=0.0)
    still = dataclasses.replace(pair.image.scene.exposure.grain, amplitude=0.0)
    exposure = dataclasses.replace(pair.image.scene.exposure, grain=still)
    clean = render(dataclasses.replace(pair.image.scene, detection=calm, exposure=exposure)).image.astype(int)
    assert abs(correlation(pair.image.image - clean, pair.reference - clean)) < 0.05
    assert pair.image.scene.exposure.scan.key != pair.reference_scene.exposure.scan.key


@pytest.mark.parametrize("settings", [("pattern=routing", "imaging=any", "processing=any"), HOLES, ("noise.bits=16",)])
def test_numbers_alone_give_the_same_bytes(settings: tuple[str, ...]) -> None:
    simulator = PairSimulator.compose(*settings)
    for index in range(6):
        pair = simulator.sample(index, seed=3, split=1)
        text = json.dumps([pair.image.scene.to_dict(), pair.reference_scene.to_dict()])
        scene, reference = json.loads(text)
        again = render_pair(Scene.from_dict(scene), ReferenceScene.from_dict(reference))
        assert again.image.scene == pair.image.scene and again.reference_scene == pair.reference_scene
        assert again.reference.tobytes() == pair.reference.tobytes() and np.array_equal(again.matrix, pair.matrix)
        assert again.image.image.tobytes() == pair.image.image.tobytes()
        assert again.image.mask.tobytes() == pair.image.mask.tobytes()
        # its image is a scene as any other
        assert render(Scene.from_dict(scene)).image.tobytes() == pair.image.image.tobytes()
        assert pair.reference.dtype == pair.image.image.dtype and pair.reference.shape == pair.image.image.shape


def test_a_pair_depends_on_its_number_alone() -> None:
    simulator, noisier = PairSimulator.compose("pattern=maze"), PairSimulator.compose("pattern=maze", "noise=high")
    pairs = [simulator.sample(index, label="gap") for index in (5, 4)]
    assert simulator.sample(4, label="gap").reference.tobytes() == pairs[1].reference.tobytes()
    assert not np.array_equal(pairs[0].reference, pairs[1].reference)
    for other in (simulator.sample(4, label="gap", seed=1), simulator.sample(4, label="gap", split=1)):
        assert not np.array_equal(other.reference, pairs[1].reference)
    good, gap = simulator.draw(0, 0, 4, "good"), simulator.draw(0, 0, 4, "gap")
    assert good[1] == gap[1] and good[0] == gap[0].without_defects()
    scene, reference = noisier.draw(0, 0, 4, "gap")
    assert (scene.pattern, scene.exposure) == (gap[0].pattern, gap[0].exposure)
    assert (reference.shift_x, reference.key) == (gap[1].shift_x, gap[1].key)
    assert reference.detection != gap[1].detection
    assert simulator.simulator.draw(0, 0, 4, "gap") != gap[0]


@pytest.mark.parametrize("defect", ["full", "any", "line_space", "basic"])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_pattern_takes_every_defect(pattern: str, defect: str) -> None:
    check_classes(PairSimulator.compose(f"pattern={pattern}", f"defect={defect}", "processing=any"))


def test_holes_take_theirs() -> None:
    check_classes(PairSimulator.compose(*HOLES))


def check_classes(simulator: PairSimulator) -> None:
    for index, label in enumerate(simulator.classes):
        pair = simulator.sample(index, label=label)
        assert pair.image.scene.label == label
        assert pair.image.mask.any() == (label != "good") == bool(pair.image.instances)
        seen = pair.image.mask[pair.overlap].sum()
        assert seen >= 0.8 * pair.image.mask.sum(), "the reference shows the place of the defect"
        assert pair.reference_scene.margin <= simulator.settings.margin(simulator.simulator.imaging) + 16


def test_a_layout_has_pairs(tmp_path: Path) -> None:
    gdstk = pytest.importorskip("gdstk")
    library = gdstk.Library(unit=1e-6, precision=1e-9)
    top = library.new_cell("TOP")
    for line in range(16):
        top.add(gdstk.rectangle((0.03 * line, 0.01 * (line % 5)), (0.03 * line + 0.015, 0.3), layer=1))
    top.add(gdstk.rectangle((0, 0.31), (0.46, 0.33), layer=1))
    library.write_gds(tmp_path / "chip.gds")
    layout = ("pattern=layout", f"pattern.file={tmp_path / 'chip.gds'}", "pattern.layer=1")
    check_classes(PairSimulator.compose(*layout))
    with pytest.raises(SettingError, match=r"pattern\.file: .*pairs need 41\d nm of it, less with a smaller pair"):
        PairSimulator.compose(*layout, "imaging.image_size=256")
    assert PairSimulator.compose(*layout, "imaging.image_size=256", "pair=aligned").sample(0).reference.any()


@pytest.mark.parametrize("pattern", ["maze", "routing", "freeform", "line_space"])
def test_a_shifted_reference_shows_more_of_the_design(pattern: str) -> None:
    fine = (f"pattern={pattern}", "pattern.pitch=8", *QUIET)
    simulator = PairSimulator.compose(*fine, "pair.shift=0.25")
    shares = []
    for index in range(8):
        pair = simulator.sample(index, label="good")
        assert 0.5 < pair.overlap.mean() < 0.8
        # what the image does not show, in the reference's frame
        shared = cv2.warpAffine(np.ones_like(pair.image.mask), pair.matrix, pair.reference.shape[::-1])
        new = cv2.erode(shared, np.ones((25, 25), np.uint8), borderType=cv2.BORDER_REPLICATE) == 0
        new &= cv2.dilate(shared, np.ones((25, 25), np.uint8)) == 0
        shares.append(pair.reference[new].std() / pair.reference[shared > 0].std())
    assert 0.8 < np.mean(shares) < 1.2


@pytest.mark.parametrize("settings", [("pattern.taper=0.4", "pattern.angle=30"), ("pattern=maze",), HOLES[:1]])
def test_a_design_does_not_depend_on_the_field_of_view(settings: tuple[str, ...]) -> None:
    holes = (*HOLES[1:], "pattern.placement=0") if settings == HOLES[:1] else ()
    simulator = PairSimulator.compose(*settings, *holes, *QUIET)
    scene, _ = simulator.draw(0, 0, 0, "good")
    small = scene.pattern.phi(scene.view)
    large = scene.pattern.framed(scene.view, scene.view.grown(40)).phi(scene.view.grown(40))[40:-40, 40:-40]
    edges = np.abs(small) < 2
    edges[:16] = edges[-16:] = edges[:, :16] = edges[:, -16:] = False  # corners are rounded with what lies beyond
    assert edges.sum() > 500 and np.abs(large - small)[edges].max() < 0.1


def test_edges_and_light_are_the_references_own() -> None:
    simulator = PairSimulator.compose(
        "noise=none", "noise.bits=16", "imaging=ideal", "pair.shift=0.25", "imaging.dark=0.3"
    )
    scene, reference = simulator.draw(0, 0, 0, "good")
    even = render_pair(scene, reference).reference.astype(float)
    other = render_pair(scene, dataclasses.replace(reference, key=1)).reference
    assert (np.abs(even - other) > 2000).mean() > 0.01
    exposure = dataclasses.replace(reference.exposure, uneven=0.4, uneven_direction=0.0)
    ratio = render_pair(scene, dataclasses.replace(reference, exposure=exposure)).reference / even
    inner = (even > 10000) & (even < 45000)
    for column in (5, 64, 120):
        expected = 1 + 0.4 * (column - 63.5) / 128
        assert ratio[:, column][inner[:, column]] == pytest.approx(expected, abs=0.003)


def test_turn_size_and_shift_are_what_they_are_called() -> None:
    simulator = PairSimulator.compose("pair.shift=0.1", "pair.rotation=2", "pair.scale=1.02", "imaging.drift=0")
    scene, reference = simulator.draw(0, 0, 0, "good")
    matrix = render_pair(scene, reference).matrix
    middle = np.array([63.5, 63.5])
    moved = matrix[:, :2] @ middle + matrix[:, 2] - middle
    assert np.hypot(*moved) == pytest.approx(12.8) and moved == pytest.approx([reference.shift_x, reference.shift_y])
    right = matrix[:, :2] @ [1, 0]
    assert np.hypot(*right) == pytest.approx(1.02) and np.degrees(np.arctan2(right[1], right[0])) == pytest.approx(2)
    assert reference.view(scene.view) == FieldOfView(128, 128, 1 / 1.02)


@pytest.mark.parametrize("settings", [("processing.negative=1",), ("imaging.polarity=dark",), ("pattern=mixed",)])
def test_both_have_the_same_polarity(settings: tuple[str, ...]) -> None:
    simulator = PairSimulator.compose("pattern=routing", *settings, *QUIET[:2])
    for index in range(5):
        pair = simulator.sample(index, label="good")
        scene, own = pair.image.scene, pair.reference_scene
        assert (scene.exposure.polarity, scene.processing.negative) == (own.exposure.polarity, own.processing.negative)
        shared = inner(pair)
        assert correlation(pair.image.image[shared], laid_on(pair)[shared]) > 0.5


def test_a_scale_bar_covers_its_own_image_alone() -> None:
    simulator = PairSimulator.compose("processing.banner=0.5", "pair=aligned", "imaging.uneven=0.3")
    seen = set()
    for index in range(24):
        pair = simulator.sample(index, label="gap")
        bars = pair.image.scene.processing.banner, pair.reference_scene.processing.banner
        seen.add(bars)
        assert pair.overlap[-4].any() == (not bars[1])
    assert len(seen) == 4


def test_large_images_have_pairs() -> None:
    pair = PairSimulator.compose("pattern=routing", "imaging.image_size=480").sample(1)
    assert pair.reference.shape == pair.image.image.shape == (480, 480)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("pair.shift=0.3", r"pair\.shift: found 0\.3, expected .* from 0 up to 0\.25 of the field"),
        ("pair.rotation=[-3,3]", r"pair\.rotation: found .* from -2 up to 2 degrees"),
        ("pair.scale=1.1", r"pair\.scale: found 1\.1, expected .* from 0\.97 up to 1\.03"),
        ("~pair", "pair: needs an option: any or aligned"),
        ("noise.dose=0", r"noise\.dose"),
    ],
)
def test_what_cannot_be_is_one_line(override: str, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        PairSimulator.compose(override)
    with pytest.raises(SettingError, match="label: found 'particle'"):
        PairSimulator.compose().sample(0, label="particle")
