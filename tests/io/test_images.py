"""Bad input of every kind is a named error, before it costs memory; nothing else is lost."""

import os
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from sem_lightning.errors import SettingError
from sem_lightning.io.find import find_images
from sem_lightning.io.images import ImageError, read_gray
from sem_lightning.io.limits import MAX_PIXELS

GREY = np.random.default_rng(0).integers(0, 256, (48, 64), dtype=np.uint8)


def write_huge_tiff(path: Path) -> None:
    """A header that promises 40,000 x 40,000 pixels, and none of them."""
    entries = [(256, 4, 40_000), (257, 4, 40_000), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1)]
    entries += [(278, 4, 40_000), (279, 4, 1_600_000_000)]
    body = b"".join(struct.pack("<HHI", tag, kind, 1) + struct.pack("<I", value) for tag, kind, value in entries)
    path.write_bytes(b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(entries)) + body + b"\0\0\0\0")


def write_bad(folder: Path) -> dict[str, str]:
    """One file of each bad kind; returns what the error of each must say."""
    (folder / "empty.png").write_bytes(b"")
    whole = cv2.imencode(".png", GREY)[1].tobytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    jpeg = cv2.imencode(".jpg", GREY)[1].tobytes()
    (folder / "cut.jpg").write_bytes(jpeg[: len(jpeg) // 2])
    tifffile.imwrite(folder / "whole.tif", GREY)
    tiff = (folder / "whole.tif").read_bytes()
    (folder / "whole.tif").unlink()
    (folder / "cut.tif").write_bytes(tiff[: len(tiff) // 2])
    (folder / "text.png").write_text("no image at all")
    write_huge_tiff(folder / "huge.tif")
    tifffile.imwrite(folder / "pages.tif", np.stack([GREY] * 3), photometric="minisblack")
    frames = [Image.fromarray(GREY), Image.fromarray(255 - GREY)]
    frames[0].save(folder / "moving.png", save_all=True, append_images=frames[1:])
    Image.fromarray(GREY).convert("CMYK").save(folder / "print.jpg")
    holes = GREY.astype(np.float32)
    holes[3, 4] = np.nan
    tifffile.imwrite(folder / "nan.tif", holes)
    (folder / "folder.png").mkdir()
    os.mkfifo(folder / "pipe.png")
    with tifffile.TiffWriter(folder / "thumb_first.tif") as writer:
        writer.write(GREY[::4, ::4], subfiletype=1)
        writer.write(GREY)
    odd = bytearray(tiff)
    odd[8 + 2 + 4 : 8 + 2 + 8] = struct.pack("<I", 3)  # a width of three numbers
    (folder / "odd.tif").write_bytes(bytes(odd))
    return {
        "empty.png": "the file is empty",
        "cut.png": "the file is truncated",
        "cut.jpg": "the file is truncated",
        "cut.tif": "the file is truncated",
        "text.png": "not a readable image",
        "huge.tif": f"40000 x 40000 pixels, more than {MAX_PIXELS} in all; cut it into parts",
        "pages.tif": "holds 3 pages or frames; save the one that is meant",
        "moving.png": "holds 2 pages or frames",
        "print.jpg": "is in CMYK colours for print; save it as grey",
        "nan.tif": "holds numbers that are not finite",
        "folder.png": "Is a directory",
        "pipe.png": "is no file but a pipe or a device",
        "thumb_first.tif": "begins with a thumbnail",
        "odd.tif": "truncated or damaged",
    }


def test_each_kind_of_bad_file_is_named(tmp_path: Path) -> None:
    expected = write_bad(tmp_path)
    for name, message in expected.items():
        with pytest.raises(ImageError) as caught:
            read_gray(tmp_path / name)
        assert str(caught.value).startswith(f"{tmp_path / name}: ") and message in str(caught.value)


def test_the_widest_floats_stay_finite(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "vast.tif", np.array([[-3e38, 3e38], [0, 1]], np.float32).repeat(8, 0))
    image = read_gray(tmp_path / "vast.tif")
    assert np.isfinite(image).all() and image.min() == 0 and image.max() == 1


def test_a_thumbnail_is_no_second_page(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "thumb.tif") as writer:
        writer.write(GREY)
        writer.write(GREY[::4, ::4], subfiletype=1)
    assert read_gray(tmp_path / "thumb.tif") == pytest.approx(GREY / 255, abs=1e-6)


def test_a_file_that_grows_while_it_is_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "growing.png"
    path.write_bytes(cv2.imencode(".png", GREY)[1].tobytes())
    import sem_lightning.io.images as images

    def grow(data: bytes) -> None:
        with path.open("ab") as stream:
            stream.write(b"more")

    monkeypatch.setattr(images, "_decoder_of", grow)
    with pytest.raises(ImageError, match="changed while it was read"):
        read_gray(path)


def test_images_of_a_list_come_in_its_order_relative_to_it(tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "mine.txt").write_text("b.png\n\n../a.png\n/abs/c, d.png\n", encoding="utf-8")
    found = find_images(str(tmp_path / "lists" / "mine.txt"))
    folder = tmp_path / "lists"
    assert found == [folder / "b.png", folder / "../a.png", Path("/abs/c, d.png")]
    (folder / "wide.txt").write_text("b.png\r\nä.png", encoding="utf-16")
    assert find_images(str(folder / "wide.txt")) == [folder / "b.png", folder / "ä.png"]
    odd = b"not utf \xff \xe2\x80\xa8.png"  # with a separator of lines, which is none here
    (folder / "odd.txt").write_bytes(b"b.png\n" + odd)
    assert find_images(str(folder / "odd.txt")) == [folder / "b.png", folder / os.fsdecode(odd)]


def test_nothing_to_find(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("no image")
    (tmp_path / "empty.txt").write_text("\n")
    for pattern in (tmp_path, tmp_path / "*.tif", tmp_path / "empty.txt"):
        with pytest.raises(SettingError, match="images: found no images at"):
            find_images(str(pattern))
