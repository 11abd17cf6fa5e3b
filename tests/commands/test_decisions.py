"""Rules from end to end: made by training or ``sem-calibrate``, carried by the checkpoint, obeyed by every command."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from conftest import TINY, Run, make_classifier, save_checkpoint

from sem_lightning.model.classifier import load_classifier

SIZES = ("imaging.image_size=64", "data.num_workers=0", "device=cpu", "data.val_per_class=4")


def test_calibrate_makes_a_rule_that_evaluate_and_predict_obey(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    loose = ("decision.max_escape=0.3", "decision.ood_rate=0.05", "decision.ambiguous_rate=0.05")
    done = run(
        "calibrate", f"ckpt={checkpoint}", "output=new/strict.ckpt", *SIZES, "data.calibration_per_class=20", *loose
    )
    assert done.code == 0, done.err
    assert "escape at most 0.3 with confidence 0.95" in done.out and "new/strict.ckpt holds it" in done.out
    classifier = load_classifier(tmp_path / "new" / "strict.ckpt")
    rule = classifier.rule
    assert rule.kind == "conservative" and rule.risk_bound is not None and rule.risk_bound.defects == 40
    assert np.isfinite(rule.ood_limit) and rule.margin > 0 and rule.ood is not None

    tested = run("evaluate", "ckpt=new/strict.ckpt", *SIZES, "data.test_per_class=10").result("evaluate")
    assert tested["decision"]["risk_bound"]["max_escape"] == 0.3
    assert sum(sum(row.values()) for row in tested["decided"].values()) == 30
    rates = tested["rates"]
    assert rates["capture"]["events"] + rates["escape"]["events"] == rates["escape"]["trials"] == 20

    (tmp_path / "odd").mkdir()
    cv2.imwrite(str(tmp_path / "odd" / "stripes.png"), np.tile(np.array([0, 0, 0, 255], np.uint8), (64, 64)))
    done = run("predict", "ckpt=new/strict.ckpt", "images=odd")
    assert done.code == 0 and "(conservative): good 0, gap 0, bridge 0, unsure 1" in done.out
    assert "does not hold" not in done.out
    done = run("predict", "ckpt=new/strict.ckpt", "images=odd", "view_scales=[1,1.5]")
    assert done.code == 0 and "its risk bound was made for other view_scales and does not hold with these" in done.out


def test_training_makes_the_rule_it_is_asked_for(run: Run) -> None:
    tiny = [option for option in TINY if "calibration" not in option]
    done = run("train", *tiny, "data.calibration_per_class=20", "decision=conservative", "decision.max_escape=0.2")
    assert done.code == 0, done.err
    result = done.result()
    assert result["decision"]["rule"] == "conservative" and result["decision"]["risk_bound"]["defects"] == 40
    assert load_classifier(done.run_folder() / "checkpoints" / "best.ckpt").rule.describe() == result["decision"]
    assert "conservative" in (done.run_folder() / "report.html").read_text()


@pytest.mark.parametrize("command", ["train", "calibrate"])
def test_a_promise_that_cannot_be_made_is_refused_before_anything_runs(
    run: Run, checkpoint: Path, command: str
) -> None:
    more = TINY if command == "train" else [f"ckpt={checkpoint}", "output=a.ckpt", *SIZES]
    done = run(command, *more, "decision=conservative", "data.calibration_per_class=30")
    assert done.code == 1 and done.err.count("\n") == 1
    assert done.err.startswith(
        "error: decision.max_escape: 0.01 cannot be promised with confidence 0.95 from 60 defective calibration "
        "images; that takes 299 of them"
    )
    assert "max_escape=0.049 or more" in done.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["output=a.ckpt", "decision=strict"], "decision: found 'strict', expected one of argmax, conservative"),
        (["output=a.ckpt", "decision.ood_rate=2"], "decision.ood_rate: found 2, expected a share"),
        ([], "output: needs a value: add output=... to the command"),
        (["output=."], "output: . is a folder; name a file"),
        ([f"output={__file__}/a.ckpt"], f"output: {__file__} is a file, where a folder is needed"),
    ],
)
def test_calibrate_refuses_what_cannot_be(run: Run, checkpoint: Path, arguments: list[str], message: str) -> None:
    done = run("calibrate", f"ckpt={checkpoint}", *SIZES, *arguments)
    assert done.code == 1 and done.err.startswith(f"error: {message}") and done.err.count("\n") == 1


def test_a_folder_of_training_images_divided_otherwise_is_refused(run: Run, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for label in ("good", "gap"):
        (tmp_path / "set" / label).mkdir(parents=True)
        for number in range(20):
            image = rng.integers(0, 255, (32, 32), dtype=np.uint8)
            cv2.imwrite(str(tmp_path / "set" / label / f"{number}.png"), image)
    shares = "data.shares={train: 0.5, val: 0.3, test: 0.2, calibration: 0}"
    folder = ("data=folder", "data.root=set", "data.num_workers=0", shares)
    small = ("data.image_size=32", "model.network=resnet18_small", "trainer.accelerator=cpu", "logger=none")
    more = (*small, "trainer.max_epochs=1", "callbacks.progress_bar=false")
    trained = run("train", *folder, *more, "seed=3")
    assert trained.code == 0, trained.err  # there are no calibration images, which is no error for argmax
    best = f"ckpt={trained.run_folder() / 'checkpoints' / 'best.ckpt'}"
    assert run("evaluate", best, *folder).code == 0
    done = run("evaluate", best, *folder, "split=all")
    assert done.code == 1 and "was trained on some images of this folder; use split=test" in done.err
    for change in ("seed=1", "data.shares={train: 0, val: 0.3, test: 0.2, calibration: 0.5}"):
        done = run("evaluate", best, *folder, change)
        assert done.code == 1 and "ckpt: it was trained on this folder, divided with seed=3" in done.err
    assert run("calibrate", best, *folder, "decision=argmax", "output=small.safetensors").code == 0
    picture = next(tmp_path.glob("set/*/*.png"))
    for target, source in ((picture, "data.root"), (tmp_path / "small.safetensors", "ckpt")):
        before = target.read_bytes()
        done = run("calibrate", "ckpt=small.safetensors", *folder, "decision=argmax", f"output={target}")
        assert done.code == 1 and f"which {source}=... reads" in done.err and target.read_bytes() == before
    assert run("evaluate", "ckpt=small.safetensors", *folder).code == 0  # it knows its seed, too
    done = run("evaluate", "ckpt=small.safetensors", *folder, "seed=0")
    assert done.code == 1 and "ckpt: it was trained on this folder, divided with seed=3" in done.err
    (tmp_path / "set" / "gap" / "19.png").rename(tmp_path / "set" / "gap" / "another.png")  # divides all gaps anew
    done = run("evaluate", best, *folder)
    assert done.code == 1 and "whose images have changed since" in done.err and done.err.count("\n") == 1
    last = best.replace("ckpt=", "resume_from=").replace("best.ckpt", "last.ckpt")
    done = run("train", *folder, *more, last, "seed=3", "trainer.max_epochs=2")
    assert done.code == 1 and "was trained on have changed since" in done.err and done.err.count("\n") == 1


def test_a_folder_that_labels_divide_is_known_as_well(run: Run, tmp_path: Path) -> None:
    rows = ["filename,label,split"]
    (tmp_path / "set").mkdir()
    for number in range(24):
        image = np.random.default_rng(number).integers(0, 255, (32, 32), dtype=np.uint8)
        cv2.imwrite(str(tmp_path / "set" / f"{number}.png"), image)
        rows.append(f"{number}.png,{('good', 'gap')[number % 2]},{('train', 'val', 'test')[number // 8]}")
    (tmp_path / "set" / "labels.csv").write_text("\n".join(rows))
    folder = ("data=folder", "data.root=set", "data.num_workers=0")
    more = ("trainer.accelerator=cpu", "data.image_size=32", "model.network=resnet18_small")
    trained = run("train", *folder, *more, "trainer.max_epochs=1", "logger=none")
    assert trained.code == 0, trained.err
    best = f"ckpt={trained.run_folder() / 'checkpoints' / 'best.ckpt'}"
    (tmp_path / "set" / "labels.csv").write_text("\n".join(rows[:-1]))
    assert run("evaluate", best, *folder, "seed=1").code == 0  # no chance divides it, and tests may change
    (tmp_path / "set" / "labels.csv").write_text("\n".join([*rows[:9], rows[9].replace(",val", ",test"), *rows[10:]]))
    done = run("evaluate", best, *folder)
    assert done.code == 1 and "whose labels.csv has other images in train and val now" in done.err
    (tmp_path / "set" / "labels.csv").write_text("\n".join(rows))
    done = run("evaluate", best, *folder, "split=all")
    assert done.code == 1 and "was trained on some images of this folder; use split=test" in done.err
    (tmp_path / "set" / "labels.csv").write_text("\n".join(row.rpartition(",")[0] for row in rows))
    done = run("evaluate", best, *folder)
    assert (
        done.code == 1 and "column split of labels.csv, which is missing now" in done.err and done.err.count("\n") == 1
    )
    last = best.replace("ckpt=", "resume_from=").replace("best.ckpt", "last.ckpt")
    done = run("train", *folder, *more, last)
    assert done.code == 1 and "was trained on have changed since" in done.err and done.err.count("\n") == 1


def test_a_rule_in_a_small_file_is_made_for_what_that_file_answers(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    """Half precision moves answers, and all that is fitted to them."""
    more = (*SIZES, "data.calibration_per_class=2", "decision=argmax")
    fitted = []
    for ckpt, output in ((checkpoint, "a.safetensors"), ("a.safetensors", "b.ckpt"), (checkpoint, "c.ckpt")):
        done = run("calibrate", f"ckpt={ckpt}", f"output={output}", *more)
        assert done.code == 0, done.err
        fitted.append(load_classifier(tmp_path / output).rule.temperature)
    assert fitted[0] == fitted[1] != fitted[2]


@pytest.mark.parametrize("command", ["evaluate", "calibrate"])
@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("trainer.precision=bf16-mixed", "trainer: no such key"),  # they answer as sem-predict does
        ("trainer=cpu", "trainer"),
        ("device=gpu", "device: found 'gpu', expected auto, cpu, cuda or cuda:N"),
    ],
)
def test_a_device_is_all_that_is_said_of_how_to_compute(
    run: Run, checkpoint: Path, command: str, argument: str, message: str
) -> None:
    output = ["output=a.ckpt"] if command == "calibrate" else []
    done = run(command, f"ckpt={checkpoint}", *SIZES[:2], *output, argument)
    assert done.code == 1 and done.err.startswith("error: ") and message in done.err, done.err
    assert done.err.count("\n") == 1


def test_two_checkpoints_side_by_side(run: Run, checkpoint: Path, tmp_path: Path, figures: None) -> None:
    torch.manual_seed(1)
    save_checkpoint(make_classifier(network="resnet10"), tmp_path / "other.ckpt")
    done = run("evaluate", f"ckpt=[{checkpoint},other.ckpt]", *SIZES, "data.test_per_class=8", "explain=4")
    assert done.code == 0, done.err
    report = done.result("evaluate")
    alone = [one["metrics"]["test/accuracy"] for one in report["models"]]
    right = report["comparisons"][0]["tests"][0]
    assert right["what"] == "right class" and right["images"] == 24
    assert round((alone[0] - alone[1]) * 24) == right["first_only"] - right["second_only"]
    assert all(one["pointing"]["saliency"]["trials"] == 4 for one in report["models"])
    folder = done.run_folder("evaluate")
    assert "other.ckpt" in (folder / "report.html").read_text() and (folder / "2" / "curves.png").is_file()
    assert list((folder / "tensorboard" / "2").glob("events*"))

    save_checkpoint(make_classifier(image_size=32), tmp_path / "small.ckpt")
    done = run("evaluate", f"ckpt=[{checkpoint},small.ckpt]", *SIZES)
    assert done.code == 1 and "ckpt: small.ckpt has image_size 32" in done.err
