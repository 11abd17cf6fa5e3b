"""The thread that prepares images ahead: in order, no more than asked for, and no error is lost."""

import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path

import cv2
import numpy as np
import pytest

from sem_lightning.inference import reader
from sem_lightning.inference.prediction import UnreadableImage
from sem_lightning.inference.preprocessing import PreparedImage, Preprocessing
from sem_lightning.inference.reader import read_ahead
from sem_lightning.io.gray_image import open_image
from sem_lightning.io.images import ImageError

Prepare = Callable[[Path], PreparedImage | UnreadableImage]


def preparing(how: Preprocessing) -> Prepare:
    def prepare(path: Path) -> PreparedImage | UnreadableImage:
        try:
            return how.prepare(open_image(path))
        except ImageError as error:
            return UnreadableImage(path, error)

    return prepare


def test_the_reader_keeps_the_order_and_reports_errors_in_their_turn(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image at all")
    paths, seen = [], []
    for number in range(20):
        path = tmp_path / f"{number:02d}.png"
        cv2.imwrite(str(path), np.full((32, 32), 10 * number, np.uint8))
        paths += [path, tmp_path / "text.png"]
    for entry in read_ahead(paths, preparing(Preprocessing(32, None))):
        seen.append(entry.path)
        assert isinstance(entry, UnreadableImage) == (entry.path is not None and entry.path.name == "text.png")
        if entry.path is not None and entry.path.stem == "07":
            time.sleep(0.1)
    assert seen == paths


def test_the_reader_stops_when_nobody_takes_any_more(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), np.zeros((1024, 1024), np.uint8))
    before = threading.active_count()
    images = read_ahead([path] * 500, preparing(Preprocessing(1024, None)))
    next(images)
    time.sleep(0.3)
    assert threading.active_count() == before + 1
    assert isinstance(images, Generator)
    images.close()
    assert threading.active_count() == before


def test_the_reader_counts_every_view_that_it_keeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    asked: list[Path] = []
    cv2.imwrite(str(path), np.zeros((256, 256), np.uint8))
    prepare = preparing(Preprocessing(128, None, view_scales=(1, 2)))
    monkeypatch.setattr(reader, "_PIXELS_AHEAD", 4 * (128**2 + 256**2))

    def ask(item: Path) -> PreparedImage | UnreadableImage:
        asked.append(item)
        return prepare(item)

    images = read_ahead([path] * 50, ask)
    next(images)
    time.sleep(0.5)
    assert isinstance(images, Generator)
    images.close()
    assert 3 <= len(asked) <= 6  # one taken, four ahead, one that waits


def test_other_errors_of_the_reader_reach_the_caller(tmp_path: Path) -> None:
    bad = Preprocessing("no size", None)  # type: ignore[arg-type]
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((48, 64), np.uint8))
    with pytest.raises(TypeError):
        list(read_ahead([tmp_path / "a.png"], preparing(bad)))
