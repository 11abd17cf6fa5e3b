"""``sem-evaluate`` and ``sem-predict`` on a checkpoint that ``train.py`` wrote."""

import csv
import json
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch
from conftest import TINY, Run, make_classifier, read_image, save_checkpoint, with_bar

from sem_lightning.decision.rule import Rule, Verdicts
from sem_lightning.evaluation.prediction_collector import PredictionCollector
from sem_lightning.io.images import read_gray
from sem_lightning.model.classifier import SEMClassifier, load_classifier

REAL = Path(__file__).parents[3] / "shared" / "real_sem"


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_evaluate_repeats_the_test_of_training(run: Run, trained: Path, figures: None) -> None:
    sizes = [option for option in TINY if option.startswith(("imaging.", "data."))]
    done = run("evaluate", f"ckpt={trained}/checkpoints/best.ckpt", *sizes)  # the seed is that of training
    assert done.code == 0, done.err
    result = json.loads((trained / "result.json").read_text())
    assert done.result("evaluate")["confusion"] == result["confusion"]
    assert done.result("evaluate")["metrics"].items() <= result["metrics"].items()
    assert (done.run_folder("evaluate") / "confusion_matrix.png").is_file()
    assert done.result("evaluate")["decision"] == result["decision"]


def test_ctrl_c_while_evaluating_is_the_shells_exit_code(
    run: Run, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(PredictionCollector, "run", interrupt)
    before = signal.getsignal(signal.SIGINT)
    done = run("evaluate", f"ckpt={checkpoint}", "imaging.image_size=64", "data.num_workers=0")
    assert signal.getsignal(signal.SIGINT) is before
    assert done.code == 130 and done.err.splitlines()[-1] == "error: interrupted"
    assert not list(done.folder.glob("outputs/**/report.*"))


def test_evaluate_a_folder(run: Run, checkpoint: Path) -> None:
    run("generate", "num_per_class=10", "imaging.image_size=64", "output=set", "num_workers=1")
    part = run("evaluate", f"ckpt={checkpoint}", "data=folder", "data.root=set", "data.num_workers=0")
    assert part.code == 0, part.err
    assert part.result("evaluate")["test_images"] == 6
    whole = run("evaluate", f"ckpt={checkpoint}", "data=folder", "data.root=set", "data.num_workers=0", "split=all")
    assert whole.result("evaluate")["test_images"] == 30
    assert whole.result("evaluate")["classes"] == ["good", "gap", "bridge"]


def test_evaluate_names_every_file_that_cannot_be_used_or_leaves_them_out(run: Run, checkpoint: Path) -> None:
    run("generate", "num_per_class=10", "imaging.image_size=64", "output=set", "num_workers=1")
    broken = sorted(Path("set").glob("*/*.png"))[3:5]
    for path in broken:
        path.write_bytes(path.read_bytes()[:100])
    folder = ("data=folder", "data.root=set", "data.num_workers=0", "split=all")
    done = run("evaluate", f"ckpt={checkpoint}", *folder)
    assert done.code == 1 and done.err.startswith("error: 2 images cannot be used: ") and done.err.count("\n") == 1
    assert all(f"{path}: the file is truncated" in done.err for path in broken)
    assert "leave them out with data.on_bad_image=skip" in done.err
    assert not list(done.run_folder("evaluate").glob("report.*"))
    done = run("evaluate", f"ckpt={checkpoint}", *folder, "data.on_bad_image=skip")
    assert done.code == 0, done.err
    [said] = [line for line in done.out.splitlines() if line.startswith("skipped: 2 images cannot be used: ")]
    assert all(str(path) in said for path in broken)
    report = done.result("evaluate")
    assert report["test_images"] == 28 and len(report["skipped"]) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["imaging.polarity=dark"], "ckpt: it was trained on bright lines and the data has dark ones"),
        (["split=exam"], "split: found 'exam', expected one of train, val, test, calibration"),
        (["ckpt=nowhere.ckpt"], "nowhere.ckpt: No such file"),
        (["data=folder", "data.root=nowhere"], "data.root: nowhere is not a folder"),
        (["view_scales=[2,4]"], "view_scales: found [2.0, 4.0], expected up to 16 numbers that begin with 1"),
    ],
)
def test_evaluate_refuses_what_does_not_fit(run: Run, checkpoint: Path, arguments: list[str], message: str) -> None:
    done = run("evaluate", f"ckpt={checkpoint}", *arguments)
    assert done.code == 1 and done.err.startswith(f"error: {message}") and done.err.count("\n") == 1


