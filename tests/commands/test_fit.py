"""sem-fit learns a microscope from images, and the other commands take what it wrote."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from conftest import TINY, Run, make_simulator, read_image

from sem_lightning.fitting import estimate as estimating
from sem_lightning.fitting import fit
from sem_lightning.fitting.estimate import Estimate, estimate
from sem_lightning.io.images import encode_image
from sem_lightning.synthesis.simulator import render


@pytest.fixture
def rough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most of a fit's time goes into telling how sure it is: a rough answer does where a test does not ask."""
    monkeypatch.setattr(estimating, "_ROUNDS", (3, 6))


def write(folder: Path, name: str, *overrides: str, index: int = 0) -> None:
    simulator = make_simulator("imaging.image_size=160", "pattern.pitch=20", *overrides)
    image = render(simulator.draw(0, 0, index, "good")).image
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(encode_image(image, Path(name).suffix, 2.0))


def test_a_microscope_is_learnt_and_used(run: Run, tmp_path: Path) -> None:
    for index in range(2):
        write(tmp_path / "mine", f"{index}.tif", index=index)
    done = run("fit", "images=mine", "name=my_tool")
    assert done.code == 0, done.err
    assert "sem-train microscope=my_tool" in done.out
    content = json.loads((tmp_path / "outputs/fit/my_tool/fit.json").read_text())
    assert content["pixel_size"] == 2.0  # from the tags
    for image in content["images"]:
        value, sigma = image["pixels"]["pattern.pitch"]
        assert value == pytest.approx(20, abs=max(4 * sigma, 0.1)) and sigma < 0.2
    low, high = content["ranges"]["pattern"]["pitch"]
    assert low < 40 < high  # nm
    assert 0.4 < content["likeness"]["accuracy"] < 0.9
    page = (tmp_path / "outputs/fit/my_tool/report.html").read_text()
    assert page.count("data:image/png;base64") == 2 and "http" not in page.replace("http-equiv", "")

    done = run("preview", "microscope=my_tool", "per_class=1")
    assert done.code == 0, done.err
    done = run("generate", "microscope=my_tool", "num_per_class=2", "output=set", "num_workers=1", "shards=1")
    assert done.code == 0, done.err
    scene = json.loads((tmp_path / "set/metadata.jsonl").read_text().splitlines()[0])["scene"]
    assert scene["view"]["pixel_size"] == 2.0 and low <= scene["pattern"]["pitch"] <= high
    tiny = [argument for argument in TINY if not argument.startswith("imaging")]
    done = run("train", "microscope=my_tool", "imaging.image_size=96", *tiny)
    assert done.code == 0, done.err
    assert json.loads((done.run_folder() / "result.json").read_text())["seed"] == 0


def test_coarse_patterns_are_trained_at_larger_pixels(run: Run, rough: None, tmp_path: Path) -> None:
    simulator = make_simulator("imaging.image_size=320", "pattern.pitch=80", "noise=low")
    (tmp_path / "a.png").write_bytes(encode_image(render(simulator.draw(0, 0, 0, "good")).image, ".png", 1.0))
    done = run("fit", "images=a.png", "name=coarse", "output=elsewhere/microscope/coarse.yaml", "report=r")
    assert done.code == 0, done.err
    assert "--config-dir elsewhere microscope=coarse" in done.out
    assert json.loads((tmp_path / "r/fit.json").read_text())["ranges"]["imaging"]["pixel_size"] > 1.5
    written = (tmp_path / "elsewhere/microscope/coarse.yaml").read_text()
    assert "sem-predict pixel_size=1" in written
    assert all("A training pixel is" in text for text in (written, (tmp_path / "r/report.html").read_text()))
    done = run("preview", "--config-dir", "elsewhere", "microscope=coarse", "per_class=1")
    assert done.code == 0, done.err


def test_images_that_show_nothing_are_named_and_left_out(run: Run, rough: None, tmp_path: Path) -> None:
    write(tmp_path / "mine", "good.png")
    cv2.imwrite(str(tmp_path / "mine" / "flat.png"), np.full((160, 160), 90, np.uint8))
    (tmp_path / "mine" / "broken.png").write_bytes(b"\x89PNG")
    cv2.imwrite(str(tmp_path / "mine" / "small.png"), np.zeros((20, 200), np.uint8))
    done = run("fit", "images=mine", "name=my_tool")
    assert done.code == 3
    for name, why in (("flat", "no pattern"), ("broken", "truncated"), ("small", "200 x 20 pixels")):
        assert any(name in line and why in line for line in done.err.splitlines())
    assert len(json.loads((tmp_path / "outputs/fit/my_tool/fit.json").read_text())["images"]) == 1


