"""The one door for image files: the right picture bit for bit, or an error by name, and nothing else."""

import contextlib
import itertools
import subprocess
import sys
import tempfile
import tracemalloc
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from image_checks import TRUTH
from image_writers import chunk, exif, png
from images_kinds import kinds, valid_files
from PIL import Image

from sem_lightning.data.folder_dataset import FolderDataset
from sem_lightning.data.labelled_folder import read_folder
from sem_lightning.errors import UserError
from sem_lightning.inference.prediction import UnreadableImage
from sem_lightning.inference.predictor import load
from sem_lightning.io import images
from sem_lightning.io.images import ImageError, read_gray
from sem_lightning.io.limits import MAX_MEMORY

SHARED = Path(__file__).resolve().parents[3] / "shared" / "cases"
FILES = valid_files()
CHECKED = [name for name in FILES if name.startswith("PNG")]  # every byte before the end is under a checksum


def test_a_selection_of_the_kinds_is_right(tmp_path: Path) -> None:
    """`python tests/reliability/table.py images` tries all of them."""
    faults = {}
    small = itertools.takewhile(lambda each: not each.name.startswith("sparse TIFF"), kinds())
    for number, kind in enumerate(itertools.islice(small, 0, None, 9)):
        folder = tmp_path / str(number)
        folder.mkdir()
        fault = kind.check(folder)
        if fault is not None:
            faults[kind.name] = fault
    assert not faults and number > 150


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif"])
@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("colour", [False, True])
def test_ordinary_files_read_as_opencv_reads_them(tmp_path: Path, suffix: str, deep: bool, colour: bool) -> None:
    """Grey bit for bit, so that predictions stay what they were; colours to a step or two."""
    if deep and suffix in (".jpg", ".bmp"):
        return
    rng = np.random.default_rng(0)
    for shape in ((61, 83), (1, 40), (40, 1), (7, 5)):
        top = 65536 if deep else 256
        numbers = rng.integers(0, top, (*shape, 3) if colour else shape)
        image = numbers.astype(np.uint16) if deep else numbers.astype(np.uint8)
        path = tmp_path / f"a{suffix}"
        cv2.imwrite(str(path), image)
        expected = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH)
        assert expected is not None and expected.dtype == image.dtype
        difference = np.abs(read_gray(path) - np.asarray(expected, np.float32) / np.float32(top - 1)).max()
        assert difference <= (1.5 / 255 if colour else 0)


@settings(deadline=None)
@given(data=st.data())
def test_a_mutated_file_is_a_picture_or_an_error_by_name(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(FILES)))
    content, suffix = FILES[name]
    for _ in range(data.draw(st.integers(1, 4))):
        content = mutate(content, data)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{suffix}"
        path.write_bytes(content)
        tracemalloc.start()
        try:
            found = read_gray(path)
        except ImageError as error:
            assert str(error).startswith(f"{path}: ") and "\n" not in str(error)
            return
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert peak < MAX_MEMORY
    assert found.dtype == np.float32 and found.ndim == 2 and found.size
    assert np.isfinite(found).all() and found.min() >= 0 and found.max() <= 1
    if name in CHECKED:
        assert found.shape == TRUTH.shape and np.abs(found - TRUTH).max() < 0.003


def mutate(content: bytes, data: st.DataObject) -> bytes:
    """Flip a bit, set, insert, repeat or cut out some bytes; most often in the first bytes, where the headers are."""
    last = max(1, len(content) - 1)
    place = data.draw(st.integers(0, last) | st.integers(0, min(last, 200)))
    kind = data.draw(st.sampled_from(("flip", "set", "insert", "cut", "repeat", "end")))
    if kind == "flip":
        bit = data.draw(st.integers(0, 7))
        return content[:place] + bytes(byte ^ 1 << bit for byte in content[place : place + 1]) + content[place + 1 :]
    if kind == "end":
        return content[:place]
    length = data.draw(st.integers(1, 40))
    if kind == "cut":
        return content[:place] + content[place + length :]
    if kind == "repeat":
        return content[:place] + content[place : place + length] * 2 + content[place + length :]
    new = data.draw(
        st.sampled_from((b"\0", b"\xff")).map(lambda byte: byte * length) | st.binary(min_size=1, max_size=8)
    )
    return content[:place] + new + content[place + (len(new) if kind == "set" else 0) :]


