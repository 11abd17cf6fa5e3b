"""Labelled folders: every format, and every way in which one can be broken."""

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import with_bar
from hypothesis import given
from hypothesis import strategies as st

from sem_lightning.data.folder_dataset import FolderDataset
from sem_lightning.data.folder_splits import check_complete, split_files
from sem_lightning.data.labelled_folder import read_folder
from sem_lightning.data.sources import FolderSource
from sem_lightning.errors import SettingError, UserError
from sem_lightning.io.dataset_format import MASK_UNKNOWN
from sem_lightning.io.images import MAX_ASPECT, ImageError, read_gray, resize_to, whole_shape

RAMP = np.tile(np.linspace(0, 255, 48).astype(np.uint8), (40, 1))
SHARES = {"train": 0.6, "val": 0.2, "test": 0.2, "calibration": 0.0}


def save(path: Path, image: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Ten images in each of two classes."""
    for label in ("gap", "good"):
        for i in range(10):
            save(tmp_path / label / f"{label}_{i}.png", np.roll(RAMP, i))
    return tmp_path


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif", ".tiff", ".jpeg"])
@pytest.mark.parametrize("colour", [False, True], ids=["grey", "rgb"])
def test_every_format_reads_as_the_same_brightness(tmp_path: Path, suffix: str, colour: bool) -> None:
    image = cv2.cvtColor(RAMP, cv2.COLOR_GRAY2BGR) if colour else RAMP
    found = read_gray(save(tmp_path / f"ramp{suffix}", image))
    assert found.dtype == np.float32 and found.shape == RAMP.shape
    assert np.abs(found - RAMP / 255).max() < (0.02 if "jp" in suffix else 1e-6)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("colour", [False, True], ids=["grey", "rgb"])
def test_16_bits_keep_their_depth(tmp_path: Path, suffix: str, colour: bool) -> None:
    deep = np.tile(np.arange(0, 65536, 1024, dtype=np.uint16) + 3, (32, 1))
    found = read_gray(save(tmp_path / f"deep{suffix}", cv2.cvtColor(deep, cv2.COLOR_GRAY2BGR) if colour else deep))
    assert np.abs(found - deep / 65535).max() < 2e-5


def test_names_with_other_letters(tmp_path: Path) -> None:
    path = tmp_path / "Línea, 線 'x'.png"
    path.write_bytes(cv2.imencode(".png", RAMP)[1].tobytes())
    assert read_gray(path).shape == RAMP.shape


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".bmp"])
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9])
def test_truncated_files_are_errors_never_images(tmp_path: Path, suffix: str, kept: float) -> None:
    noisy = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    path = save(tmp_path / f"cut{suffix}", noisy)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(ImageError, match="cut"):
        read_gray(path)


def test_floats_are_brightness_where_they_lie_in_0_to_1_and_else_stretched(tmp_path: Path) -> None:
    ramp = np.tile(np.linspace(0.2, 0.7, 60, dtype=np.float32), (40, 1))
    assert np.array_equal(read_gray(save(tmp_path / "as_is.tif", ramp)), ramp)
    stretched = read_gray(save(tmp_path / "counts.tif", 5000 * ramp - 100))
    assert stretched == pytest.approx((ramp - 0.2) / 0.5, abs=1e-5)
    assert (read_gray(save(tmp_path / "flat.tif", np.full((20, 20), 7.5, np.float32))) == 0).all()


@pytest.mark.parametrize("white", [255, 65535])
def test_floats_of_whole_numbers_are_the_integers_they_were_made_from(tmp_path: Path, white: int) -> None:
    numbers = np.round(np.tile(np.linspace(0.2, 0.7, 60), (40, 1)) * white)
    for kind in (np.float32, np.float64):
        assert read_gray(save(tmp_path / "a.tif", numbers.astype(kind))) == pytest.approx(numbers / white, abs=1e-6)


def test_resizing_keeps_the_whole_image() -> None:
    ramp = np.tile(np.linspace(0, 1, 300, dtype=np.float32), (200, 1))
    small = resize_to(ramp, whole_shape(200 / 300, 64))
    assert small.shape == (52, 78) and small.dtype == np.float32
    assert small.mean() == pytest.approx(ramp.mean(), abs=1e-3)
    assert small[0, 0] < 0.02 and small[0, -1] > 0.98


@given(st.floats(0.01, 100), st.integers(16, 2048))
def test_a_whole_image_keeps_its_pixels_and_its_aspect(aspect: float, size: int) -> None:
    height, width = whole_shape(aspect, size)
    assert height * width == pytest.approx(size * size, rel=2.5 / size + 1e-3)
    assert height / width == pytest.approx(min(max(aspect, 1 / MAX_ASPECT), MAX_ASPECT), rel=2.5 / size + 1e-3)
    assert whole_shape(1 / aspect, size) == (width, height)
    assert whole_shape(1.0, size) == (size, size)


def test_images_and_masks_of_one_shape_keep_it(tmp_path: Path) -> None:
    """A circle stays one, and lies where its mask says; a square image among wide ones is stretched to theirs."""
    for number, (height, width) in enumerate([(90, 160), (90, 160), (90, 90)]):
        image = np.zeros((height, width), np.uint8)
        cv2.circle(image, (45, 45), 30, 255, -1)
        for folder in ("gap", "masks/gap"):
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(tmp_path / folder / f"{number}.png"), image)
    (tmp_path / "good").mkdir()
    cv2.imwrite(str(tmp_path / "good" / "0.png"), np.zeros((90, 160), np.uint8))
    source = FolderSource(tmp_path, ["good", "gap"], SHARES, "error", True, 0, 60, None, None, needed=())
    dataset = source.dataset("all")
    items = [dataset[index] for index in range(4)]
    assert {tuple(item["image"].shape) for item in items} == {(1, 45, 80)}
    for item in items[:2]:
        rows, columns = (item["image"][0] > 0.5).nonzero().T
        assert np.ptp(rows.numpy()) == pytest.approx(np.ptp(columns.numpy()), abs=1)
        assert (item["mask"].bool() == (item["image"][0] > 0)).all()
    rows, columns = (items[2]["image"][0] > 0.5).nonzero().T
    assert np.ptp(columns.numpy()) > 1.5 * np.ptp(rows.numpy())


def test_class_folders(root: Path) -> None:
    files, classes = read_folder(root, None, "error")
    assert classes == ["good", "gap"] and len(files) == 20
    assert {file.label for file in files if file.path.parent.name == "gap"} == {"gap"}


def test_labels_csv_comes_before_folders(root: Path) -> None:
    with (root / "labels.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerows([["filename", "label"], ["gap/gap_0.png", "open"], ["good/good_1.png", "fine"]])
    files, classes = read_folder(root, None, "error")
    assert [(file.path.name, file.label) for file in files] == [("gap_0.png", "open"), ("good_1.png", "fine")]
    assert classes == ["fine", "open"]


def test_everything_bad_is_named_at_once(root: Path) -> None:
    (root / "gap" / "notes.txt").write_text("not an image")
    (root / "good" / "empty.png").touch()
    (root / "good" / ".hidden").touch()
    with pytest.raises(UserError) as error:
        read_folder(root, None, "error")
    message = str(error.value)
    assert "2 of 22 images" in message and "notes.txt" in message and "empty.png" in message
    assert "on_bad_image=skip" in message and "\n" not in message


def test_bad_images_can_be_skipped_with_a_counted_warning(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    (root / "gap" / "notes.txt").write_text("not an image")
    files, _ = read_folder(root, None, "skip")
    assert len(files) == 20
    assert "skipped: 1 of 21" in caplog.text and "notes.txt" in caplog.text


def test_missing_and_unknown_ones_in_the_list_are_named(root: Path) -> None:
    (root / "labels.csv").write_text("filename,label\ngood/good_0.png,good\nlost.png,gap\ngap/gap_1.png,gpa\n")
    with pytest.raises(UserError, match=r"lost\.png.*No such file.*unknown class 'gpa' \(classes: good, gap\)"):
        read_folder(root, ["good", "gap"], "error")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected filename,label"),
        ("file,klass\na.png,good\n", "expected filename,label"),
        ("filename,label\n", "holds no images"),
        ("filename,label\na.png,\n", "line 2: the label is empty"),
        ("filename,label\na.png,good\na.png,gap\n", r"listed more than once: a\.png"),
        ("filename,label,split\na.png,good,test\nb.png,gap,\n", r"some have none: b\.png"),
        ("filename,label,split\na.png,good,exam\n", "train, val, test, calibration"),
    ],
)
def test_broken_lists_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(UserError, match=message):
        read_folder(tmp_path, None, "error")


def test_no_folder_and_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"data\.root: .* is not a folder"):
        read_folder(tmp_path / "nowhere", None, "error")
    with pytest.raises(SettingError, match="holds no images"):
        read_folder(tmp_path, None, "error")


def test_random_splits_are_stratified_disjoint_and_repeatable(root: Path) -> None:
    files, classes = read_folder(root, None, "error")
    splits = split_files(files, classes, SHARES, seed=0)
    for split, count in (("train", 6), ("val", 2), ("test", 2), ("calibration", 0)):
        for label in classes:
            assert sum(file.label == label for file in splits[split]) == count
    paths = [file.path for chosen in splits.values() for file in chosen]
    assert len(set(paths)) == len(paths) == 20
    assert split_files(files, classes, SHARES, seed=0) == splits
    assert split_files(files, classes, SHARES, seed=1) != splits


def test_a_split_that_leaves_a_class_empty_is_refused(root: Path) -> None:
    files, classes = read_folder(root, None, "error")
    splits = split_files(files, classes, SHARES | {"val": 0.0}, seed=0)
    with pytest.raises(UserError, match=r"val split has no image of class good, gap .*good 10, gap 10"):
        check_complete(splits, ("train", "val", "test"), classes)


def test_masks_are_read_and_unknown_ones_marked(root: Path) -> None:
    mask = np.zeros_like(RAMP)
    mask[10:20, 10:20] = 255
    save(root / "masks" / "gap" / "gap_0.png", mask)
    files, classes = read_folder(root, None, "error")
    dataset = FolderDataset(root, files, classes, (32, 32))
    items = {file.path.stem: dataset[i] for i, file in enumerate(files)}
    assert set(items["gap_0"]["mask"].unique().tolist()) == {0, 1}
    assert items["gap_1"]["mask"].unique().tolist() == [MASK_UNKNOWN]
    assert items["good_0"]["mask"].unique().tolist() == [0]
    assert items["gap_0"]["image"].shape == (1, 32, 32) and items["gap_0"]["label"] == 1


def test_a_list_in_another_encoding_is_named(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes("filename,label\nä.png,good\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"labels\.csv: not a CSV file in UTF-8"):
        read_folder(tmp_path, None, "error")


def test_an_empty_class_is_named(root: Path) -> None:
    (root / "bridge").mkdir()
    files, classes = read_folder(root, None, "error")
    assert classes == ["good", "bridge", "gap"]
    with pytest.raises(UserError, match="no image of class bridge"):
        check_complete(split_files(files, classes, SHARES, 0), ("train",), classes)


@pytest.mark.parametrize("classes", [["gap", "good"], ["good", "gap", "gap"]])
def test_class_names_come_once_and_good_first(root: Path, classes: list[str]) -> None:
    with pytest.raises(SettingError, match=r"data\.classes: found .*good first"):
        read_folder(root, classes, "error")


def test_a_broken_mask_is_as_bad_as_a_broken_image(root: Path) -> None:
    save(root / "masks" / "gap" / "gap_3.png", RAMP).write_bytes(b"\x89PNG broken")
    with pytest.raises(UserError, match=r"masks/gap/gap_3\.png: the file is truncated"):
        read_folder(root, None, "error")


def test_trailing_bytes_do_not_make_an_image_truncated(tmp_path: Path) -> None:
    png, jpeg = save(tmp_path / "a.png", RAMP), save(tmp_path / "b.jpg", RAMP)
    png.write_bytes(png.read_bytes() + b"vendor notes" * 20)
    jpeg.write_bytes(jpeg.read_bytes() + bytes(512))
    assert read_gray(png).shape == read_gray(jpeg).shape == RAMP.shape


@pytest.mark.parametrize("crop", [True, False])
def test_a_data_bar_is_cut_off_image_and_mask(tmp_path: Path, crop: bool) -> None:
    """A mask may be of another resolution than its image."""
    rng = np.random.default_rng(0)
    for name in ("good", "gap"):
        (tmp_path / name).mkdir()
        image = rng.normal(120, 20, (240, 280)).clip(0, 255).astype(np.uint8)
        cv2.imwrite(str(tmp_path / name / "a.png"), (with_bar(image, 40, 0, None) * 255 + 0.5).astype(np.uint8))
    (tmp_path / "masks" / "gap").mkdir(parents=True)
    mask = np.zeros((140, 140), np.uint8)
    mask[100:120] = 255
    cv2.imwrite(str(tmp_path / "masks" / "gap" / "a.png"), mask)
    source = FolderSource(tmp_path, ["good", "gap"], SHARES, "error", crop, 0, 70, None, None, needed=())
    dataset = source.dataset("all")
    items = {int(item["label"]): item for item in (dataset[index] for index in range(2))}
    height, width = items[1]["image"].shape[1:]
    assert height / width == pytest.approx(240 / 280 if crop else 1, abs=0.02)
    assert (items[0]["image"][0, -3:] > 0.3).all() == crop
    marked = items[1]["mask"].sum(dim=1) > 0
    assert float(marked.float().mean()) == pytest.approx(20 / (120 if crop else 140), abs=0.02)
    assert bool(marked[-1]) == crop