def test_evaluate_refuses_images_of_other_classes(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    for label in ("good", "scratch"):
        (tmp_path / "set" / label).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "set" / label / "a.png"), np.zeros((64, 64), np.uint8))
    done = run("evaluate", f"ckpt={checkpoint}", "data=folder", "data.root=set", "split=all")
    assert done.code == 1 and "unknown class 'scratch' (classes: good, gap, bridge)" in done.err


def test_predict_writes_one_row_an_image(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    (tmp_path / "images" / "deeper").mkdir(parents=True)
    names = ["b.png", "a.tif", "deeper/c, 'd'.jpg"]
    for name in names:
        cv2.imwrite(str(tmp_path / "images" / name), rng.integers(0, 256, (90, 70), dtype=np.uint8))
    done = run("predict", f"ckpt={checkpoint}", "images=images", "output=out/predictions.csv")
    assert done.code == 0, done.err
    rows = read_rows(tmp_path / "out" / "predictions.csv")
    assert list(rows[0]) == ["path", "label", "confidence", "decision", "p_good", "p_gap", "p_bridge", "reason"]
    assert [row["path"] for row in rows] == sorted(f"images/{name}" for name in names)
    classifier = load_classifier(checkpoint)
    for row in rows:
        image = cv2.resize(read_gray(tmp_path / row["path"]), (56, 73), interpolation=cv2.INTER_AREA)
        with torch.inference_mode():
            expected = classifier(torch.from_numpy(image)[None, None]).logits.softmax(1)[0]
        found = [float(row[f"p_{label}"]) for label in classifier.classes]
        assert found == pytest.approx(expected.tolist(), abs=1e-4)
        assert row["label"] == classifier.classes[int(np.argmax(found))]
        assert float(row["confidence"]) == max(found)


def test_predict_names_the_unreadable_and_does_the_rest(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    cv2.imwrite(str(tmp_path / "images" / "fine.png"), np.eye(80, dtype=np.uint8) * 200)
    (tmp_path / "images" / "broken.png").write_bytes(b"\x89PNG nothing more")
    done = run("predict", f"ckpt={checkpoint}", "images='images/*.png'")
    assert done.code == 3 and "broken.png" in done.err
    assert [row["path"] for row in read_rows(tmp_path / "predictions.csv")] == ["images/fine.png"]


def test_predict_leaves_out_masks_and_preview_of_a_generated_set(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    run("generate", "num_per_class=2", "imaging.image_size=64", "output=set", "num_workers=1")
    assert run("predict", f"ckpt={checkpoint}", "images=set").code == 0
    assert len(read_rows(tmp_path / "predictions.csv")) == 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["images=nothing"], "images: found no images at nothing"),
        ([], "images: needs a value"),
    ],
)
def test_predict_refuses_what_it_cannot_do(run: Run, checkpoint: Path, arguments: list[str], message: str) -> None:
    done = run("predict", f"ckpt={checkpoint}", *arguments)
    assert done.code == 1 and done.err.startswith(f"error: {message}") and done.err.count("\n") == 1


