"""``train.py`` as typed: what it writes, how it resumes, what it refuses."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from conftest import TINY, Run, read_image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sem_lightning.model.classifier import SEMClassifier, load_classifier

REPOSITORY = Path(__file__).parents[2]


def load_weights(path: Path) -> dict[str, torch.Tensor]:
    weights: dict[str, torch.Tensor] = torch.load(path, weights_only=True)["state_dict"]
    return weights


def same_weights(one: Path, other: Path) -> bool:
    a, b = load_weights(one), load_weights(other)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_a_run_leaves_everything_a_reader_needs(run: Run, figures: None) -> None:
    done = run("train", *TINY, "trainer.max_epochs=2", "seed=0")
    assert done.code == 0, done.err
    folder, result = done.run_folder(), done.result()
    for name in ("config.yaml", "confusion_matrix.png", "samples.png", "train.log"):
        assert (folder / name).stat().st_size > 0, name
    assert (folder / "report.html").stat().st_size > 50_000
    assert read_image(folder / "samples.png").shape[0] > 100

    classes = ("good", "gap", "bridge")
    names = {f"test/{metric}_{label}" for metric in ("accuracy", "precision", "recall", "f1") for label in classes}
    assert names | {"test/accuracy", "val/loss"} == set(result["metrics"])
    assert result["counts"] == dict.fromkeys(classes, 4) and result["test_images"] == 12
    assert sum(map(sum, result["confusion"])) == 12
    assert result["seed"] == 0 and result["train_images"] == 48 and result["train_seconds"] > 0
    assert torch.__version__.startswith(result["versions"]["torch"])
    assert result["intervals_95"]["test/accuracy"][0] <= result["metrics"]["test/accuracy"]

    best = folder / "checkpoints" / "best.ckpt"
    assert best.stat().st_size < 50e6
    classifier = load_classifier(best)
    assert classifier.classes == list(classes)
    assert (classifier.settings.polarity, classifier.settings.pixel_size) == ("bright", 1.0)
    assert (folder / "checkpoints" / "last.ckpt").is_file()
    assert "accuracy" in done.out and "bridge" in done.out and "images/s" in done.out


def test_tensorboard_reads_the_events_back(run: Run, figures: None) -> None:
    done = run("train", *TINY, "trainer.max_epochs=2", "logger=tensorboard", "logger.every_n_steps=1")
    events = EventAccumulator(str(done.run_folder() / "tensorboard"))
    events.Reload()
    tags = events.Tags()
    expected = {"train/loss", "train/label_loss", "train/mask_loss", "val/loss", "val/accuracy", "test/accuracy"}
    expected |= {f"{split}/accuracy_{label}" for split in ("val", "test") for label in ("good", "gap", "bridge")}
    assert expected <= set(tags["scalars"])
    assert any(tag.startswith("lr-") for tag in tags["scalars"])
    assert {"test/confusion_matrix", "test/samples"} <= set(tags["images"])
    assert len(events.Scalars("val/accuracy")) == 2
    layout = events.Tensors("custom_scalars__config__")[0].tensor_proto.string_val[0]
    assert b"accuracy_good" in layout and b"accuracy_bridge" in layout
    assert events.Scalars("test/accuracy")[0].value == pytest.approx(done.result()["metrics"]["test/accuracy"])
    assert "_hparams_/session_start_info" in events.summary_metadata
    assert events.Scalars("final/accuracy")[0].value == pytest.approx(done.result()["metrics"]["test/accuracy"])


def test_the_same_seed_gives_the_same_run_and_another_another(run: Run, trained: Path) -> None:
    same = run("train", *TINY, "seed=5").run_folder()
    other = run("train", *TINY, "seed=4").run_folder()
    assert same_weights(trained / "checkpoints/last.ckpt", same / "checkpoints/last.ckpt")
    assert not same_weights(trained / "checkpoints/last.ckpt", other / "checkpoints/last.ckpt")


@pytest.mark.parametrize("schedule", ["constant", "linear", "onecycle"])
def test_a_resumed_run_ends_where_an_unbroken_one_does(
    run: Run, monkeypatch: pytest.MonkeyPatch, schedule: str
) -> None:
    """With all that an epoch can differ in from the one before."""
    more = ("model.augmix_weight=4", "data.large_field_every=2", "data.large_field_size=96", "trainer.max_epochs=2")
    options = (*TINY, "data.num_workers=1", f"model.schedule={schedule}", "data.train_per_class=4", *more)
    whole = run("train", *options).run_folder()
    step = SEMClassifier.training_step

    def break_off(classifier: SEMClassifier, batch: dict[str, torch.Tensor], index: int) -> torch.Tensor:
        if classifier.current_epoch == 1:
            raise KeyboardInterrupt
        return step(classifier, batch, index)

    with monkeypatch.context() as patch:
        patch.setattr(SEMClassifier, "training_step", break_off)
        stopped = run("train", *options)
    assert stopped.code == 130
    resumed = run("train", *options, f"resume_from={stopped.run_folder()}/checkpoints/last.ckpt")
    assert resumed.code == 0, resumed.err
    assert same_weights(whole / "checkpoints/last.ckpt", resumed.run_folder() / "checkpoints/last.ckpt")
    assert resumed.result()["train_images"] == 12  # of this run, not of the first
    assert resumed.result()["metrics"] == json.loads((whole / "result.json").read_text())["metrics"]
    assert same_weights(whole / "checkpoints/best.ckpt", resumed.run_folder() / "checkpoints/best.ckpt")


def test_the_default_recipe_can_be_resumed_for_more_epochs(run: Run, trained: Path) -> None:
    more = run("train", *TINY, "trainer.max_epochs=2", f"resume_from={trained}/checkpoints/last.ckpt")
    assert more.code == 0, more.err
    assert more.result()["epochs"] == 2


@pytest.mark.parametrize(
    ("broken_epoch", "others"),
    [(0, ()), (1, ()), (1, ("trainer.check_val_every_n_epoch=3",))],
    ids=["first epoch", "second epoch", "before the next validation"],
)
def test_a_training_that_diverges_ends_and_keeps_what_was_whole(
    run: Run, monkeypatch: pytest.MonkeyPatch, broken_epoch: int, others: tuple[str, ...]
) -> None:
    step = SEMClassifier.training_step

    def broken_later(self: SEMClassifier, batch: dict[str, torch.Tensor], index: int) -> torch.Tensor:
        return step(self, batch, index) * (float("nan") if self.current_epoch == broken_epoch else 1)

    monkeypatch.setattr(SEMClassifier, "training_step", broken_later)
    done = run("train", *TINY, "trainer.max_epochs=6", *others)
    said = f"training stopped after epoch {broken_epoch + 1}, when weights were NaN or infinite; a model.learning_rate"
    said += " below"
    assert said in done.out + done.err, done.err
    kept = list((done.run_folder() / "checkpoints").glob("*.ckpt"))
    if broken_epoch == 0 or others:  # no epoch was validated before
        assert done.code == 1 and done.err.count("\n") == 1
        assert not (done.run_folder() / "result.json").exists()
        assert [path.name for path in kept] == ["last.ckpt"] * broken_epoch
    else:
        assert done.code == 0 and done.result()["epochs"] == 2 and len(kept) == 2
        assert "the best epoch before is tested" in done.out
    for path in kept:
        assert all(value.isfinite().all() for value in load_weights(path).values() if value.is_floating_point()), path


def test_a_folder_trains_exactly_as_the_same_images_on_the_fly(run: Run) -> None:
    shares = "shares={train:0.5,val:0.2,test:0.3,calibration:0}"
    run("generate", "num_per_class=10", shares, "imaging.image_size=64", "output=set", "seed=2", "num_workers=1")
    sizes = ("data.train_per_class=5", "data.val_per_class=2", "data.test_per_class=3")
    common = ("seed=2", "data.batch_size=8", "data.num_workers=0", "trainer.accelerator=cpu", "trainer.max_epochs=2",
              "callbacks.progress_bar=false", "model.network=resnet18_small")  # fmt: skip
    fly = run("train", "data=fixed", "imaging.image_size=64", "data.calibration_per_class=0", *sizes, *common)
    folder = run("train", "data=folder", "data.root=set", "data.image_size=64", *common)
    assert fly.code == folder.code == 0, fly.err + folder.err
    runs = sorted((fly.folder / "outputs" / "train").iterdir())
    assert same_weights(runs[0] / "checkpoints/last.ckpt", runs[1] / "checkpoints/last.ckpt")
    one, other = (json.loads((path / "result.json").read_text()) for path in runs)
    assert one["metrics"] == other["metrics"] and one["confusion"] == other["confusion"]
    assert load_classifier(runs[1] / "checkpoints/best.ckpt").settings.polarity == "bright"


def test_every_way_to_learn_more_from_an_image_runs(run: Run) -> None:
    ways = ("data.small_field_epochs=1", "data.easy_epochs=1", "data.paired_negatives=true", "data.small_field_size=48",
            "data.large_field_every=2", "data.large_field_size=96",
            "defect.gap.length=[0.5,1]", "defect.bridge.length=[0.5,1]")  # fmt: skip
    done = run("train", *TINY, *ways, "trainer.max_epochs=2", "callbacks=early_stopping", "logger=csv")
    assert done.code == 0, done.err
    assert list(done.run_folder().glob("csv/metrics.csv"))
    done = run("train", *TINY, "model=plain", "data.class_weights=[2,1,1]", "model.schedule=linear")
    assert done.code == 0, done.err


def test_pretrained_weights_come_from_a_local_file(run: Run, tmp_path: Path) -> None:
    from torchvision.models import resnet18

    net = resnet18(weights=None)
    net.train()(torch.randn(2, 3, 32, 32))
    torch.save(net.state_dict(), tmp_path / "imagenet.pth")
    done = run("train", *TINY, "model.network=resnet18", f"model.weights_path={tmp_path}/imagenet.pth")
    assert done.code == 0, done.err
    done = run("train", *TINY, "model.network=resnet18", "model.weights_path=nowhere.pth")
    assert done.code == 1 and "nowhere.pth: No such file" in done.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["noise.sgima=1"], "noise.sgima: no such key; the keys are "),
        (["+noise.sgima=1"], "noise.sgima: no such key; the keys are dose"),
        (["model.learning_rate=fast"], "model.learning_rate: found 'fast', expected a number"),
        (["noise=loud"], "noise: found 'loud', expected one of any, extreme, high, low, none, paper, typical"),
        (["foo=1"], "foo: no such key; the keys are "),
        (["trainer.max_epoch=1"], "trainer.max_epoch: Key 'max_epoch' is not in struct"),
        (["+trainer.foo=1"], "unexpected keyword argument 'foo'"),
        (["noise.dose=[9,3]"], "noise.dose: low end 9 is above high end 3"),
        (["data.batch_size=1"], "data.batch_size: found 1, expected 2 to 65536"),
        (["data.train_per_class=0"], "data.train_per_class: found 0"),
        (["data.class_weights=[1,2]"], "data.class_weights: found"),
        (["model.schedule=steps"], "model.schedule: found 'steps', expected one of constant, linear, onecycle"),
        (["model.augmix_weight=-1"], "model.augmix_weight: found -1, expected a number from 0"),
        (["model.augmix_weight=nan"], "model.augmix_weight: found nan, expected a number from 0"),
        (
            ["data.large_field_every=2", "data.large_field_size=64"],
            "data.large_field_size: found 64, expected more than",
        ),
        (["optimized_metric=test/luck"], "optimized_metric: found 'test/luck'"),
        (
            ["callbacks.monitor=val/acuracy"],
            "callbacks.monitor: found 'val/acuracy', expected one of val/loss, val/acc",
        ),
        (["+trainer.limit_test_batches=1"], "trainer.limit_test_batches: every image of the test split is judged"),
        (["seed=-1"], "seed: found -1"),
        (["data=folder"], "data.root: needs a value"),
        (["data=folder", "data.root=nowhere"], "data.root: nowhere is not a folder"),
        (["resume_from=nowhere.ckpt"], "nowhere.ckpt: No such file"),
        (["hydra.run.dir=/dev/null/run"], "/dev/null/run: Not a directory"),
    ],
)
def test_mistakes_get_one_line_before_anything_runs(run: Run, arguments: list[str], message: str) -> None:
    done = run("train", *arguments)
    assert done.code == 1
    assert done.err.startswith(f"error: {message}") or message in done.err
    assert done.err.count("\n") == 1, done.err
    assert not list(done.folder.glob("outputs/**/result.json"))


def test_checkpoints_that_do_not_fit_are_refused(run: Run, tmp_path: Path, trained: Path) -> None:
    best, last = (trained / "checkpoints" / name for name in ("best.ckpt", "last.ckpt"))
    refused = run("train", *TINY, f"resume_from={best}")
    assert refused.code == 1 and "resume from last.ckpt" in refused.err
    state = torch.load(last, weights_only=True)
    state["hyper_parameters"]["settings"]["classes"] = ["good", "open", "short"]
    torch.save(state, tmp_path / "other.ckpt")
    refused = run("train", *TINY, f"resume_from={tmp_path}/other.ckpt")
    assert refused.code == 1 and "with classes ['good', 'open', 'short']; the data has ['good', 'gap'" in refused.err
    refused = run("train", *TINY, "imaging.polarity=dark", f"resume_from={last}")
    assert refused.code == 1 and "with polarity bright; the data has dark" in refused.err


def test_a_schedule_needs_an_end(run: Run) -> None:
    done = run("train", *TINY, "trainer.max_epochs=-1")
    assert done.code == 1 and "model.schedule: onecycle must know the end of training" in done.err
    assert "Traceback" not in done.err


def test_an_earlier_result_does_not_outlive_a_new_start(run: Run) -> None:
    done = run("train", *TINY, "hydra.run.dir=outputs/train/here")
    assert (done.run_folder() / "result.json").is_file()
    done = run("train", *TINY, "hydra.run.dir=outputs/train/here", "noise.dose=-1")
    assert not (done.run_folder() / "result.json").exists()
    assert "noise.dose" in json.loads((done.run_folder() / "error.json").read_text())["error"]


def test_a_file_that_breaks_during_training_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from sem_lightning.data import sources
    from sem_lightning.data.folder_splits import check_complete

    run("generate", "num_per_class=10", "imaging.image_size=64", "output=set", "num_workers=1")

    def break_one(*arguments: object) -> None:
        check_complete(*arguments)  # type: ignore[arg-type]
        for path in Path("set/gap").iterdir():
            path.write_bytes(b"")

    monkeypatch.setattr(sources, "check_complete", break_one)
    done = run("train", "data=folder", "data.root=set", "data.image_size=64", "data.num_workers=1", "trainer=cpu",
               "trainer.max_epochs=1", "callbacks.progress_bar=false")  # fmt: skip
    assert done.code == 1 and "the file is empty" in done.err.splitlines()[-1]
    assert done.err.splitlines()[-1].startswith("error: set/gap/gap_")


def test_help_and_config_are_printed(run: Run) -> None:
    done = run("train", "--help")
    assert done.code == 0 and "python train.py -m noise=none,low,typical,high" in done.out
    done = run("train", "--cfg", "job", "noise=high")
    assert done.code == 0 and "dose:\n  - 8\n  - 40" in done.out


def start(folder: Path, *arguments: str, file_limit: str = "unlimited") -> subprocess.Popen[str]:
    command = [sys.executable, str(REPOSITORY / "train.py"), *TINY, *arguments]
    return subprocess.Popen(
        ["bash", "-c", f'ulimit -f {file_limit}; exec "$@"', "bash", *command],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


@pytest.mark.parametrize(
    ("number", "code", "said"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_a_signal_keeps_what_is_whole_and_says_how_to_go_on(
    tmp_path: Path, number: signal.Signals, code: int, said: str
) -> None:
    process = start(tmp_path, "trainer.max_epochs=1000", "data.num_workers=1", "logger=none")
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("outputs/train/*/checkpoints/last.ckpt")):
        assert time.monotonic() < deadline and process.poll() is None, process.communicate()
        time.sleep(0.2)
    process.send_signal(number)
    try:
        _, err = process.communicate(timeout=30)
    finally:
        process.kill()
    [last] = tmp_path.glob("outputs/train/*/checkpoints/last.ckpt")
    assert process.returncode == code and f"error: {said}; resume with resume_from={last}" in err, err
    assert "Traceback" not in err and load_weights(last)
    assert not list(tmp_path.glob("outputs/train/*/result.json"))


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    # no file may grow beyond 5 MB, so the first checkpoint cannot be written
    process = start(tmp_path, "logger=none", file_limit="5000")
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert err.strip().splitlines()[-1].startswith("error: ") and "File too large" in err and "Traceback" not in err
    assert not list(tmp_path.glob("outputs/train/*/result.json"))
    assert not list(tmp_path.glob("outputs/train/*/checkpoints/best.ckpt"))


@pytest.mark.slow
def test_the_paper_recipe_beats_the_study(run: Run) -> None:
    done = run("train", "experiment=paper", "trainer.accelerator=cpu", "callbacks.progress_bar=false")
    assert done.result()["metrics"]["test/accuracy"] > 0.893


def test_mlflow_hears_where_it_writes_and_no_password_is_repeated(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    done = run("train", *TINY, "logger=mlflow")
    assert done.code == 1 and "set MLFLOW_TRACKING_URI" in done.err
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:hunter2@127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    done = run("train", *TINY, "logger=mlflow")
    assert done.code == 1 and "MLflow cannot write to http://127.0.0.1:9" in done.err
    kept = [path for path in done.folder.rglob("*") if path.is_file() and b"hunter2" in path.read_bytes()]
    assert "hunter2" not in done.out + done.err and not kept


def test_compiling_without_a_compiler_is_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    done = run("train", *TINY, "model.compile=true")
    assert done.code == 1 and "model.compile: needs a C++ compiler, and there is no no-such-compiler" in done.err


@pytest.mark.slow
def test_a_compiled_network_learns_the_same(run: Run) -> None:
    losses = []
    for compiled in ("false", "true"):
        done = run("train", *TINY, f"model.compile={compiled}", "logger=none")
        assert done.code == 0, done.err
        losses.append(done.result()["metrics"]["val/loss"])
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)