def test_nothing_is_written_where_all_would_be_a_guess(run: Run, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "flat.png"), np.full((160, 160), 90, np.uint8))
    done = run("fit", "images=flat.png", "name=my_tool")
    assert done.code == 1
    assert "nothing could be estimated, and nothing was written" in done.err and "no pattern" in done.err
    assert not (tmp_path / "conf").exists() and not (tmp_path / "outputs").exists()


def test_a_pitch_that_says_less_than_is_usual_is_kept_all_the_same(
    run: Run, rough: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Coarse patterns are known to so many pixels only, and no configuration goes without a pitch."""
    write(tmp_path, "a.png", "noise=low")

    def unsure(*given: Any) -> dict[str, Estimate]:
        found = estimate(*given)
        return {**found, "pattern.pitch": replace(found["pattern.pitch"], sigma=5.0)}

    monkeypatch.setattr(fit, "estimate", unsure)
    done = run("fit", "images=a.png", "name=unsure")
    assert done.code == 0, done.err
    low, high = json.loads((tmp_path / "outputs/fit/unsure/fit.json").read_text())["ranges"]["pattern"]["pitch"]
    assert low < 17 and high > 23


def test_no_noise_to_start_from_and_a_name_that_is_no_text(run: Run, rough: None, tmp_path: Path) -> None:
    write(tmp_path, "a.png", "noise=low")
    (tmp_path / "a.png").rename(tmp_path / os.fsdecode(b"5\xb5m\n.png"))
    done = run("fit", "images='*.png'", "name=mine", "noise=none")
    assert done.code == 0, done.err
    assert "5\\udcb5m\\n.png: measured" in done.out
    assert "5\\udcb5m\\n.png." in (tmp_path / "conf/microscope/mine.yaml").read_text()
    done = run("preview", "microscope=mine", "per_class=1")
    assert done.code == 0, done.err


def test_saturated_levels_are_not_used(run: Run, rough: None, tmp_path: Path) -> None:
    write(tmp_path, "bright.png", "noise.brightness=0.6", "noise.contrast=1.2")
    done = run("fit", "images=bright.png", "name=bright")
    assert done.code == 0, done.err
    assert "black or white" in done.out
    ranges = json.loads((tmp_path / "outputs/fit/bright/fit.json").read_text())["ranges"]
    assert ranges["imaging"]["dark"] == [0.1, 0.3] and ranges["noise"]["dose"] == [20, 200]  # as nobody measured them
    assert ranges["pattern"]["pitch"][0] < 20 < ranges["pattern"]["pitch"][1]


def test_a_configuration_is_not_replaced_unasked(run: Run, rough: None, tmp_path: Path) -> None:
    write(tmp_path, "a.png", "noise=low")
    mine = tmp_path / "conf/microscope/mine.yaml"
    mine.parent.mkdir(parents=True)
    mine.write_text("# my edits")
    done = run("fit", "images=a.png", "name=mine")
    assert done.code == 1 and "name: conf/microscope/mine.yaml exists" in done.err
    assert mine.read_text() == "# my edits" and not (tmp_path / "outputs").exists()
    done = run("fit", "images=a.png", "name=mine", "overwrite=true")
    assert done.code == 0 and "override /pattern: line_space" in mine.read_text(), done.err


def test_what_is_no_such_pattern_is_refused_after_all(run: Run, tmp_path: Path) -> None:
    board = np.kron(np.indices((10, 10)).sum(axis=0) % 2, np.ones((26, 26)))
    grey = 90 + 60 * board + np.random.default_rng(0).normal(0, 8, board.shape)
    cv2.imwrite(str(tmp_path / "board.png"), cv2.GaussianBlur(grey, (0, 0), 1.0))
    done = run("fit", "images=board.png", "name=board")
    assert done.code == 1 and len(done.err.splitlines()) == 1, done.out
    assert not (tmp_path / "conf").exists() and not (tmp_path / "outputs").exists()


def test_twelve_bits_in_sixteen_are_refused(run: Run, tmp_path: Path) -> None:
    write(tmp_path, "a.png", "noise=low", "noise.bits=16")
    image = read_image(tmp_path / "a.png", cv2.IMREAD_UNCHANGED)
    cv2.imwrite(str(tmp_path / "a.png"), image // 16)
    done = run("fit", "images=a.png", "name=a")
    assert done.code == 1 and "12 bits in a file of 16" in done.err


@pytest.mark.parametrize("turns", [1, 2])
def test_a_data_bar_at_any_side_is_left_out(run: Run, rough: None, tmp_path: Path, turns: int) -> None:
    write(tmp_path, "plain.png", "noise=low")
    image = read_image(tmp_path / "plain.png", cv2.IMREAD_GRAYSCALE)
    bar = np.zeros((28, 160), np.uint8)
    cv2.putText(bar, "5.0 kV x100k 200nm", (4, 19), cv2.FONT_HERSHEY_SIMPLEX, 0.4, 255, 1)
    cv2.imwrite(str(tmp_path / "turned.png"), np.rot90(np.vstack([image, bar]), turns))
    done = run("fit", "images=turned.png", "name=turned")
    assert done.code == 0, done.err
    found = json.loads((tmp_path / "outputs/fit/turned/fit.json").read_text())["images"][0]["pixels"]
    assert found["pattern.pitch"][0] == pytest.approx(20, abs=0.3)
    assert abs(found["pattern.angle"][0]) == pytest.approx(90 * (turns % 2), abs=0.5)


def test_level_lines_of_two_images_have_one_direction(run: Run, rough: None, tmp_path: Path) -> None:
    for index, angle in enumerate((89.7, -89.7)):
        write(tmp_path / "mine", f"{index}.png", f"pattern.angle={angle}", "noise=low", index=index)
    done = run("fit", "images=mine", "name=level", "noise.frames=4")
    assert done.code == 0, done.err
    ranges = json.loads((tmp_path / "outputs/fit/level/fit.json").read_text())["ranges"]
    low, high = ranges["pattern"]["angle"]
    assert high - low < 3 and min(abs(abs(end) - 90) for end in (low, high)) < 2
    assert ranges["noise"]["frames"] == 4  # the dose is that of a frame


def test_narrow_and_black_and_white_images(run: Run, rough: None, tmp_path: Path) -> None:
    write(tmp_path, "narrow.png", "noise=low", "pattern.pitch=12")
    image = read_image(tmp_path / "narrow.png", cv2.IMREAD_GRAYSCALE)
    cv2.imwrite(str(tmp_path / "narrow.png"), image[:, :66])
    done = run("fit", "images=narrow.png", "name=narrow")
    assert done.code == 0, done.err
    cv2.imwrite(str(tmp_path / "stripes.png"), np.tile(np.repeat([0, 255], 10), (200, 8)).astype(np.uint8))
    done = run("fit", "images=stripes.png", "name=stripes")
    assert done.code in (0, 1) and "Warning" not in done.err and "Traceback" not in done.err
    assert (tmp_path / "conf/microscope/stripes.yaml").exists() == (done.code == 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("images=mine", "name=a/b"), "name: found 'a/b'"),
        (("images=mine", "name=metal"), "name: metal comes with the package"),
        (("images=mine", "name=a", "imaging.polarity=dark"), "imaging.polarity: is not asked for here"),
        (("images=mine",), "name: needs a value"),
        (("images=nowhere", "name=a"), "images: found no images at nowhere"),
        (("images=mine", "name=a", "output=a.yaml"), "output: found 'a.yaml', expected .../microscope/NAME.yaml"),
        (("images=mine", "name=a", "family=holes"), "family: found 'holes'"),
        (("images=mine", "name=a", "pixel_size=-1"), "pixel_size: found -1"),
        (("images=mine", "name=a"), "images: show different patterns"),
        (("images=", "name=a"), "images: found nothing"),
        (("images=mine", "name=a", "pixel_size=1e9"), "pixel_size: found 1e+09"),
        (("images=mine", "name=a", "report=mine/lines.png"), "report: mine/lines.png is a file"),
        (("images=mine", "name=a", "output=mine/lines.png/microscope/a.yaml"), "output: mine/lines.png is a file"),
    ],
)
def test_mistakes_are_one_line(run: Run, tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    write(tmp_path / "mine", "lines.png", "noise=low")
    write(tmp_path / "mine", "metal.png", "pattern=routing", "noise=low", index=1)
    done = run("fit", *arguments)
    assert done.code == 1
    assert done.err.startswith("error: ") and message in done.err and len(done.err.splitlines()) == 1
    assert not (tmp_path / "conf").exists()


def test_an_unknown_microscope_is_named(run: Run) -> None:
    done = run("train", "microscope=nobodys")
    assert done.code == 1 and "nobodys" in done.err
