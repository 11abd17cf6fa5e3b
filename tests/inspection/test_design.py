import dataclasses
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from made_up_designs import CHIP, ROUGH, VIEW, draw_mask, expose, write_layout

from sem_lightning.errors import SettingError
from sem_lightning.inspection.design import open_design
from sem_lightning.inspection.design.allowance import differs, limit
from sem_lightning.inspection.design.inspecting import least_design_score
from sem_lightning.inspection.design.microscope import Outline, fit
from sem_lightning.inspection.inspection import Inspection
from sem_lightning.inspection.inspector import Inspector
from sem_lightning.io.gray_image import GrayImage
from sem_lightning.io.images import ImageError
from sem_lightning.synthesis.field import FieldOfView, Float32
from sem_lightning.synthesis.patterns.shapes import Shapes

REAL = Path(__file__).parents[3] / "shared" / "design_sem"


def inspect(image: Float32, *args: object, pixel_size: float | None = None, **keys: object) -> Inspection:
    design = open_design(*args, **keys)  # type: ignore[arg-type]
    return Inspector(network=None).inspect_design(GrayImage(image, pixel_size=pixel_size), design)


def _middle_of(found: Inspection, number: int = 0) -> tuple[float, float]:
    place = found.places[number]
    return place.x + (place.width - 1) / 2, place.y + (place.height - 1) / 2


@pytest.mark.parametrize(("scale", "bias"), [(0.6, 3.0), (1.3, -3.0)])
def test_scale_place_and_bias_are_found(tmp_path: Path, scale: float, bias: float) -> None:
    shift = (37.0, -23.0)
    found = inspect(expose(CHIP, bias, shift, bloom=0.0), draw_mask(tmp_path / "mask.png", scale))
    assert (found.decision, found.reason) == ("good", None)
    assert found.registration is not None and found.edges is not None
    matrix = found.registration.matrix
    assert math.sqrt(np.linalg.det(matrix[:, :2])) == pytest.approx(1 / scale, rel=0.002)
    step = VIEW.pixel_size * scale
    # the image's middle shows what lies in the mask at minus the shift from its middle
    middle = matrix @ [(VIEW.width - 1) / 2, (VIEW.height - 1) / 2, 1]
    expected = [(round(side / step) - 1) / 2 - moved / step for side, moved in zip((1200, 1000), shift, strict=True)]
    assert np.abs((middle - expected) * scale).max() < 0.3
    assert found.edges.unit == "pixels"
    assert found.edges.displacements.mean * VIEW.pixel_size == pytest.approx(bias, abs=0.6)
    assert 0 < found.edges.displacements.three_sigma < 4


@pytest.mark.parametrize("seed", range(3))
def test_what_lacks_and_what_lies_there_is_named(tmp_path: Path, seed: int) -> None:
    inside = [k for k, each in enumerate(CHIP) if np.abs(np.mean(each, axis=0) - (0, 0)).max() < 250]
    lacking = inside[7 * seed + 3]
    image = expose(CHIP[:lacking] + CHIP[lacking + 1 :], seed=seed)
    x, y = (np.mean(CHIP[lacking], axis=0) / VIEW.pixel_size + ((VIEW.width - 1) / 2, (VIEW.height - 1) / 2)).tolist()
    found = inspect(image, draw_mask(tmp_path / "mask.png", 0.6), None, None, 1.2, pixel_size=2.0)
    assert [each.label for each in found.places] == ["missing"]
    assert np.hypot(*np.subtract(_middle_of(found), (x, y))) < 6
    assert not found.places[0].brighter
    assert found.places[0].layout is not None
    matrix = found.registration.matrix  # type: ignore[union-attr]
    assert found.places[0].layout == pytest.approx(tuple(matrix @ [*_middle_of(found), 1]))


def test_closed_hole_and_particle(tmp_path: Path) -> None:
    plate, *cutouts = (
        ((x - half, y - half), (x + half, y - half), (x + half, y + half), (x - half, y + half))
        for x, y, half in [
            (20.0, -30.0, 260.0),
            *((x, y, 20.0) for x in (-180.0, -40.0, 100.0) for y in (-120.0, 30.0)),
        ]
    )
    step = 1.2
    view = FieldOfView(round(1000 / step), round(1200 / step), step)
    phi = Shapes((plate,), tuple(cutouts), 100.0, 0.0, dataclasses.replace(ROUGH, sigma=0.0), 0).phi(view)
    mask = tmp_path / "mask.png"
    cv2.imwrite(str(mask), np.where(phi > 0, 255, 0).astype(np.uint8))
    clean = expose((plate,), cutouts=tuple(cutouts))
    assert inspect(clean, mask, None, None, step, pixel_size=2.0).decision == "good"
    image = expose((plate,), cutouts=tuple(cutouts[1:]))
    cv2.circle(image, (330, 250), 9, 0.95, -1)
    found = inspect(image, mask, None, None, step, pixel_size=2.0)
    assert sorted(each.label for each in found.places) == ["closed", "particle"]


