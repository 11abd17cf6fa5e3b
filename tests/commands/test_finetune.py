"""experiment=finetune goes on from a trained classifier, and keeps of it what a handful of images must not spoil."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from conftest import Run, make_simulator

from sem_lightning.data.folder_splits import split_files
from sem_lightning.data.labelled_folder import read_folder
from sem_lightning.model.classifier import load_classifier
from sem_lightning.synthesis.simulator import render
from sem_lightning.training.start import _balance

QUICK = (
    "experiment=finetune", "data.root=mine", "data.image_size=64", "data.shares={train: 0.5, val: 0.25, test: 0.25, "
    "calibration: 0}", "trainer.accelerator=cpu", "trainer.max_epochs=2", "callbacks.progress_bar=false",
)  # fmt: skip


def write_labelled(folder: Path, names: tuple[str, ...] = ("good", "gap", "bridge"), each: int = 4) -> None:
    simulator = make_simulator("imaging.image_size=64", "noise=low")
    for number, name in enumerate(names):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for index in range(each):
            scene = simulator.draw(1, 0, 3 * index + number, simulator.classes[number % 3])
            cv2.imwrite(str(folder / name / f"{index}.png"), np.asarray(render(scene).image))


def test_stem_and_batch_norms_stay_and_the_rest_learns(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    write_labelled(tmp_path / "mine")
    done = run("train", *QUICK, f"init_from={checkpoint}")
    assert done.code == 0, done.err
    before = load_classifier(checkpoint).net.state_dict()
    after = load_classifier(done.run_folder() / "checkpoints/best.ckpt").net.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert {"class_head.weight", "backbone.layer4.1.conv2.weight", "backbone.layer2.0.conv1.weight"} <= changed
    assert not any("bn" in name or "running" in name or "downsample.1" in name for name in changed)
    assert not any(name.startswith(("backbone.conv1", "backbone.layer1")) for name in changed)
    assert json.loads((done.run_folder() / "result.json").read_text())["train_images"] >= 6


def test_the_same_classes_in_folders_keep_their_answers(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    write_labelled(tmp_path / "mine")  # by name the folders are bridge, gap, good
    done = run("train", *QUICK, f"init_from={checkpoint}", "trainer.max_epochs=1", "model.learning_rate=1e-9")
    assert done.code == 0, done.err
    before, after = load_classifier(checkpoint), load_classifier(done.run_folder() / "checkpoints/best.ckpt")
    assert after.classes == before.classes
    for name in ("class_head.weight", "map_heads.0.weight"):
        assert torch.allclose(before.net.state_dict()[name], after.net.state_dict()[name], atol=1e-6)
    assert after.settings.polarity == "bright" and after.settings.pixel_size == 1.0


def test_who_learns_from_images_as_they_are_need_not_know_negatives(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    state = torch.load(checkpoint, weights_only=True)
    state["hyper_parameters"]["settings"]["polarity"] = "either"
    torch.save(state, tmp_path / "either.ckpt")
    write_labelled(tmp_path / "mine")
    for known, kept in (((), None), (("data.polarity=dark",), "dark")):
        done = run("train", *QUICK, "init_from=either.ckpt", "trainer.max_epochs=1", *known)
        assert done.code == 0, done.err
        assert load_classifier(done.run_folder() / "checkpoints/best.ckpt").settings.polarity == kept


@pytest.mark.parametrize("name", ["gapp", "Gap", "gaps"])
def test_a_misspelt_class_is_no_new_one(run: Run, checkpoint: Path, tmp_path: Path, name: str) -> None:
    write_labelled(tmp_path / "mine", ("good", name, "bridge"))
    done = run("train", *QUICK, f"init_from={checkpoint}")
    assert done.code == 1 and f"data.root: found the class {name}, and init_from knows gap; rename it" in done.err


def test_other_classes_get_new_answers_over_the_same_features(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    write_labelled(tmp_path / "mine", ("good", "scratch"))
    done = run("train", *QUICK, f"init_from={checkpoint}", "trainer.max_epochs=1", "model.learning_rate=1e-9")
    assert done.code == 0, done.err
    assert "init_from knows good, gap, bridge: the class head for good, scratch is new" in done.out
    before = load_classifier(checkpoint).net.state_dict()
    after = load_classifier(done.run_folder() / "checkpoints/best.ckpt")
    assert after.classes == ["good", "scratch"]
    mixed = run("train", *QUICK, f"init_from={checkpoint}", "model.wise_ft_alpha=0.5")
    assert mixed.code == 1 and "model.wise_ft_alpha: init_from knows good, gap, bridge" in mixed.err
    name = "backbone.layer3.0.conv1.weight"
    assert torch.allclose(before[name], after.net.state_dict()[name], atol=1e-6)


def test_folds_test_every_image_once_by_a_classifier_that_never_saw_it(
    run: Run, checkpoint: Path, tmp_path: Path
) -> None:
    write_labelled(tmp_path / "mine", each=5)
    done = run("train", *QUICK, f"init_from={checkpoint}", "data.folds=3", "trainer.max_epochs=1")
    assert done.code == 0, done.err
    result = json.loads((done.run_folder() / "result.json").read_text())
    assert result["counts"] == {"good": 5, "gap": 5, "bridge": 5}
    assert [fold["test_images"] for fold in result["folds"]] == [6, 6, 3]  # of five images two, two and one
    right = sum(result["confusion"][label][label] for label in range(3))
    assert sum(round(fold["accuracy"] * fold["test_images"]) for fold in result["folds"]) == right
    assert "fold 3 of 3" in done.out and (done.run_folder() / "report.html").is_file()
    first = load_classifier(Path(result["folds"][0]["checkpoint"]))
    assert first.settings.folder is not None and first.settings.folder["fold"] == [0, 3]
    # its training images must not be judged as unseen ones
    again = run("evaluate", f"ckpt={result['folds'][0]['checkpoint']}", "data=folder", "data.root=mine")
    assert again.code == 1 and "all folds of this folder except number 1" in again.err


def test_weights_lie_between_those_before_and_after_training(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    write_labelled(tmp_path / "mine")
    states = [load_classifier(checkpoint).state_dict()]
    for alpha in ("1", "0.7"):
        options = (f"model.wise_ft_alpha={alpha}", f"hydra.run.dir={alpha}")
        done = run("train", *QUICK, f"init_from={checkpoint}", *options)
        assert done.code == 0, done.err
        states.append(load_classifier(tmp_path / alpha / "checkpoints" / "best.ckpt").state_dict())
    start, full, some = states
    changed = [name for name, value in start.items() if value.is_floating_point() and not value.equal(full[name])]
    assert changed
    for name, value in start.items():
        expected = value + 0.7 * (full[name] - value) if value.is_floating_point() else full[name]
        assert torch.allclose(some[name], expected, atol=1e-6), name


@pytest.mark.parametrize("folds", [3, 5])
def test_folds_divide_every_class(folds: int, tmp_path: Path) -> None:
    write_labelled(tmp_path / "mine", each=7)
    files, classes = read_folder(tmp_path / "mine", None, "error")
    tested: list[Path] = []
    for number in range(folds):
        splits = split_files(files, classes, {}, 0, (number, folds))
        parts = [{file.path for file in splits[split]} for split in ("train", "val", "test")]
        assert sum(map(len, parts)) == len(set().union(*parts)) == 21
        assert all({file.label for file in splits[split]} == set(classes) for split in ("train", "val", "test"))
        tested += parts[2]
    assert sorted(tested) == sorted(file.path for file in files)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("data.folds=2",), "data.folds: found 2, expected 3 to 1000"),
        (("data.folds=5",), "data.folds: found 5, but of class good there are 4 images; use no more folds"),
        (
            ("data.folds=3", "resume_from=last.ckpt"),
            "resume_from: goes on with one training, not with one for each",
        ),
        (("init_from=nothing.ckpt",), "init_from: nothing.ckpt: No such file"),
        (("init_from=null",), "model.frozen: what starts from nothing has to learn"),
        (("model.wise_ft_alpha=0",), "model.wise_ft_alpha: found 0, expected a number above 0, to 1"),
        (("model.wise_ft_alpha=1.5",), "model.wise_ft_alpha: found 1.5, expected a number above 0, to 1"),
        (
            ("init_from=null", "model.frozen=nothing", "model.wise_ft_alpha=0.5"),
            "model.wise_ft_alpha: interpolates with a classifier to start from; give init_from, or use 1",
        ),
        (("model.frozen=all",), "model.frozen: found 'all', expected one of nothing, stem"),
        (("data.polarity=dark",), "init_from: it was trained on bright features; the data has dark ones"),
        (("model.weights_path=w.pth",), "model.pretrained: init_from brings weights of its own"),
        (("model=resnet10",), "model.network: found resnet10; what starts from init_from keeps its resnet18_small"),
        (
            ("model.view_scales=[1,2]",),
            "model.view_scales: found [1.0, 2.0]; what starts from init_from keeps its [1",
        ),
    ],
)
def test_mistakes_are_one_line(
    run: Run, checkpoint: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    write_labelled(tmp_path / "mine")
    done = run("train", *QUICK, f"init_from={checkpoint}", *arguments)
    assert done.code == 1 and done.err.startswith(f"error: {message}") and len(done.err.splitlines()) == 1


def test_rare_classes_weigh_as_much_as_common_ones() -> None:
    weights = _balance([80, 10, 10])
    assert weights == pytest.approx([100 / 240, 100 / 30, 100 / 30])
    assert np.dot(weights, [80, 10, 10]) == pytest.approx(100)