def test_nothing_is_printed_for_mutated_files(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The messages of libpng, libjpeg, libtiff and tifffile's logger stay out of the terminal."""
    rng = np.random.default_rng(0)
    for name, (content, suffix) in FILES.items():
        for number in range(30):
            places = rng.integers(0, len(content), 3)
            mutated = bytearray(content)
            mutated[places[0]] ^= 1 << rng.integers(8)
            if number % 2:
                mutated[places[1] : places[1] + 8] = rng.bytes(8)
            path = tmp_path / f"{name}{suffix}"
            path.write_bytes(mutated[: places[2] + 1] if number % 3 == 0 else mutated)
            with contextlib.suppress(ImageError):
                read_gray(path)
    assert capfd.readouterr() == ("", "")


def test_too_little_memory_costs_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(data: bytes, most_pixels: int) -> None:
        raise MemoryError if data[25] else cv2.error("Insufficient memory")

    for name, colour in (("a", 0), ("b", 2)):
        (tmp_path / f"{name}.png").write_bytes(png(np.zeros((64, 64, 1 + colour), np.uint8), 8, colour))
    monkeypatch.setitem(images._DECODERS, b"\x89PNG", fail)
    for name in "ab":
        with pytest.raises(ImageError, match=f"{name}.png: not enough memory to decode it"):
            read_gray(tmp_path / f"{name}.png")
    monkeypatch.undo()
    predictor = load("robust")
    whole = type(predictor.preprocessing).prepare

    def prepare(self: Any, image: Any) -> Any:
        if image.path.name == "a.png":
            raise MemoryError
        return whole(self, image)

    monkeypatch.setattr(type(predictor.preprocessing), "prepare", prepare)
    first, second = predictor.stream([tmp_path / "a.png", tmp_path / "b.png"])
    assert isinstance(first, UnreadableImage) and "a.png: not enough memory" in str(first.error)
    assert not isinstance(second, UnreadableImage)


@pytest.mark.parametrize("shape", [(1, 400), (400, 1), (1, 1)])
def test_an_image_one_pixel_wide_makes_no_warning(tmp_path: Path, shape: tuple[int, int]) -> None:
    cv2.imwrite(str(tmp_path / "thin.png"), np.arange(shape[0] * shape[1], dtype=np.uint8).reshape(shape))
    found = load("robust").predict([tmp_path / "thin.png"])
    assert len(found) == 1


def test_a_mask_turns_as_its_image_does(tmp_path: Path) -> None:
    image = (255 * TRUTH).astype(np.uint8)[..., None]
    mask = np.zeros_like(image)
    mask[3:9, 30:40] = 255
    for label, number in itertools.product(("good", "gap"), range(8)):
        (tmp_path / label).mkdir(exist_ok=True)
        (tmp_path / "masks" / label).mkdir(exist_ok=True, parents=True)
        before = chunk(b"eXIf", exif(6)) if number % 2 else b""
        (tmp_path / label / f"{number}.png").write_bytes(png(image, 8, 0, before=before))
        (tmp_path / "masks" / label / f"{number}.png").write_bytes(png(mask, 8, 0))
    files, classes = read_folder(tmp_path, None, "error")
    dataset = FolderDataset(tmp_path, files, classes, (64, 64))
    for index, file in enumerate(files):
        found = dataset.labelled(index)
        expected = np.rot90(mask[..., 0], -1) if int(file.path.stem) % 2 else mask[..., 0]
        assert np.array_equal(found.mask > 0, expected > 0) and found.image.pixels.shape == expected.shape


def test_a_mask_of_another_image_is_an_error(tmp_path: Path) -> None:
    for label in ("good", "gap"):
        (tmp_path / label).mkdir()
        (tmp_path / label / "a.png").write_bytes(png(np.zeros((60, 80, 1), np.uint8), 8, 0))
    (tmp_path / "masks" / "gap").mkdir(parents=True)
    (tmp_path / "masks" / "gap" / "a.png").write_bytes(png(np.zeros((80, 60, 1), np.uint8), 8, 0))
    with pytest.raises(UserError, match=r"masks/gap/a\.png: 60 x 80 pixels do not fit the image of 80 x 60"):
        read_folder(tmp_path, None, "error")
    (tmp_path / "masks" / "gap" / "a.png").write_bytes(png(np.zeros((30, 40, 1), np.uint8), 8, 0))
    assert len(read_folder(tmp_path, None, "error")[0]) == 2  # a mask of its own resolution


@pytest.mark.parametrize("folder", ["photometric", "tiff_layouts", "orientation"])
def test_shared_cases(folder: str) -> None:
    paths = sorted(path for path in (SHARED / folder).glob("*") if path.suffix != ".txt")
    if not paths:
        pytest.skip("no shared cases here")
    found = {path.name: read_gray(path) for path in paths}
    truth = found["a_tiled.tif"] if folder == "tiff_layouts" else found[paths[0].name]
    for name, image in found.items():
        expected, tolerance = truth, 3e-4
        if folder == "orientation":
            expected, tolerance = np.rot90(truth, -1) if "6" in name else truth, 0.05
        if name == "d_jpeg.tif":
            tolerance = 0.05
        assert image.shape == expected.shape and np.abs(image - expected).max() < tolerance, name


def test_codecs_are_imported_when_they_are_needed() -> None:
    code = "import sys, sem_lightning.io.images; print([name for name in ('PIL', 'tifffile') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_file_that_tifffile_writes_reads_as_it_was(tmp_path: Path) -> None:
    """Another writer than the tests' own."""
    grey = np.random.default_rng(0).integers(0, 65536, (70, 90), dtype=np.uint16)
    options: dict[str, dict[str, Any]] = {
        "plain": {}, "tiles": {"tile": (16, 32)}, "deflate": {"compression": "zlib", "predictor": True},
        "big": {"bigtiff": True, "byteorder": ">"}, "strips": {"rowsperstrip": 7, "compression": "zlib"},
    }  # fmt: skip
    for name, each in options.items():
        tifffile.imwrite(tmp_path / f"{name}.tif", grey, **each)
        assert np.array_equal(read_gray(tmp_path / f"{name}.tif"), grey / np.float32(65535))
    for compression in ("tiff_lzw", "packbits", "tiff_adobe_deflate"):
        for picture in (Image.fromarray(grey), Image.fromarray((grey >> 8).astype(np.uint8))):
            picture.save(tmp_path / "pillow.tif", compression=compression)
            full = 65535 if picture.mode != "L" else 255
            expected = np.asarray(picture, np.float32) / np.float32(full)
            assert np.array_equal(read_gray(tmp_path / "pillow.tif"), expected)