def test_layout_window_and_coordinates(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "chip.gds")
    clean = expose(CHIP, shift=(30.0, 16.0))
    found = inspect(clean, layout, "10/0", pixel_size=2.0)
    assert (found.decision, found.reason) == ("good", None)
    assert found.edges is not None and found.edges.unit == "nm"
    # an image's x goes right and its y down, the layout's up
    first = found.edges.points[0] - ((VIEW.width - 1) / 2, (VIEW.height - 1) / 2)
    expected = (50 + (first[0] * 2 - 30) / 1000, 20 - (first[1] * 2 - 16) / 1000)
    assert found.edges.layout[0] == pytest.approx(expected, abs=6e-4)
    windowed = Inspector(network=None).inspect_design(clean, open_design(layout, 10, [49.5, 19.6, 50.5, 20.4], 2.0))
    assert windowed.decision == "good"


def test_dark_features_and_bare_edges(tmp_path: Path) -> None:
    mask = draw_mask(tmp_path / "mask.png", 0.8)
    dark = inspect(1 - expose(CHIP), mask, None, None, 1.6, pixel_size=2.0)
    assert dark.decision == "good" and "the feature is darker than the ground" in dark.remarks
    phi = Shapes(CHIP, (), 100.0, 4.0, ROUGH, 0).phi(VIEW)
    rims = 0.3 + 0.4 * np.exp(-((phi / 6) ** 2)) + np.random.default_rng(0).normal(0, 0.03, phi.shape)
    found = inspect(np.clip(rims, 0, 1).astype(np.float32), mask, None, None, 1.6, pixel_size=2.0)
    assert found.reason is None


def test_another_place_is_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    other = tuple(tuple((b * 1.1 + 7, a * 0.9) for a, b in CHIP[k]) for k in rng.permutation(len(CHIP))[:60])
    found = inspect(expose(CHIP), draw_mask(tmp_path / "other.png", 1.0, other))
    assert (found.decision, found.reason, found.places) == ("unsure", "other place", ())
    small = cv2.imread(str(draw_mask(tmp_path / "mask.png", 1.0)), cv2.IMREAD_GRAYSCALE)
    assert small is not None
    cv2.imwrite(str(tmp_path / "small.png"), small[:100, :60])
    found = Inspector(pixel_size=2.0, network=None).inspect_design(
        expose(CHIP), open_design(tmp_path / "small.png", pixel_size=2.0)
    )
    assert found.reason == "little overlap"


def test_settings_that_cannot_be_used(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "chip.gds")
    mask = draw_mask(tmp_path / "mask.png", 1.0)
    white = tmp_path / "white.png"
    cv2.imwrite(str(white), np.full((50, 50), 255, np.uint8))
    for arguments, key, words in [
        ((layout, "10/0", [0, 0, 1, 1]), "window", "shows no polygon of layer 10/0; the layer spans [49.4"),
        ((layout, "10/0", [1, 1, 0, 2]), "window", "left < right"),
        ((layout, "10/0", [1, 1, 2]), "window", "[left, bottom, right, top] in um"),
        ((layout, "ten"), "layer", "such as 10/0"),
        ((layout, None), "layer", "such as 10/0"),
        ((layout, "11/0"), "layer", "it has 10/0"),
        ((tmp_path / "none.gds", "10/0"), "file", "is not a file"),
        ((mask, "10/0"), "layer", "is a mask, which has none"),
        ((white,), "file", "is all white"),
        ((mask, None, None, 0.0), "pixel_size", "nm above 0"),
    ]:
        with pytest.raises(SettingError, match=key) as refused:
            open_design(*arguments)  # type: ignore[arg-type]
        assert refused.value.key == key and words in refused.value.reason
    with pytest.raises(ImageError, match="its pixel size is not known"):
        inspect(expose(CHIP), layout, "10/0")
    with pytest.raises(SettingError, match="give a smaller window"):
        inspect(expose(CHIP), layout, "10/0", pixel_size=0.1)
    corner = write_layout(tmp_path / "corner.gds", (((0, 0), (900, 0), (900, 50), (50, 50), (50, 900), (0, 900)),))
    for window, words in [
        ([50.1, 19.2, 50.8, 19.9], "is all free of"),
        ([50.01, 19.3, 50.04, 19.9], "is all covered by"),
    ]:
        with pytest.raises(SettingError, match=words):
            inspect(expose(CHIP), corner, "10/0", window, pixel_size=2.0)
    black = np.zeros(VIEW.shape, np.float32)
    assert inspect(black, mask).decision == "unsure"


def test_a_rounding_that_swallows_lines_is_not_fitted() -> None:
    """Lines of 6 pixels that the image shows; with corners rounded by 6 or more none would remain."""
    coverage = np.zeros((200, 200), np.float32)
    for left in range(30, 170, 14):
        coverage[40:160, left : left + 6] = 1
    noise = np.random.default_rng(0).normal(0, 0.03, coverage.shape)
    image = np.asarray(cv2.GaussianBlur(0.3 + 0.4 * coverage, (0, 0), 1.2) + noise, np.float32)
    scope, outline = fit(image, coverage, np.ones(coverage.shape, bool))
    assert scope.rounding < 3 and (outline.phi[100] > 0).sum() > 40


