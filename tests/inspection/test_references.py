"""Which reference belongs to which image, for every way to say it."""

import string
import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sem_lightning.errors import SettingError, UserError
from sem_lightning.inspection.references import NO_REFERENCE, InspectionPair, find_pairs
from sem_lightning.io.images import ImageError

Write = Callable[..., None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write files in the current folder; each has other bytes, as find_pairs reads no more than that."""
    monkeypatch.chdir(tmp_path)

    def write_files(*names: str) -> None:
        for name in names:
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_text(name)

    return write_files


def paired(images: str, reference: str | None = None) -> dict[str, object]:
    """References by image, or its fault."""
    return {pair.image.as_posix(): told(pair) for pair in find_pairs(images, reference)}


def told(pair: InspectionPair) -> object:
    if pair.fault is not None:
        return pair.fault
    return pair.references if isinstance(pair.references, str) else [path.as_posix() for path in pair.references]


def test_a_folder_with_the_same_names(write: Write) -> None:
    write(
        "a/1.tif",
        "a/lot/2.tif",
        "a/3.tif",
        "a/4.tif",
        "b/1.tif",
        "b/lot/2.tif",
        "b/2.tif",
        "b/3.PNG",
        "b/4.jpg",
        "b/4.png",
    )
    assert paired("a", "b") == {
        "a/1.tif": ["b/1.tif"],
        "a/3.tif": ["b/3.PNG"],
        "a/4.tif": NO_REFERENCE,  # which of the two is meant?
        "a/lot/2.tif": ["b/lot/2.tif"],
    }
    (several,) = [pair for pair in find_pairs("a", "b") if pair.fault]
    assert several.detail == "b has 4.jpg and 4.png, expected one of them"
    assert paired("a/lot", "b") == {"a/lot/2.tif": ["b/2.tif"]}
    assert paired("a/*/*.tif", "b") == {"a/lot/2.tif": ["b/lot/2.tif"]}
    assert paired("a/1.tif", "b") == {"a/1.tif": ["b/1.tif"]}


def test_a_list_of_images_keeps_its_folders(write: Write) -> None:
    write("lot/1.tif", "b/lot/1.tif")
    Path("list.txt").write_text("lot/1.tif\n")
    assert paired("list.txt", "b") == {"lot/1.tif": ["b/lot/1.tif"]}


def test_the_folder_of_references_may_lie_within_or_above_that_of_the_images(write: Write) -> None:
    write("a/1.tif", "a/2.tif", "a/golden/1.tif", "a/golden/2.tif", "1.tif")
    said: list[str] = []
    pairs = find_pairs("a", "a/golden", say=said.append)
    assert [told(pair) for pair in pairs] == [["a/golden/1.tif"], ["a/golden/2.tif"]]
    assert said == ["2 of 4 images are references and are not inspected"]
    assert paired("a/*.tif", ".") == {"a/1.tif": ["1.tif"], "a/2.tif": NO_REFERENCE}


def test_a_pattern_beside_the_image(write: Write) -> None:
    write("a/1.tif", "a/1_ref.tif", "a/lot/2.tif", "a/lot/2_ref.tif", "a/3.tif")
    said: list[str] = []
    pairs = find_pairs("a", "{name}_ref.tif", say=said.append)
    assert {pair.image.as_posix(): told(pair) for pair in pairs} == {
        "a/1.tif": ["a/1_ref.tif"],
        "a/3.tif": NO_REFERENCE,
        "a/lot/2.tif": ["a/lot/2_ref.tif"],
    }
    assert said == ["2 of 5 images are references and are not inspected"]
    assert [pair.detail for pair in pairs if pair.fault] == ["a/3_ref.tif does not exist"]


def test_a_pattern_with_a_folder_starts_where_the_command_runs(write: Write) -> None:
    write("a/1.tif", "golden/1.png", "a/2.tif")
    assert paired("a", "golden/{name}.png") == {"a/1.tif": ["golden/1.png"], "a/2.tif": NO_REFERENCE}
    assert paired("a/1.tif", "./golden/{name}.png") == {"a/1.tif": ["golden/1.png"]}


def test_words_stand_for_the_same_text_in_both(write: Write) -> None:
    write("s/case1_inspected.tif", "s/case1_reference.tif", "s/case2_inspected.tif", "s/case2_reference.tif", "s/x.tif")
    expected = {f"s/case{n}_inspected.tif": [f"s/case{n}_reference.tif"] for n in (1, 2)}
    assert paired("s/{name}_inspected.tif", "s/{name}_reference.tif") == expected
    assert paired("./s/{case}_inspected.tif", "{case}_reference.tif") == expected
    assert paired("s/case{number}_ins*.t?f", "s/case{number}_reference.tif") == expected
    assert paired("{folder}/{n}_inspected.tif", "{folder}/{n}_reference.tif") == expected
    write("lots/7/a.tif", "gold/a/7.tif", "lots/[8]/a/7.tif", "lots/7/7.tif")
    assert paired("lots/{lot}/{die}.tif", "gold/{die}/{lot}.tif")["lots/7/a.tif"] == ["gold/a/7.tif"]
    assert paired("lots/[8]/{die}/{n}.tif", "gold/{die}/{n}.tif") == {"lots/[8]/a/7.tif": ["gold/a/7.tif"]}
    write("s/x[1]_a.tif", "s/x1_a.tif", "gold/a.tif")
    assert paired("s/x[1]_{n}.tif", "gold/{n}.tif") == {"s/x[1]_a.tif": ["gold/a.tif"]}
    assert paired("lots/{n}/{n}.tif", "gold/a/{n}.tif") == {"lots/7/7.tif": ["gold/a/7.tif"]}


def test_several_references_of_an_image(write: Write) -> None:
    write("a/1.tif", "a/1_ref1.tif", "a/1_ref2.tif", "a/1_ref.txt", "a/2.tif", "a/2_ref1.tif")
    assert paired("a", "{name}_ref*.tif") == {"a/1.tif": ["a/1_ref1.tif", "a/1_ref2.tif"], "a/2.tif": ["a/2_ref1.tif"]}
    assert paired("a/[12].tif", "{name}*") == {"a/1.tif": ["a/1_ref1.tif", "a/1_ref2.tif"], "a/2.tif": ["a/2_ref1.tif"]}
    assert paired("a/1.tif", "a/2*.tif") == {"a/1.tif": ["a/2.tif", "a/2_ref1.tif"]}


def test_one_image_for_all(write: Write, tmp_path: Path) -> None:
    write("a/1.tif", "a/2.tif")
    cv2.imwrite("golden.png", np.eye(40, dtype=np.uint8))
    assert paired("a", "golden.png") == {"a/1.tif": ["golden.png"], "a/2.tif": ["golden.png"]}
    Path("golden.png").rename("a/golden.png")
    assert paired("a", "a/golden.png") == {"a/1.tif": ["a/golden.png"], "a/2.tif": ["a/golden.png"]}
    with pytest.raises(ImageError, match=r"a/1.tif: not a readable image"):
        find_pairs("a", "a/1.tif")


def test_no_second_image(write: Write) -> None:
    write("a/1.tif", "a/2.tif")
    assert paired("a", "self") == {"a/1.tif": "self", "a/2.tif": "self"}


@pytest.mark.parametrize(
    "text",
    [
        "image,reference\na/1.tif,b/1.tif\na/2.tif,b/2.tif\na/2.tif,b/3.tif\na/2.tif,b/3.tif\na/3.tif,\n",
        "sep=;\nGolden; Inspected\nb/1.tif; a/1.tif\nb/2.tif;a/2.tif\nb/3.tif;a/2.tif\n;a/3.tif\n",
        "\ufeffref\tfile\r\nb\\1.tif\ta\\1.tif\r\nb/2.tif\ta/2.tif\r\n\r\nb/3.tif\ta/2.tif\r\n\ta/3.tif\r\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_list(text: str, encoding: str, write: Write) -> None:
    write("a/1.tif", "a/2.tif", "a/3.tif", "a/4.tif", "b/1.tif", "b/2.tif", "b/3.tif")
    Path("pairs.csv").write_bytes(text.removeprefix("\ufeff" if encoding == "utf-16" else "").encode(encoding))
    expected = {"a/1.tif": ["b/1.tif"], "a/2.tif": ["b/2.tif", "b/3.tif"], "a/3.tif": NO_REFERENCE}
    assert paired("pairs.csv") == expected
    assert paired("a", "pairs.csv") == {**expected, "a/4.tif": NO_REFERENCE}
    with pytest.raises(
        SettingError, match=r"^reference: found 'b', expected none, because images=pairs.csv lists them"
    ):
        find_pairs("pairs.csv", "b")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n", "pairs.csv: found the columns a, b; expected image,reference in the first line"),
        ("image,reference\n,b.tif\n", "pairs.csv, line 2: the image is empty"),
        ("image,reference\n", "pairs.csv: lists no images"),
        ("image,reference\na,b,c\n", "pairs.csv, line 2: found 3 cells, expected 2"),
        ("image,reference\nno.tif,neither.tif\n", "reference: pairs.csv has none for the image"),
    ],
)
def test_a_list_that_cannot_be_used(text: str, said: str, write: Write) -> None:
    Path("pairs.csv").write_text(text)
    with pytest.raises(UserError) as error:
        find_pairs("pairs.csv", None)
    assert said in str(error.value)


def test_a_list_is_inspected_as_it_is(write: Write) -> None:
    write("1.tif", "2.tif")
    Path("pairs.csv").write_text("image,reference\n1.tif,2.tif\n2.tif,1.tif\n")
    assert paired("pairs.csv") == {"1.tif": ["2.tif"], "2.tif": ["1.tif"]}


def test_an_image_that_is_its_own_reference_stays(write: Write) -> None:
    """The comparison names it by its pixels, whether it is the same file, a link or a copy."""
    write("a/1.tif", "a/2.tif", "b/1.tif")
    Path("b/2.tif").symlink_to(Path("a/2.tif").resolve())
    assert paired("a", "b") == {"a/1.tif": ["b/1.tif"], "a/2.tif": ["b/2.tif"]}
    assert paired("a", "{name}.tif") == {"a/1.tif": ["a/1.tif"], "a/2.tif": ["a/2.tif"]}


def test_a_reference_of_a_list_that_is_missing(write: Write) -> None:
    write("1.tif", "2.tif")
    Path("pairs.csv").write_text("image,reference\n1.tif,2.tif\n2.tif,1.tif\n2.tif,3.tif\nno.tif,1.tif\n")
    pairs = find_pairs("pairs.csv", None)
    assert [told(pair) for pair in pairs] == [["2.tif"], NO_REFERENCE, ["1.tif"]]  # reading names no.tif
    assert pairs[1].detail == "3.tif does not exist" and pairs[1].references == ()


@pytest.mark.parametrize(
    ("images", "reference", "said"),
    [
        ("a", None, "reference: needs a value: add reference=... to the command: a folder"),
        ("a", "", "reference: needs a value"),
        ("nowhere", "b", "images: found no images at nowhere"),
        ("x/{name}.tif", "b", "images: found no images at x/"),
        ("a", "nowhere.tif", "reference: found no file or folder nowhere.tif; expected one, a pattern"),
        ("a", "{case}_ref.tif", "reference: {case} stands for nothing; expected {name}"),
        ("a", "{name}_nothing.tif", "reference: {name}_nothing.tif has none for any of 2 images; for a/1.tif"),
        ("a/1.tif", "empty", "reference: empty has none for the image; for a/1.tif: empty/1.tif does not exist"),
        ("a", "a", "is the folder of the images"),
        ("a/*.tif", "a", "is the folder of the images"),
        ("a", "*.tif", "reference: *.tif makes every image the reference of another; none is left"),
    ],
)
def test_what_cannot_be_paired_at_all(images: str, reference: str | None, said: str, write: Write) -> None:
    write("a/1.tif", "a/2.tif", "b/1.tif", "empty/note.txt")
    with pytest.raises(SettingError) as error:
        find_pairs(images, reference)
    assert said in str(error.value) and "\n" not in str(error.value)


# Names as people and instruments give them, with everything that globs, patterns and formulas have a meaning for.
stems = st.text(string.ascii_lowercase + "01 .,=[]{}*!-+()'äΩ", min_size=1, max_size=8).filter(
    lambda stem: stem.strip(" .") == stem and not stem.endswith("_ref")
)


@settings(max_examples=40, deadline=None)
@given(st.lists(stems, min_size=1, max_size=4, unique=True))
def test_any_name_finds_its_own_reference(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        for folder in ("a", "b", "beside"):
            (root / folder).mkdir()
        for name in names:
            (root / "a" / f"{name}.tif").write_text(f"a{name}")
            (root / "b" / f"{name}.tif").write_text(f"b{name}")
            (root / "beside" / f"{name}.tif").write_text(f"c{name}")
            (root / "beside" / f"{name}_ref.tif").write_text(f"d{name}")
        expected = {f"{name}.tif": (root / "b" / f"{name}.tif",) for name in names}
        found = find_pairs(str(root / "a"), str(root / "b"))
        assert {pair.image.name: pair.references for pair in found} == expected
        for images in (str(root / "a" / "{stem}.tif"), str(root / "{folder}" / "{stem}.tif")):
            pairs = find_pairs(images.replace("{folder}", "a"), str(root / "b" / "{stem}.tif"))
            assert {pair.image.name: pair.references for pair in pairs} == expected
        beside = {f"{name}.tif": (root / "beside" / f"{name}_ref.tif",) for name in names}
        for pattern in ("{name}_ref.tif", "{name}_re[f].tif", "{name}_ref.t*"):
            pairs = find_pairs(str(root / "beside"), pattern)
            assert {pair.image.name: pair.references for pair in pairs} == beside