@pytest.mark.skipif(not REAL.is_dir(), reason="the real images are not here")
def test_predict_reads_the_real_images(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    done = run("predict", f"ckpt={checkpoint}", f"images={REAL}")
    assert done.code == 0, done.err
    assert len(read_rows(tmp_path / "predictions.csv")) == 6


def save_many_scales(path: Path, scales: Sequence[float], seed: int = 0, **facts: Any) -> SEMClassifier:
    """An untrained classifier of any magnification, whose rule makes answers less sure."""
    torch.manual_seed(seed)
    known = {"pixel_size": None, "polarity": None, "view_scales": scales, "pooling": "peak_statistics"}
    made = make_classifier(**(known | facts))
    made.rule = Rule(temperature=2.5)
    save_checkpoint(made, path)
    return made


@pytest.fixture
def decided(monkeypatch: pytest.MonkeyPatch) -> list[npt.NDArray[np.float64]]:
    """Probabilities that rules decide on from now on, batch by batch."""
    seen: list[npt.NDArray[np.float64]] = []
    decide = Rule.decide

    def keep(self: Rule, *answers: npt.NDArray[np.float64]) -> Verdicts:
        verdicts = decide(self, *answers)
        seen.append(verdicts.probabilities)
        return verdicts

    monkeypatch.setattr(Rule, "decide", keep)
    return seen


def predicted_of_set() -> npt.NDArray[np.float64]:
    """Probabilities in predictions.csv of the images of the folder ``set``, in its own order."""
    rows = {row["path"]: row for row in read_rows(Path("predictions.csv"))}
    names = [f"set/{row['filename']}" for row in read_rows(Path("set/labels.csv"))]
    return np.array([[float(rows[name][f"p_{label}"]) for label in ("good", "gap", "bridge")] for name in names])


@pytest.mark.parametrize(
    "how", [(), ("view_scales=[1]",), ("view_scales=[1,1.001,2]",)], ids=["its own scales", "once", "nearly"]
)
def test_evaluate_sees_what_predict_sees(
    run: Run, tmp_path: Path, decided: list[npt.NDArray[np.float64]], how: tuple[str, ...]
) -> None:
    """Files of several sizes and shapes, looked at as often as they have pixels, in one batch; bars cut off."""
    save_many_scales(tmp_path / "a.ckpt", [1, 2, 4])
    run("generate", "num_per_class=4", "imaging.image_size=256", "output=set", "num_workers=1")
    shutil.rmtree(tmp_path / "set" / "masks")  # which do not fit the pieces
    for number, path in enumerate(sorted((tmp_path / "set").glob("*/*.png"))):
        height, width = ((64, 64), (128, 128), (256, 192), (60, 180))[number % 4]
        image = read_image(path, cv2.IMREAD_GRAYSCALE)[:height, :width]
        if number == 2:
            image = (with_bar(image, 40, 0, None) * 255 + 0.5).astype(np.uint8)
        cv2.imwrite(str(path), image)
    done = run("predict", "ckpt=a.ckpt", "images=set", *how)
    assert done.code == 0, done.err
    decided.clear()
    done = run("evaluate", "ckpt=a.ckpt", "data=folder", "data.root=set", "split=all", *how)
    assert done.code == 0, done.err
    expected = predicted_of_set()
    assert np.concatenate(decided) == pytest.approx(expected, abs=1e-4)
    assert expected.std(axis=0).min() > 1e-3  # answers differ


@pytest.mark.parametrize("polarity", ["dark", "bright"])
def test_evaluate_takes_negatives_of_what_is_known_to_be_dark(
    run: Run, tmp_path: Path, decided: list[npt.NDArray[np.float64]], polarity: str
) -> None:
    save_many_scales(tmp_path / "a.ckpt", [1, 2], polarity="either")
    run("generate", "num_per_class=2", "imaging.image_size=128", "output=set", "num_workers=1")
    done = run("predict", "ckpt=a.ckpt", "images=set", f"polarity={polarity}")
    assert done.code == 0, done.err
    decided.clear()
    done = run("evaluate", "ckpt=a.ckpt", "data=folder", "data.root=set", f"data.polarity={polarity}", "split=all")
    assert done.code == 0, done.err
    assert np.concatenate(decided) == pytest.approx(predicted_of_set(), abs=1e-4)


def test_a_rule_is_made_of_all_looks(run: Run, tmp_path: Path) -> None:
    save_many_scales(tmp_path / "a.ckpt", [1, 2])
    sizes = ("data.val_per_class=4", "data.calibration_per_class=2", "data.num_workers=0", "imaging.image_size=128")
    temperatures, kept = [], []
    for how in (["view_scales=[1,2]"], [], ["view_scales=[1]"]):
        done = run("calibrate", "ckpt=a.ckpt", "output=b.ckpt", "decision=argmax", *sizes, *how)
        assert done.code == 0, done.err
        written = load_classifier(tmp_path / "b.ckpt")
        temperatures.append(written.rule.temperature)
        kept.append(written.settings.view_scales)
    assert temperatures[0] == temperatures[1] != temperatures[2]
    assert kept == [(1, 2), (1, 2), (1,)]  # what a rule was made for is what the classifier looks at


def test_several_checkpoints_become_the_mean_of_their_weights(run: Run, tmp_path: Path) -> None:
    made = [save_many_scales(tmp_path / f"{seed}.ckpt", [1, 2], seed) for seed in range(3)]
    sizes = ("data.val_per_class=4", "data.calibration_per_class=4", "data.num_workers=0", "imaging.image_size=64")
    done = run("calibrate", "ckpt=[0.ckpt,1.ckpt,2.ckpt]", "output=mean.ckpt", "decision=argmax", *sizes)
    assert done.code == 0, done.err
    states = [each.state_dict() for each in made]
    for name, value in load_classifier(tmp_path / "mean.ckpt").state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value, sum(state[name] for state in states) / 3, rtol=0, atol=1e-6)