def test_edges_that_are_lit_from_one_side() -> None:
    """A detector at the left: edges that face it are brighter; the rendered design shows it."""
    coverage = np.zeros((160, 160), np.float32)
    coverage[40:120, 40:120] = 1
    smooth = np.asarray(cv2.GaussianBlur(coverage, (0, 0), 2.0), np.float32)
    facing = np.asarray(cv2.Sobel(smooth, cv2.CV_32F, 1, 0, ksize=1, scale=0.5), np.float32)
    image = np.asarray(0.3 + 0.2 * smooth + 2 * facing, np.float32)
    scope, outline = fit(image, coverage, np.ones(coverage.shape, bool))
    shown = scope.render(outline)
    assert np.abs(image - shown)[60:100].max() < 0.15 * np.ptp(image)
    assert shown[80, 40] - shown[80, 119] > 0.5 * (image[80, 40] - image[80, 119]) > 0.1


@pytest.mark.parametrize("inverted", [False, True])
def test_islands_smaller_than_the_rounding_are_still_asked_for(inverted: bool) -> None:
    """Smoothing removes a small island (or hole) of the design; that it lacks is seen all the same."""
    coverage = np.zeros((120, 160), np.float32)
    coverage[:, :60] = 1
    lacking = coverage.copy()
    cv2.circle(coverage, (110, 60), 5, 1.0, -1)
    if inverted:
        coverage, lacking = 1 - coverage, 1 - lacking
    shown = np.ones(coverage.shape, bool)
    image = cv2.GaussianBlur(0.3 + 0.4 * coverage, (0, 0), 1.5).astype(np.float32)
    blank = cv2.GaussianBlur(0.3 + 0.4 * lacking, (0, 0), 1.5).astype(np.float32)
    microscope, _ = fit(image, coverage, shown)
    outline = Outline.of(coverage, 8.0)
    assert (outline.holes if inverted else outline.islands)[60, 110]
    assert (outline.phi[60, 110] > 0) != inverted
    reference = microscope.render(outline)
    for seen, differing in ((image, False), (blank, True)):
        limited = limit(seen, reference, outline, microscope, forgiven=6.0)
        assert differs(seen, limited, outline, microscope, 6.0)[60, 110] == differing


def test_the_limit_follows_the_outline_and_the_noise() -> None:
    # 1.5 places by noise on a million pixels; on more outline there are more by edges
    scores = [least_design_score(1.5, 1e6, outline) for outline in (0, 1e3, 2e4, 1e5, 1e6)]
    assert scores == sorted(scores) and scores[0] == scores[1] < scores[2] < scores[3] < scores[4]
    assert 4 < scores[0] < 5
    assert least_design_score(0.1, 1e6, 2e4) > scores[2] > least_design_score(10, 1e6, 2e4)
    assert least_design_score(100, 10, 10) >= 0


def _seen(name: str) -> tuple[Inspection, dict[str, list[tuple[float, float]]]]:
    found = Inspector(network=None).inspect_design(REAL / f"{name}_sem.png", open_design(REAL / f"{name}_design.png"))
    seen: dict[str, list[tuple[float, float]]] = {}
    for number, place in enumerate(found.places):
        seen.setdefault(place.label, []).append(_middle_of(found, number))
    return found, seen


def _match(found: list[tuple[float, float]], expected: list[tuple[float, float]]) -> bool:
    """Whether all that is expected, and nothing else, was found within 25 pixels."""
    distances = np.hypot(*(np.array(found)[:, None] - np.array(expected)[None]).transpose(2, 0, 1))
    return bool((distances.min(axis=0) < 25).all() and (distances.min(axis=1) < 25).all())


@pytest.mark.slow
@pytest.mark.skipif(not REAL.is_dir(), reason="needs the real pairs beside the repository")
def test_real_pair() -> None:
    """What was seen by eye, in the image's pixels; docs/results/inspection.md has all four pairs."""
    _, seen = _seen("0p05_1")
    assert {label: len(places) for label, places in seen.items()} == {"missing": 1, "particle": 1}
    assert _match(seen["missing"], [(1038, 689)]) and _match(seen["particle"], [(971, 666)])


@pytest.mark.slow
@pytest.mark.skipif(not REAL.is_dir(), reason="needs the real pairs beside the repository")
def test_real_pairs() -> None:
    assert _seen("0p03_1")[0].decision == "good"
    found, seen = _seen("0p08_1")
    assert _match(seen["missing"], [(699, 288), (1546, 559), (1671, 346)])
    assert _match(seen["closed"], [(926, 151)])
    assert _match(seen["particle"], [(1008, 1152), (845, 297)])
    assert found.edges is not None and found.edges.displacements.mean < 0
