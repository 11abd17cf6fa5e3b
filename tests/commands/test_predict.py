"""``sem-predict`` on files of every kind: what is written, and that nothing bad loses the rest."""

import csv
import json
import os
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from conftest import Run, make_classifier, make_simulator, read_image, save_checkpoint, with_bar

import sem_lightning
from sem_lightning.inference import polarity_vote
from sem_lightning.inference.predictor import Predictor
from sem_lightning.inference.preprocessing import Preprocessing
from sem_lightning.inference.view_aggregation import aggregate_views
from sem_lightning.io.gray_image import open_image
from sem_lightning.io.images import encode_image
from sem_lightning.model.batch_norm_adaptation import adapt_batch_norm
from sem_lightning.model.classifier import load_classifier
from sem_lightning.model.network import standardise
from sem_lightning.synthesis.simulator import render

sys.path.append(str(Path(__file__).parents[1] / "io"))


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as stream:
        return list(csv.DictReader(stream))


def write_field(path: Path, height: int = 150, width: int = 260) -> np.ndarray:
    simulator = make_simulator("imaging.image_size=260", "pattern.pitch=16")
    image = render(simulator.draw(0, 0, 1, "good")).image[:height, :width]
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image)
    return image


def test_bad_files_are_named_and_lose_nothing_of_the_rest(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    from test_images import write_bad

    (tmp_path / "mix").mkdir()
    bad = write_bad(tmp_path / "mix")
    good = ["a, b.png", 'c "d".png', "e\nf.png", "Ω 線.png"]
    for name in good:
        write_field(tmp_path / "mix" / name, 64, 64)
    raw = os.fsdecode(b"not utf \xff.png")
    (tmp_path / "mix" / raw).write_bytes((tmp_path / "mix" / "Ω 線.png").read_bytes())
    done = run("predict", f"ckpt={checkpoint}", "images=mix", "jsonl=all.jsonl")
    assert done.code == 3
    rows = read_rows(tmp_path / "predictions.csv")
    assert [row["path"] for row in rows] == sorted(f"mix/{name}" for name in [*good, raw])
    listed = [name for name in bad if name != "folder.png"]  # an empty folder holds nothing
    errors = done.err.splitlines()
    assert len(errors) == len(listed) and all(line.startswith("error: mix/") for line in errors)
    for name in listed:
        assert any(f"mix/{name}: " in line and bad[name] in line for line in errors)
    lines = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text(errors="surrogateescape").splitlines()]
    assert len(lines) == len(rows) + len(listed)
    assert [line["path"] for line in lines] == sorted(line["path"] for line in lines)


