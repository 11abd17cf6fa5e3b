"""Data bars, pixel sizes, tiles: what reaches the classifier is the image, at its scale."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import make_simulator, with_bar
from hypothesis import given, settings
from hypothesis import strategies as st

from sem_lightning.inference.inversion import Inversion
from sem_lightning.inference.preprocessing import PreparedImage, Preprocessing
from sem_lightning.inference.tiling import MAP_STRIDE, Stitcher, Tiling
from sem_lightning.io.data_bar import find_data_bar
from sem_lightning.io.gray_image import open_image
from sem_lightning.io.images import encode_image, read_gray
from sem_lightning.io.pixel_size import read_pixel_size
from sem_lightning.synthesis.simulator import render

REAL = Path(__file__).parents[3] / "shared" / "real_sem"


@pytest.mark.parametrize("noise", ["none", "typical", "high"])
@pytest.mark.parametrize(("ground", "quality"), [(0, None), (255, None), (30, None), (0, 85)])
def test_a_data_bar_is_found_to_the_row(noise: str, ground: int, quality: int | None) -> None:
    simulator = make_simulator(f"noise={noise}", "imaging.image_size=512", "pattern=any_line_space")
    for index in range(4):
        image = np.asarray(render(simulator.draw(0, 0, index, "good")).image)
        rows = (28, 44, 60, 36)[index]
        found = find_data_bar(with_bar(image, rows, ground, quality))
        assert abs(found - rows) <= (2 if quality else 0), (index, found, rows)


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("noise=none", "imaging=ideal"),
        ("noise=none", "imaging=ideal", "pattern=routing"),
        ("noise=none", "imaging=ideal", "pattern.angle=90"),
        ("noise=high", "pattern=routing"),
        ("noise=none", "pattern=contact_hole", "defect=contact_hole"),
    ],
)
def test_no_bar_is_found_where_there_is_none(overrides: tuple[str, ...]) -> None:
    simulator = make_simulator("imaging.image_size=256", *overrides)
    for index in range(30):
        assert (
            find_data_bar(np.asarray(render(simulator.draw(0, 0, index, "good")).image, np.float32) / np.float32(255))
            == 0
        )


@pytest.mark.parametrize("top", range(2, 24, 6))
def test_a_defect_in_a_plain_line_along_the_bottom_is_no_writing(top: int) -> None:
    image = np.full((256, 256), 60, np.uint8)
    for line in range(top, 256, 32):
        image[line : line + 16] = 160
    image[-26:, 100:106] = 110  # a bridge
    image[-40:-20, 200:206] = 110
    assert find_data_bar(image.astype(np.float32) / np.float32(255)) == 0


def test_bars_of_dim_images_and_with_frames_are_found() -> None:
    image = np.asarray(render(make_simulator("imaging.image_size=512").draw(0, 0, 3, "good")).image)
    whole = with_bar(image, 40, 0, None)
    assert find_data_bar(whole / np.float32(16)) == 40  # 12 bits in a file of 16
    framed = whole.copy()
    framed[-3:] = 0.5
    framed[512:516] = 0.5
    assert find_data_bar(framed) in (36, 40)


@pytest.mark.skipif(not REAL.is_dir(), reason="the real images are not here")
def test_no_bar_is_found_in_the_real_images() -> None:
    assert [find_data_bar(read_gray(path)) for path in sorted(REAL.glob("*.tif"))] == [0] * 6


def test_our_own_tiffs_say_their_pixel_size(tmp_path: Path) -> None:
    (tmp_path / "own.tif").write_bytes(encode_image(np.zeros((32, 32), np.uint8), ".tif", 0.8))
    assert read_pixel_size(tmp_path / "own.tif") == pytest.approx(0.8)


@settings(max_examples=60, deadline=None)
@given(height=st.integers(1, 400), width=st.integers(1, 400), overlap=st.floats(0, 0.9))
def test_tiles_cover_every_pixel(height: int, width: int, overlap: float) -> None:
    tiling = Tiling.plan(height, width, 64, overlap)
    image = np.arange(height * width, dtype=np.float32).reshape(height, width)
    seen = np.zeros((height, width), bool)
    for number in range(len(tiling)):
        top, left = tiling.place(number)
        tile = tiling.cut(image, number)
        assert tile.shape == (64, 64)
        part = image[top : top + 64, left : left + 64]
        assert np.array_equal(tile[: part.shape[0], : part.shape[1]], part)
        seen[top : top + 64, left : left + 64] = True
    assert seen.all()
    for starts in (tiling.tops, tiling.lefts):
        if len(starts) > 1:
            assert max(np.diff(starts)) <= max(64 * (1 - overlap), MAP_STRIDE)


@settings(max_examples=30, deadline=None)
@given(height=st.integers(20, 300), width=st.integers(20, 300), seed=st.integers(0, 99))
def test_a_stitched_map_is_the_map_of_the_whole(height: int, width: int, seed: int) -> None:
    tiling = Tiling.plan(height, width, 64, 0.25)
    y, x = np.mgrid[0 : height + 64, 0 : width + 64].astype(np.float32)
    smooth = np.sin(x / 70 + seed) + np.cos(y / 90)
    stitcher = Stitcher(tiling, 1)
    for number in range(len(tiling)):
        top, left = tiling.place(number)
        tile = smooth[top : top + 64, left : left + 64]
        stitcher.add(number, cv2.resize(tile, (8, 8), interpolation=cv2.INTER_AREA)[None])
    stitched = stitcher.finish()[0]
    assert stitched.shape == (-(-height // MAP_STRIDE), -(-width // MAP_STRIDE))
    centres = smooth[MAP_STRIDE // 2 : height : MAP_STRIDE, MAP_STRIDE // 2 : width : MAP_STRIDE]
    assert np.abs(stitched[: centres.shape[0], : centres.shape[1]] - centres).max() < 0.05


def prepare(path: Path, how: Preprocessing) -> PreparedImage:
    return how.prepare(open_image(path, how.crop_data_bar))


def test_an_image_is_rescaled_to_the_pixels_of_training(tmp_path: Path) -> None:
    fine = np.zeros((200, 300), np.uint8)
    fine[:, ::8] = 255
    (tmp_path / "fine.tif").write_bytes(encode_image(fine, ".tif", 0.5))
    cv2.imwrite(str(tmp_path / "unknown.png"), fine)
    how = Preprocessing(64, trained_pixel_size=1.0)
    scaled = prepare(tmp_path / "fine.tif", how)
    assert scaled.image.shape == (100, 150) and scaled.shape == (200, 300) and scaled.pixel_size == pytest.approx(0.5)
    assert len(scaled.tiling) == 2 * 3
    assert prepare(tmp_path / "unknown.png", how).image.shape == (52, 78)
    told = Preprocessing(64, trained_pixel_size=1.0, pixel_size=0.5)
    assert prepare(tmp_path / "unknown.png", told).image.shape == (100, 150)
    whole = Preprocessing(64, trained_pixel_size=1.0, tiling="off")
    assert prepare(tmp_path / "fine.tif", whole).image.shape == (52, 78)
    kept = prepare(tmp_path / "unknown.png", Preprocessing(64, trained_pixel_size=1.0, tiling="on"))
    assert kept.image.shape == (200, 300)
    inverted = prepare(tmp_path / "unknown.png", Preprocessing(64, None, tiling="on", inversion=Inversion.INVERTED))
    assert inverted.image + kept.image == pytest.approx(np.ones_like(kept.image))
    assert inverted.inverted and not kept.inverted
