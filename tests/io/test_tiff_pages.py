"""Pages of a TIFF by their number: the right one, without a walk through the file for each."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import tifffile

from sem_lightning.io import tiff
from sem_lightning.io.images import ImageError, read_page

PAGES = 30


def write_pages(path: Path, first: int, **options: bool | str) -> None:
    with tifffile.TiffWriter(path, **options) as writer:  # type: ignore[arg-type]
        for number in range(PAGES):
            writer.write(np.full((8, 9), first + number, np.uint8), contiguous=False)


def brightness(path: Path, number: int) -> npt.NDArray[np.float32]:
    return np.unique(np.round(255 * read_page(path, number)[0]))


@pytest.mark.parametrize("options", [{}, {"bigtiff": True}, {"byteorder": ">"}, {"byteorder": ">", "bigtiff": True}])
def test_each_page_is_found_in_any_order_and_the_file_is_walked_once(
    tmp_path: Path, options: dict[str, bool | str], monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[int] = []
    follow = tiff._following_page

    def count(file: tifffile.TiffFile, offset: int) -> int:
        steps.append(offset)
        return follow(file, offset)

    monkeypatch.setattr(tiff, "_following_page", count)
    path = tmp_path / "a.tif"
    write_pages(path, 40, **options)
    for number in [7, 0, PAGES - 1, 3, *range(PAGES)]:
        assert brightness(path, number) == [40 + number]
    assert len(steps) == PAGES - 1
    with pytest.raises(ImageError, match=rf"has no page {PAGES + 1}, only {PAGES}$"):
        read_page(path, PAGES)
    write_pages(path, 90, **options)
    assert brightness(path, 5) == [95]


def test_a_file_whose_pages_form_a_loop_has_only_those(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    write_pages(path, 0)
    with tifffile.TiffFile(path) as file:
        first, last = file.pages[0].offset, file.pages[PAGES - 1].aspage().offset
        place = last + file.tiff.tagnosize + len(file.pages[PAGES - 1].aspage().tags) * file.tiff.tagsize
    data = bytearray(path.read_bytes())
    data[place : place + 4] = first.to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(ImageError, match=f"has no page {PAGES + 5}, only {PAGES}"):
        read_page(path, PAGES + 4)
