"""Pages of a TIFF, and images in files of other kinds."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sem_lightning.io.gray_image import ImagePage
from sem_lightning.io.images import ImageError, encode_image

IMAGES = [np.full((40, 50 + number), 20 * number, np.uint8) for number in range(5)]


def write_pages(path: Path) -> None:
    with tifffile.TiffWriter(path) as writer:
        for number, image in enumerate(IMAGES):
            writer.write(image, compression="jpeg" if number == 3 else None, contiguous=False)


def test_each_page_is_read_alone(tmp_path: Path) -> None:
    write_pages(tmp_path / "a.tif")
    for number, image in enumerate(IMAGES):
        found = ImagePage(tmp_path / "a.tif", number).open(crop_data_bar=False)
        assert found.path == tmp_path / "a.tif"
        assert np.abs(found.pixels * 255 - image).max() < 2 and found.pixels.shape == image.shape


@pytest.mark.parametrize(("number", "message"), [(5, "has no page 6, only 5"), (-1, "has no page 0, expected 1 to"),
                                                 (10**9, "has no page 1000000001, expected 1 to 100000")])  # fmt: skip
def test_a_page_that_is_not_there(tmp_path: Path, number: int, message: str) -> None:
    write_pages(tmp_path / "a.tif")
    with pytest.raises(ImageError, match=f"a.tif: {message}"):
        ImagePage(tmp_path / "a.tif", number).open()


def test_a_file_of_another_kind_has_one_image(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encode_image(IMAGES[4], ".png", 1.0))
    assert ImagePage(tmp_path / "a.png", 38).open(crop_data_bar=False).pixels.shape == IMAGES[4].shape
    for name in ("none.tif", "."):
        with pytest.raises(ImageError, match=r"No such file|Is a directory"):
            ImagePage(tmp_path / name, 0).open()


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1), put=st.binary(min_size=1, max_size=8), number=st.integers(0, 5))
def test_a_damaged_file_gives_an_image_or_a_line(tmp_path: Path, place: float, put: bytes, number: int) -> None:
    path = tmp_path / "a.tif"
    write_pages(path)
    data = bytearray(path.read_bytes())
    at = round(place * (len(data) - len(put)))
    data[at : at + len(put)] = put
    path.write_bytes(data)
    try:
        assert ImagePage(path, number).open().pixels.dtype == np.float32
    except ImageError as error:
        assert "\n" not in str(error)
