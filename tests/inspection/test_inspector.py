"""The Inspector on simulated pairs, several references, an image's own period, and bad input."""

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from sem_lightning.inspection.inspection import DEFECT, Inspection
from sem_lightning.inspection.inspector import Inspector
from sem_lightning.inspection.references import InspectionPair
from sem_lightning.io.gray_image import GrayImage
from sem_lightning.synthesis.field import Float32
from sem_lightning.synthesis.pairs import Pair, PairSimulator
from sem_lightning.synthesis.simulator import Simulator, render

ALIKE = ("imaging.image_size=256", "noise=low")


@pytest.fixture(scope="module")
def simulator() -> PairSimulator:
    return PairSimulator.compose("pattern=routing", "defect=basic", "pair.shift=[0,0.1]", *ALIKE)


@pytest.fixture(scope="module")
def bridge(simulator: PairSimulator) -> Pair:
    return simulator.sample(2, "bridge", seed=3)


def touches(inspection: Inspection, mask: npt.NDArray[np.uint8]) -> list[bool]:
    """Whether each place touches the defect."""
    near = cv2.dilate(mask, np.ones((7, 7), np.uint8))
    return [bool(near[p.y : p.y + p.height, p.x : p.x + p.width].any()) for p in inspection.places]


def test_the_defect_is_the_first_place(simulator: PairSimulator) -> None:
    first = []
    for index in range(6):
        pair = simulator.sample(index, ("gap", "bridge")[index % 2], seed=7)
        found = Inspector().inspect(pair.image.image, pair.reference)
        first.append(found.decision == DEFECT and touches(found, pair.image.mask)[0])
    assert sum(first) >= 5


def test_a_clean_pair_is_good(simulator: PairSimulator) -> None:
    decisions = []
    for index in range(6):
        pair = simulator.sample(index, "good", seed=8)
        decisions.append(Inspector(false_places=0.1).inspect(pair.image.image, pair.reference).decision)
    assert decisions.count("good") >= 5


def test_a_place_counts_where_the_image_differs_from_most_references(simulator: PairSimulator, bridge: Pair) -> None:
    clean = render(bridge.image.scene.without_defects()).image
    one = np.clip(clean + np.random.default_rng(1).normal(0, 4, clean.shape), 0, 255).astype(np.uint8)
    two = np.clip(clean + np.random.default_rng(2).normal(0, 4, clean.shape), 0, 255).astype(np.uint8)
    faulty = bridge.image.image
    good = np.clip(clean + np.random.default_rng(3).normal(0, 4, clean.shape), 0, 255).astype(np.uint8)
    alone = Inspector().inspect(good, faulty)
    assert alone.decision == DEFECT
    several = Inspector().inspect(good, [one, faulty, two])
    assert several.decision == "good"
    assert any("differs at 1 place where the other references do not" in each for each in several.remarks)
    assert Inspector().inspect(faulty, [one, two]).decision == DEFECT


@pytest.mark.parametrize(("pattern", "defects", "label"), [
    ("line_space", "basic", "bridge"), ("line_space", "basic", "gap"), ("contact_hole", "contact_hole", "missing"),
])  # fmt: skip
def test_a_periodic_pattern_is_its_own_reference(pattern: str, defects: str, label: str) -> None:
    single = Simulator.compose(f"pattern={pattern}", f"defect={defects}", *ALIKE)
    sample = single.sample(1, label, seed=5)
    found = Inspector().inspect(sample.image, "self")
    assert found.decision == DEFECT and touches(found, sample.mask)[0]
    clean = render(sample.scene.without_defects())
    assert len(Inspector().inspect(clean.image, "self").places) < len(found.places) + 1
    assert not any(touches(Inspector().inspect(clean.image, "self"), sample.mask))


def test_what_does_not_repeat_is_no_reference_of_itself() -> None:
    sample = Simulator.compose("pattern=freeform", "defect=basic", *ALIKE).sample(1, "good", seed=2)
    found = Inspector().inspect(sample.image, "self")
    assert (found.decision, found.reason, found.places) == ("unsure", "no period", ())


def test_what_was_not_compared_is_said(simulator: PairSimulator) -> None:
    pair = simulator.sample(0, "good", seed=8)
    found = Inspector().inspect(pair.image.image, np.array(pair.reference[:, :150], np.uint8))
    assert found.decision == "good" and found.registration is not None and found.compared is not None
    assert found.registration.overlap - 0.12 < found.compared <= found.registration.overlap + 0.02 < 0.64
    assert found.remarks[0] == f"compared {int(100 * found.compared)} % of the image"
    assert found.is_partly_compared


def black() -> npt.NDArray[np.uint8]:
    return np.zeros((256, 256), np.uint8)


def test_reasons(bridge: Pair, simulator: PairSimulator) -> None:
    image, reference = bridge.image.image, bridge.reference
    inspector = Inspector()

    def reason(one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8]) -> str | None:
        found = inspector.inspect(one, other)
        assert found.decision == "unsure" and found.places == ()
        return found.reason

    image, reference = image.astype(np.uint8), reference.astype(np.uint8)
    assert reason(black(), reference) == "no pattern"
    assert reason(image, black()) == "reference no pattern"
    assert reason(image, image) == "same image"
    assert reason(image, 255 - reference) == "inverted reference"
    other = simulator.sample(11, "good", seed=9).reference.astype(np.uint8)
    assert reason(image, other) in ("other place", "other magnification", "little overlap")


def as_image(pixels: npt.NDArray[np.uint8] | npt.NDArray[np.uint16], pixel_size: float) -> GrayImage:
    return GrayImage(np.asarray(pixels, np.float32) / np.float32(np.iinfo(pixels.dtype).max), pixel_size=pixel_size)


def test_a_reference_of_another_pixel_size_is_scaled_and_it_is_said(bridge: Pair) -> None:
    reference = as_image(bridge.reference, 1.0)
    larger: Float32 = np.asarray(cv2.resize(reference.pixels, (384, 384), interpolation=cv2.INTER_CUBIC), np.float32)
    finer = dataclasses.replace(reference, pixels=np.clip(larger, 0, 1), pixel_size=2 / 3)
    found = Inspector().inspect(as_image(bridge.image.image, 1.0), finer)
    assert found.decision == DEFECT and touches(found, bridge.image.mask)[0]
    assert any("scaled from 0.6667 to 1 nm" in each for each in found.remarks)
    tiny = dataclasses.replace(reference, pixel_size=0.1)
    assert Inspector().inspect(as_image(bridge.image.image, 1.0), tiny).reason == "other magnification"


def test_files_come_in_order_and_equal_single_calls(simulator: PairSimulator, tmp_path: Path) -> None:
    pairs = []
    for index in range(5):
        pair = simulator.sample(index, seed=12)
        cv2.imwrite(str(tmp_path / f"{index}.png"), pair.image.image)
        cv2.imwrite(str(tmp_path / f"{index}_ref.png"), pair.reference)
        pairs.append(InspectionPair(tmp_path / f"{index}.png", (tmp_path / f"{index}_ref.png",)))
    (tmp_path / "2.png").write_bytes(b"no image")
    streamed = list(Inspector().stream(pairs))
    assert "2.png" in str(getattr(streamed[2], "error", ""))
    for number in (0, 1, 3, 4):
        single, other = Inspector().inspect(pairs[number].image, pairs[number].references), streamed[number]
        assert isinstance(other, Inspection)
        assert other.path == pairs[number].image and other.places == single.places