def test_a_list_that_names_what_is_not_there(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    write_field(tmp_path / "b.png", 64, 64)
    (tmp_path / "folder").mkdir()
    (tmp_path / "list.txt").write_text("nowhere.png\nb.png\nfolder\n")
    done = run("predict", f"ckpt={checkpoint}", "images=list.txt")
    assert done.code == 3 and "nowhere.png: No such file" in done.err and "folder: Is a directory" in done.err
    assert len(read_rows(tmp_path / "predictions.csv")) == 1


def test_tiles_and_their_regions(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    write_field(tmp_path / "field.png")
    done = run("predict", f"ckpt={checkpoint}", "images=field.png", "tiling=on", "jsonl=f.jsonl", "explain=true")
    assert done.code == 0, done.err
    (line,) = [json.loads(line) for line in (tmp_path / "f.jsonl").read_text().splitlines()]
    assert line["tiles"] == 3 * 6 and (line["height"], line["width"]) == (150, 260)
    regions = read_rows(tmp_path / "predictions_regions.csv")
    assert [int(row["x"]) for row in regions] == [region["x"] for region in line["regions"]]
    for region in line["regions"]:
        assert 0 <= region["x"] < region["x"] + region["width"] <= 260
        assert 0 <= region["y"] < region["y"] + region["height"] <= 150
        assert region["label"] in ("gap", "bridge") and 0.5 < region["score"] <= 1
    # the tile that is least likely to be good decides
    classifier = load_classifier(checkpoint)
    prepared = Preprocessing(64, 1.0, tiling="on").prepare(open_image(tmp_path / "field.png"))
    tiles = np.stack([prepared.tiling.cut(prepared.image, number) for number in range(len(prepared.tiling))])
    with torch.inference_mode():
        p_good = classifier(torch.from_numpy(tiles)[:, None]).logits.softmax(1)[:, 0]
    assert line["probabilities"]["good"] == pytest.approx(float(p_good.min()), abs=1e-5)
    (overlay,) = (tmp_path / "predictions_overlays").iterdir()
    assert read_image(overlay).shape == (150 + 22, 3 * 260, 3)
    # pictures of a run before are no images of this one
    again = run("predict", f"ckpt={checkpoint}", "images=.", "explain=true")
    assert again.code == 0 and len(read_rows(tmp_path / "predictions.csv")) == 1


def test_tags_decide_whether_an_image_is_tiled(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    image = write_field(tmp_path / "png" / "a.png", 128, 128)
    (tmp_path / "fine.tif").write_bytes(encode_image(image, ".tif", 0.5))
    run("predict", f"ckpt={checkpoint}", "images='*.tif'", "jsonl=a.jsonl")
    line = json.loads((tmp_path / "a.jsonl").read_text())
    assert line["tiles"] == 1 and line["pixel_size_nm"] == pytest.approx(0.5)  # 128 x 0.5 nm are 64 x 1 nm
    run("predict", f"ckpt={checkpoint}", "images='*.tif'", "jsonl=b.jsonl", "pixel_size=1.0")
    assert json.loads((tmp_path / "b.jsonl").read_text())["tiles"] == 9


def test_dark_lines_are_turned_to_bright_ones(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    narrow = ("imaging.image_size=64", "pattern.duty=0.25", "pattern.pitch=20")
    for polarity in ("bright", "dark"):
        simulator = make_simulator(*narrow, f"imaging.polarity={polarity}")
        (tmp_path / polarity).mkdir()
        (tmp_path / f"{polarity}_inverted").mkdir()
        for i in range(6):
            image = render(simulator.draw(3, 0, i, "good")).image
            cv2.imwrite(str(tmp_path / polarity / f"{i}.png"), image)
            cv2.imwrite(str(tmp_path / f"{polarity}_inverted" / f"{i}.png"), 255 - image)

    def probabilities(images: str, polarity: str) -> list[float]:
        done = run("predict", f"ckpt={checkpoint}", f"images={images}", f"polarity={polarity}")
        assert done.code == 0, done.err
        return [float(row["p_good"]) for row in read_rows(tmp_path / "predictions.csv")]

    as_it_is = probabilities("bright", "null")
    assert probabilities("bright", "bright") == as_it_is
    assert probabilities("bright_inverted", "dark") == pytest.approx(as_it_is, abs=1e-4)
    assert probabilities("bright", "auto") == as_it_is
    turned = probabilities("dark", "dark")
    assert turned == pytest.approx(probabilities("dark_inverted", "bright"), abs=1e-4)
    assert turned != pytest.approx(probabilities("dark", "bright"), abs=1e-4)
    assert probabilities("dark", "auto") == turned


def test_metal_that_shows_dark_ends_is_judged_as_a_negative(run: Run, tmp_path: Path) -> None:
    """By a classifier that knows both polarities, as long as nobody says that it is bright."""
    torch.manual_seed(0)
    save_checkpoint(
        make_classifier(pixel_size=None, polarity="either", view_scales=[1, 2], pooling="peak_statistics"),
        tmp_path / "a.ckpt",
    )
    metal = ("pattern=routing", "imaging.image_size=128", "noise=low")
    for name, overrides in (("metal", metal), ("lines", ("imaging.image_size=128",))):
        done = run("generate", "num_per_class=4", f"output={name}", "num_workers=1", *overrides)
        assert done.code == 0, done.err
    (tmp_path / "inverted").mkdir()
    for number, path in enumerate(sorted((tmp_path / "metal").glob("*/*.png"))):
        cv2.imwrite(f"inverted/{number:02}.png", 255 - read_image(path, cv2.IMREAD_GRAYSCALE))

    def judged(images: str, *how: str) -> tuple[list[float], bool]:
        done = run("predict", "ckpt=a.ckpt", f"images={images}", "jsonl=lines.jsonl", *how)
        assert done.code == 0, done.err
        lines = [json.loads(line) for line in Path("lines.jsonl").read_text().splitlines()]
        assert all(line["inverted"] == ("dark wires" in done.out or "polarity=dark" in how) for line in lines)
        return [float(row["p_good"]) for row in read_rows(Path("predictions.csv"))], "dark wires" in done.out

    negatives, said = judged("metal")
    assert said and negatives == judged("metal", "polarity=dark")[0]
    as_they_are, said = judged("metal", "polarity=bright")
    assert not said and as_they_are != pytest.approx(negatives, abs=1e-3)
    inverted, _ = judged("inverted", "polarity=bright")
    both = ((2 * np.cbrt(inverted) + np.cbrt(as_they_are)) / 3) ** 3  # as they are counts half
    assert negatives == pytest.approx(both, abs=1e-4)
    in_tiles, _ = judged("metal", "polarity=dark", "tiling=on")
    assert in_tiles == pytest.approx(judged("inverted", "polarity=bright", "tiling=on")[0], abs=1e-4)
    lines, said = judged("lines")
    assert not said and lines == judged("lines", "polarity=bright")[0]


def test_a_data_bar_is_left_out(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    image = write_field(tmp_path / "a.png", 240, 240)
    cv2.imwrite(str(tmp_path / "a.png"), (with_bar(image, 40, 0, None) * 255).round().astype(np.uint8))
    run("predict", f"ckpt={checkpoint}", "images=a.png", "jsonl=a.jsonl")
    line = json.loads((tmp_path / "a.jsonl").read_text())
    assert line["data_bar_rows"] == 40 and line["height"] == 240
    run("predict", f"ckpt={checkpoint}", "images=a.png", "jsonl=a.jsonl", "data_bar=keep")
    assert json.loads((tmp_path / "a.jsonl").read_text())["height"] == 280


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tiling=yes"], "tiling: found 'yes', expected one of auto, on, off"),
        (["tiling=on", "view_scales=[1,2]"], "view_scales: tiling=on uses tiles at one scale"),
        (["overlap=1"], "overlap: found 1, expected a share"),
        (["pixel_size=0"], "pixel_size: found 0, expected nm above 0"),
        (["polarity=grey"], "polarity: found 'grey', expected one of bright, dark, auto"),
        (["output=."], "output: found '.', expected the name of a file"),
        (["jsonl=predictions.csv"], "jsonl: would be written to the same file"),
        (["output=a.png"], "output: would overwrite a.png, which images=... reads; name another"),
        (["output=folder"], "output: folder is a folder; name a file"),
        (["ckpt=notes.md"], "notes.md: not a checkpoint of sem-lightning"),
    ],
)
def test_what_cannot_be_is_refused(
    run: Run, checkpoint: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    write_field(tmp_path / "a.png", 64, 64)
    (tmp_path / "folder").mkdir()
    (tmp_path / "notes.md").write_text("not one")
    done = run("predict", f"ckpt={checkpoint}", "images=a.png", *arguments)
    assert done.code == 1 and done.err.startswith(f"error: {message}") and done.err.count("\n") == 1
    assert not (tmp_path / "predictions.csv").exists()


def test_auto_does_not_guess_where_lines_are_as_wide_as_spaces(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    simulator = make_simulator("imaging.image_size=64", "pattern.duty=0.5")
    for i in range(6):
        cv2.imwrite(str(tmp_path / f"{i}.png"), render(simulator.draw(3, 0, i, "good")).image)
    done = run("predict", f"ckpt={checkpoint}", "images='*.png'", "polarity=auto")
    assert done.code == 1 and done.err.startswith("error: polarity: auto cannot tell: bright covers ")
    assert not (tmp_path / "predictions.csv").exists()


def test_several_scales_are_combined_where_the_file_has_the_pixels(run: Run, tmp_path: Path) -> None:
    torch.manual_seed(0)
    save_checkpoint(
        make_classifier(polarity=None, view_scales=[1, 2, 4], pooling="peak_statistics"), tmp_path / "a.ckpt"
    )
    for name, side in (("a_large", 256), ("b_middle", 128), ("c_small", 64)):
        field = write_field(tmp_path / "in" / f"{name}.png", 256, 256)
        (tmp_path / "in" / f"{name}.tif").write_bytes(encode_image(cv2.resize(field, (side, side)), ".tif", 3.0))
        (tmp_path / "in" / f"{name}.png").unlink()
    done = run("predict", "ckpt=a.ckpt", "images=in", "jsonl=all.jsonl")
    assert done.code == 0, done.err
    lines = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    # the tags say three times the pixels of training, which a classifier of any magnification does not ask
    assert [line["tiles"] for line in lines] == [1, 1, 1]
    assert [list(line["by_view"]) for line in lines] == [["1", "2", "4"], ["1", "2"], ["1"]]
    for line in lines:
        views = np.log(list(line["by_view"].values()))
        weights = np.array([float(scale) ** 0.5 for scale in line["by_view"]])
        together = np.exp(aggregate_views(views, weights, True)).tolist()
        assert list(line["probabilities"].values()) == pytest.approx(together, abs=1e-5)
    done = run("predict", "ckpt=a.ckpt", "images=in", "jsonl=once.jsonl", "view_scales=[1]")
    once = [json.loads(line) for line in (tmp_path / "once.jsonl").read_text().splitlines()]
    assert [line["by_view"]["1"] for line in once] == [line["by_view"]["1"] for line in lines]
    assert [list(line["by_view"]) for line in once] == [["1"]] * 3


def test_images_are_asked_for_ends_as_closely_as_is_not_enlarged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sides = {80: 64, 90: 64, 100: 96, 110: 110, 120: 120, 200: 128}
    for side in sides:
        write_field(tmp_path / f"{side:03d}.png", side, side)
    asked: list[tuple[int, ...]] = []
    monkeypatch.setattr(polarity_vote, "wire_end_balance", lambda image: asked.append(image.shape))
    monkeypatch.setattr(polarity_vote, "polarity_of_ends", lambda balance: "bright")
    made = make_classifier(pixel_size=None, polarity="either", view_scales=[1, 1.5, 2])
    Predictor(made.trained).adopt_polarity(sorted(tmp_path.iterdir()))
    assert asked == [(view, view) for view in sides.values()]


@pytest.mark.parametrize("scales", ["[2]", "[1,1]", "[1,9]", "[]", "[1,nan]"])
def test_scales_rise_from_one(run: Run, tmp_path: Path, scales: str) -> None:
    write_field(tmp_path / "a.png")
    done = run("predict", "images=a.png", f"view_scales={scales}")
    assert done.code == 1 and done.err.startswith("error: view_scales: found")


def test_a_classifier_comes_with_the_package(run: Run, tmp_path: Path) -> None:
    """Nothing is trained: most good lines are good, and most that are cut through are not."""
    simulator = make_simulator(
        "noise=low", "pattern.pitch=20", "defect.gap.length=[1,1.5]", "defect.bridge.length=[1,1.5]"
    )
    for number in range(12):
        label = simulator.classes[number % 3]
        image = render(simulator.draw(0, 0, number, label)).image
        (tmp_path / "in").mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / "in" / f"{number:02d}_{label}.png"), image)
    done = run("predict", "images=in", "pixel_size=0.8")
    assert done.code == 0, done.err
    assert "pixel_size: not used, because images are judged whole at several sizes; tiling=on uses tiles" in done.out
    rows = read_rows(tmp_path / "predictions.csv")
    assert list(rows[0])[4:] == ["p_good", "p_gap", "p_bridge", "reason"]
    assert done.out.splitlines()[-1].endswith(
        "; polarity: bright or dark, images as they are (12 images did not vote for dark)"
    )
    assert sum(row["label"] in row["path"] for row in rows) >= 10
    weights = Path(sem_lightning.__file__).parent / "weights"
    assert (weights / "robust.safetensors").stat().st_size < 12e6
    assert "experiment=robust" in (weights / "robust.md").read_text()


def test_adapting_takes_statistics_of_the_images_and_needs_some(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    simulator = make_simulator("imaging.image_size=64", "noise=extreme")
    (tmp_path / "mine").mkdir()
    for index in range(9):
        image = render(simulator.draw(0, 0, index, "good")).image
        cv2.imwrite(str(tmp_path / "mine" / f"{index}.png"), image)
    plain, adapted, again = (
        run("predict", f"ckpt={checkpoint}", "images=mine", f"adapt={adapt}", f"output={number}.csv")
        for number, adapt in enumerate(("off", "on", "on"))
    )
    confidences = [[row["p_good"] for row in read_rows(tmp_path / f"{number}.csv")] for number in range(3)]
    assert confidences[0] != confidences[1] == confidences[2]
    assert plain.code == adapted.code == 0, adapted.err
    assert "adapted to 9 of the images, without labels" in adapted.out and "adapted" not in plain.out
    assert run("predict", f"ckpt={checkpoint}", "images=mine", "adapt=maybe").code == 1
    (tmp_path / "mine" / "0.png").unlink()
    (tmp_path / "mine" / "1.png").write_bytes(b"nothing")
    few = run("predict", f"ckpt={checkpoint}", "images=mine", "adapt=on")
    assert few.code == 1 and few.err == "error: adapt: needs 8 readable images or more, found 7\n"
    assert again.code == 0


def test_batch_norms_go_the_share_of_the_way_that_was_asked_for() -> None:
    torch.manual_seed(0)
    images = torch.rand(24, 1, 64, 64)
    norms = []
    for share in (0.0, 0.5, 1.0):
        torch.manual_seed(1)
        classifier = make_classifier(classes=["good", "gap"]).eval()
        adapt_batch_norm(classifier.net, images.chunk(3), share)
        norms.append(classifier.net.backbone.get_buffer("bn1.running_mean").clone())
        assert not any(module.training for module in classifier.modules())
    assert torch.allclose(norms[1], (norms[0] + norms[2]) / 2) and not torch.allclose(norms[0], norms[2])
    seen = classifier.net.backbone.get_submodule("conv1")(standardise(images)).mean(dim=(0, 2, 3))
    assert torch.allclose(norms[2], seen, atol=1e-5)