def test_weights_of_other_networks_are_not_averaged(run: Run, tmp_path: Path) -> None:
    save_many_scales(tmp_path / "a.ckpt", [1])
    save_many_scales(tmp_path / "b.ckpt", [1], network="resnet10")
    done = run("calibrate", "ckpt=[a.ckpt,b.ckpt]", "output=mean.ckpt", "imaging.image_size=64")
    assert done.code == 1 and not (tmp_path / "mean.ckpt").exists()
    assert done.err.startswith("error: ckpt: b.ckpt has network resnet10 and a.ckpt resnet18_small; name checkpoints")


def test_a_mean_knows_what_its_parts_were_trained_on(run: Run, tmp_path: Path) -> None:
    """Whichever is named first; scales that differ have to be chosen; and no training goes on from it."""
    save_many_scales(tmp_path / "a.ckpt", [1, 2])
    folder = {"root": str(tmp_path / "set"), "seed": 3, "shares": {"train": 1.0}}
    for name, scales, folders in (("b", [1, 2], folder), ("c", [1], None), ("d", [1, 2], {**folder, "seed": 4})):
        save_many_scales(tmp_path / f"{name}.ckpt", scales, folder=folders)
        state = torch.load(tmp_path / f"{name}.ckpt", weights_only=True)
        torch.save(state | {"optimizer_states": []}, tmp_path / f"{name}.ckpt")
    sizes = ("data.val_per_class=2", "data.calibration_per_class=2", "data.num_workers=0", "imaging.image_size=64",
             "decision=argmax", "output=m.ckpt")  # fmt: skip
    done = run("calibrate", "ckpt=[a.ckpt,c.ckpt]", *sizes)
    assert done.err.startswith("error: ckpt: c.ckpt has view_scales [1] and a.ckpt [1, 2]")
    done = run("calibrate", "ckpt=[a.ckpt,b.ckpt,d.ckpt]", *sizes)
    assert done.err.startswith("error: ckpt: several were trained on folders")
    assert not (tmp_path / "m.ckpt").exists()
    done = run("calibrate", "ckpt=[a.ckpt,b.ckpt,c.ckpt]", "view_scales=[1,2]", *sizes)
    assert done.code == 0, done.err
    assert load_classifier(tmp_path / "m.ckpt").settings.folder == folder
    assert "optimizer_states" not in torch.load(tmp_path / "m.ckpt", weights_only=True)
    save_many_scales(tmp_path / "e.ckpt", [1, 2], polarity="either")
    done = run("calibrate", "ckpt=[a.ckpt,e.ckpt]", *sizes)
    assert done.code == 0, done.err
    assert load_classifier(tmp_path / "m.ckpt").settings.polarity == "either"
