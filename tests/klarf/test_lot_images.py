"""Names of images in a KLARF file: which are judged, and that none leads out of its folder."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_up_lots import Made, Style, write_flat, write_nested

from sem_lightning.io.images import ImageError
from sem_lightning.klarf.document import DefectImage
from sem_lightning.klarf.image_files import LotImages
from sem_lightning.klarf.read import parse_klarf


def lot_in(folder: Path, images: tuple[tuple[str, int, str], ...] = (("a.tif", 1, "0"),)) -> LotImages:
    return LotImages(parse_klarf(write_flat([Made(1, images=images)]), folder / "lot.klarf"))


@pytest.mark.parametrize("name", ["a.png", "sub/a.png", "sub\\a.png", "./a.png", "sub/../a.png", "..a.png"])
def test_names_within_the_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "sub").mkdir()
    found = lot_in(tmp_path).locate(DefectImage(name, 1, None))
    assert found.path.resolve().is_relative_to(tmp_path.resolve()) and found.number == 0


@pytest.mark.parametrize(
    "name",
    ["/", "C:\\", "C:\\x\\..", "/lots/link.png", "../a.png", "sub/../../a.png", "..\\a.png",
     "link.png", "out/a.png", "a\0.png", "a\x1b[2J.png", ".", ""],
)  # fmt: skip
def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "lot"
    folder.mkdir()
    (tmp_path / "a.png").touch()
    (folder / "link.png").symlink_to(tmp_path / "a.png")
    (folder / "out").symlink_to(tmp_path)
    with pytest.raises(ImageError) as error:
        lot_in(folder).locate(DefectImage(name, 1, None))
    assert "is refused" in str(error.value) or "names no file" in str(error.value)


ABSOLUTE = ["/lots/a.png", "\\\\server\\share\\a.png", "C:\\images\\my lot\\a.png", "D:/lots/a.png", "c:a.png"]


@pytest.mark.parametrize("name", ABSOLUTE)
def test_the_last_part_of_an_absolute_name_counts(tmp_path: Path, name: str) -> None:
    images = lot_in(tmp_path, ((name, 1, "0"), (name, 2, "0")))
    assert images.locate(DefectImage(name, 2, None)).path == tmp_path / "a.png"
    assert [f"absolute names of images: 1, such as {name}; " in line for line in images.remarks()] == [True]
    assert lot_in(tmp_path).remarks() == []


@pytest.mark.parametrize("other", ["D:\\lots\\2\\A.png", "a.png", "/lots/1/a.png"])
def test_absolute_names_that_differ_only_in_their_folders_are_refused(tmp_path: Path, other: str) -> None:
    one = "D:\\lots\\1\\a.png"
    made = [Made(1, images=((one, 1, "0"),)), Made(2, images=((other, 1, "0"),))]
    images = LotImages(parse_klarf(write_flat(made), tmp_path / "lot.klarf"))
    with pytest.raises(ImageError, match="from several folders"):
        images.locate(DefectImage(one, 1, None))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.text(max_size=40) | st.lists(st.sampled_from(["..", ".", "/", "\\", "a", "C:", "~", "\0"])).map("".join))
def test_no_name_leads_out(tmp_path: Path, name: str) -> None:
    try:
        found = lot_in(tmp_path).locate(DefectImage(name, 1, None))
    except ImageError as error:
        assert str(error)
        return
    assert Path(os.path.realpath(found.path)).is_relative_to(os.path.realpath(tmp_path))


def test_another_folder_of_images(tmp_path: Path) -> None:
    lot = parse_klarf(write_flat([Made(1)]), tmp_path / "lot.klarf")
    images = LotImages(lot, tmp_path / "images")
    assert images.locate(DefectImage("a.tif", 2, None)).path == tmp_path / "images" / "a.tif"


def test_pages_count_from_one_unless_the_lot_has_a_page_zero(tmp_path: Path) -> None:
    assert lot_in(tmp_path).locate(DefectImage("a.tif", 3, None)).number == 2
    images = lot_in(tmp_path, (("a.tif", 0, "0"), ("a.tif", 1, "0")))
    assert images.locate(DefectImage("a.tif", 3, None)).number == 3
    assert images.locate(DefectImage("b.tif", 3, None)).number == 2


def test_references_are_told_from_images() -> None:
    made = [Made(1, images=(("a.tif", 1, "Patch"), ("a.tif", 2, "Reference"), ("a.tif", 3, "Topo")))]
    lot = parse_klarf(write_nested(made))
    shown = lot.defects[0].images
    numbers = [
        ([each.number for each in images.judged(shown)], [each.number for each in images.references(shown)])
        for images in (LotImages(lot), LotImages(lot, None, ["patch"]), LotImages(lot, None, None, ["TOPO"]))
    ]
    assert numbers == [([1, 3], [2]), ([1], [2]), ([1, 2], [3])]
    flat = parse_klarf(write_flat([Made(1, images=(("a.tif", 1, "0"), ("a.tif", 2, "1")))], Style()))
    assert [each.number for each in LotImages(flat).judged(flat.defects[0].images)] == [1, 2]
    assert [each.number for each in LotImages(flat, None, None, ["1"]).judged(flat.defects[0].images)] == [1]
