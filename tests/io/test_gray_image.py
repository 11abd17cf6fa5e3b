"""A file is decoded once, and comes with what it says of itself."""

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from conftest import with_bar
from PIL import Image

from sem_lightning.io import gray_image
from sem_lightning.io.gray_image import decode_image, open_image
from sem_lightning.io.images import ImageError, Span, encode_image, read_gray, read_oriented
from sem_lightning.io.limits import CannotDecodeError, TooLargeError

GREY = np.random.default_rng(0).normal(120, 20, (240, 280)).clip(0, 255).astype(np.uint8)


def test_an_image_comes_with_its_path_and_pixel_size(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(encode_image(GREY, ".tif", 0.8))
    found = open_image(tmp_path / "a.tif")
    assert found.pixels.dtype == np.float32 and np.array_equal(found.pixels, read_gray(tmp_path / "a.tif"))
    assert found.path == tmp_path / "a.tif" and found.pixel_size == pytest.approx(0.8) and found.data_bar_rows == 0
    cv2.imwrite(str(tmp_path / "a.png"), GREY)
    assert open_image(tmp_path / "a.png").pixel_size is None


@pytest.mark.parametrize("suffix", [".tif", ".png", ".jpg", ".bmp"])
def test_from_memory_it_is_the_same(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    bar = (with_bar(GREY, 40, 0, None) * 255 + 0.5).astype(np.uint8)
    if suffix == ".tif":
        path.write_bytes(encode_image(bar, ".tif", 0.8))
    elif suffix == ".png":
        Image.fromarray(bar).save(path, dpi=(2.54e7 / 2.0, 2.54e7 / 2.0))  # 2 nm
    else:
        cv2.imwrite(str(path), bar)
    for crop in (True, False):
        found, expected = decode_image(path.read_bytes(), crop), open_image(path, crop)
        assert np.array_equal(found.pixels, expected.pixels) and found.data_bar_rows == expected.data_bar_rows
        assert found.pixel_size == expected.pixel_size and found.path is None
    assert (found.pixel_size is not None) == (suffix in (".tif", ".png"))
    with pytest.raises(TooLargeError, match="280 x 280 pixels, more than 78399 in all"):
        decode_image(path.read_bytes(), most_pixels=280 * 280 - 1)
    decode_image(path.read_bytes(), most_pixels=280 * 280)
    with pytest.raises(CannotDecodeError, match=r"^(?!.*a\.)"):  # no file is named
        decode_image(path.read_bytes()[:-60])


def test_a_data_bar_is_cut_off_where_it_is_asked_for(tmp_path: Path) -> None:
    whole = (with_bar(GREY, 40, 0, None) * 255 + 0.5).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "bar.png"), whole)
    cut, kept = open_image(tmp_path / "bar.png"), open_image(tmp_path / "bar.png", crop_data_bar=False)
    assert cut.data_bar_rows == 40 and cut.pixels.shape == (240, 280)
    assert np.array_equal(cut.pixels * 255, GREY)
    assert kept.data_bar_rows == 0 and kept.pixels.shape == (280, 280)


def test_an_image_inside_another_file(tmp_path: Path) -> None:
    """Such a file has no tags of its own that would be the image's."""
    inside = encode_image(GREY, ".tif", 0.8)
    (tmp_path / "shard.tar").write_bytes(bytes(512) + inside + bytes(100))
    found = open_image(tmp_path / "shard.tar", span=(512, len(inside)))
    assert np.array_equal(found.pixels * 255, GREY) and found.pixel_size is None
    with pytest.raises(ImageError, match=r"shard\.tar: shorter than the image listed at byte 512"):
        open_image(tmp_path / "shard.tar", span=(512, len(inside) + 101))


def test_a_file_is_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), GREY)
    files: list[Path] = []

    def read(path: Path, span: Span | None = None) -> tuple[npt.NDArray[np.float32], int]:
        files.append(path)
        return read_oriented(path, span)

    monkeypatch.setattr(gray_image, "read_oriented", read)
    open_image(tmp_path / "a.png")
    assert files == [tmp_path / "a.png"]


def test_what_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no image")
    with pytest.raises(ImageError, match=r"a\.png: not a readable image"):
        open_image(tmp_path / "a.png")
