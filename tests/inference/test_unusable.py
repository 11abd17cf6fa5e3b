"""The Predictor gives no verdict on what shows no pattern, and marks what it calls defective."""

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

import sem_lightning as sl
from sem_lightning.inference.polarity_vote import PolarityVote, explain_polarity
from sem_lightning.inference.prediction import find_regions
from sem_lightning.inference.tiling import Stitcher, Tiling
from sem_lightning.inference.writers import PredictionWriter
from sem_lightning.synthesis.simulator import Simulator


@pytest.fixture(scope="module")
def predictor() -> sl.Predictor:
    return sl.load("robust")


def test_no_verdict_with_the_reason_in_every_output(predictor: sl.Predictor, tmp_path: Path) -> None:
    clean = Simulator.compose("noise=low").sample(2, label="good").image
    images = {"black": np.zeros((64, 64), np.uint8), "clean": clean, "line": np.full((1, 400), 9, np.uint8)}
    for name, image in images.items():
        cv2.imwrite(str(tmp_path / f"{name}.png"), image)
    found = predictor.predict(tmp_path)
    assert [each.decision for each in found] == ["unsure", "good", "unsure"]
    assert [each.reason for each in found] == ["no pattern", None, "too small"]
    assert [each.is_usable for each in found] == [False, True, False]
    table, lines = tmp_path / "o.csv", tmp_path / "o.jsonl"
    writer = PredictionWriter(predictor.classes, table, lines, None)
    with writer.open():
        for each in found:
            writer.add(each)
    with table.open() as stream:
        assert [row["reason"] for row in csv.DictReader(stream)] == ["no pattern", "", "too small"]
    assert [json.loads(line)["reason"] for line in lines.read_text().splitlines()] == ["no pattern", None, "too small"]
    assert writer.summary("out.csv", "argmax").endswith(
        "out.csv (argmax): good 1, gap 0, bridge 0, unsure 2 (no pattern 1, too small 1)"
    )


def test_pictures_without_a_pattern_have_no_vote(predictor: sl.Predictor) -> None:
    black = [np.zeros((64, 64), np.uint8)] * 8
    vote = predictor.adopt_polarity(black)
    assert vote is not None and vote.voters == 0
    with pytest.raises(sl.SettingError, match="needs 8 readable images"):
        predictor.adapt(black)


def test_a_large_file_of_the_trained_kind_is_not_out_of_distribution(predictor: sl.Predictor) -> None:
    """Its first view shows 32 lines, finer than any in training; the largest shows them as in training."""
    simulator = Simulator.compose("imaging.image_size=512")
    found = predictor.predict([simulator.sample(index, seed=3).image for index in range(3)])
    assert [each.reason for each in found] == [None] * 3
    limit = predictor.rule.ood_limit
    assert all(predictor.rule.ood_scores(each.features[None])[0] <= limit for each in found)
    hole = Simulator.compose("pattern=contact_hole", "defect=contact_hole", "imaging.image_size=256").sample(1).image
    assert predictor.predict([hole])[0].reason == "out of distribution"


@pytest.mark.parametrize(
    ("asked", "trained", "bound", "vote", "words"),
    [
        ("dark", "either", False, None, "dark (asked for)"),
        (None, "bright", False, None, "bright (the checkpoint's)"),
        (None, None, False, None, "as in training (the checkpoint does not say which)"),
        (None, "either", True, None, "bright or dark, images as they are (a rule with a risk bound takes no vote)"),
        (None, "either", False, None, "bright or dark, images as they are (a vote takes 6 images)"),
        (None, "either", False, PolarityVote("dark", "ends", 9), "dark (voted by 9 images)"),
        ("auto", "bright", False, PolarityVote("dark", "share", 1), "dark (voted by 1 image)"),
        (None, "either", False, PolarityVote("bright", "", 7),
         "bright or dark, images as they are (7 images did not vote for dark)"),
    ],
)  # fmt: skip
def test_the_polarity_is_said(
    asked: str | None, trained: str | None, bound: bool, vote: PolarityVote | None, words: str
) -> None:
    assert explain_polarity(asked, trained, bound, vote) == words


@pytest.mark.parametrize("place", [(105, 108), (112, 112), (30, 200), (224, 96), (290, 250), (12, 130)])
def test_a_bridge_is_marked_where_it_is(place: tuple[int, int]) -> None:
    """In the overlap of tiles, at their borders and at that of an image that is no multiple of a tile."""
    x, y = place
    predictor = sl.load("robust", tiling="on")
    simulator = Simulator.compose("imaging.image_size=700", "noise=typical")
    tried = 0
    for index in range(12):
        sample = simulator.sample(index, label="bridge", seed=5)
        rows, columns = np.nonzero(sample.mask)
        left, top = round(columns.mean()) - x, round(rows.mean()) - y
        if not (0 <= left <= 700 - 310 and 0 <= top <= 700 - 290):
            continue
        found = predictor.predict([np.asarray(sample.image[top : top + 290, left : left + 310], np.uint8)])[0]
        if found.label != "bridge":
            continue
        first = found.regions[0]
        assert first.x - 8 <= x <= first.x + first.width + 8 and first.y - 8 <= y <= first.y + first.height + 8, index
        tried += 1
        if tried == 2:
            break
    assert tried


def test_a_tile_that_sees_a_defect_is_not_outvoted() -> None:
    """A map of one defect that the other three tiles with the same place miss."""
    tiling = Tiling.plan(224, 224, 128, 0.25)
    blank = np.zeros((3, 16, 16), np.float32)
    blank[0] = 1
    sees = blank.copy()
    sees[:, 13, 13] = (0.1, 0.1, 0.8)
    stitcher = Stitcher(tiling, 3, doubtful=True)
    for number in range(4):
        stitcher.add(number, sees if number == 0 else blank)
    maps = stitcher.finish()
    assert np.allclose(maps.sum(axis=0), 1, atol=1e-5)
    regions = find_regions(maps, ["good", "gap", "bridge"], (224, 224), (224, 224))
    assert [(one.x, one.y, one.label) for one in regions] == [(104, 104, "bridge")]


def test_the_deciding_peak_is_marked_first() -> None:
    maps = np.zeros((2, 30, 30), np.float32)
    maps[0] = 1
    maps[:, 3, 4], maps[:, 20, 21] = (0.6, 0.4), (0.2, 0.8)
    assert [one.x for one in find_regions(maps, ["good", "gap"], (240, 240), (240, 240))] == [168]
    regions = find_regions(maps, ["good", "gap"], (240, 240), (480, 480), deciding=(0, 0, 128, 128))
    assert [(one.x, one.y, one.score) for one in regions] == [(64, 48, 0.4), (336, 320, 0.8)]
