"""Two processes on the CPU train what one would with the same batches, and divide all images between them."""

import csv
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch
from conftest import TINY, Run, make_classifier
from hypothesis import given
from hypothesis import strategies as st

from sem_lightning.data import datamodule
from sem_lightning.data.splits import EpochSampler

REPOSITORY = Path(__file__).parents[2]
# batch norms as they are: of half a batch they would see half the images
COMPARABLE = (*TINY, "model.frozen=stem", "model.mask_weight=0", "trainer.max_epochs=2", "logger=csv")


def train(folder: Path, *arguments: str) -> dict[str, object]:
    """``python train.py``, as Lightning starts its second process again from the first one's command line."""
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "train.py"), *arguments, f"hydra.run.dir={folder}"],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        cwd=folder.parent,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("report in") == 1  # the first process alone speaks
    result: dict[str, object] = json.loads((folder / "result.json").read_text())
    return result


def read_losses(folder: Path) -> list[float]:
    """Of validation, after each epoch."""
    with (folder / "csv/metrics.csv").open(newline="") as stream:
        return [float(row["val/loss"]) for row in csv.DictReader(stream) if row["val/loss"]]


def test_two_processes_learn_what_one_does(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    arguments = (*COMPARABLE, f"init_from={checkpoint}")
    assert run("train", *arguments, "hydra.run.dir=one").code == 0
    one = json.loads((tmp_path / "one" / "result.json").read_text())
    (tmp_path / "conf").mkdir()  # which is then looked into: one flag more for the second process, too
    two = train(tmp_path / "two", "trainer=ddp_cpu", *arguments)
    weights = [torch.load(tmp_path / name / "checkpoints/last.ckpt")["state_dict"] for name in ("one", "two")]
    # where a gradient is next to nothing, Adam's step may have either sign
    apart = {name: (weights[0][name].float() - weights[1][name].float()).abs() for name in weights[0]}
    assert max(float(each.mean()) for each in apart.values()) < 1e-6
    assert max(float(each.max()) for each in apart.values()) < 2e-3
    start = torch.load(checkpoint)["state_dict"]
    name = "net.backbone.layer4.0.conv1.weight"
    assert (weights[0][name] - start[name]).abs().max() > 1e-3  # they did learn
    losses = [read_losses(tmp_path / name) for name in ("one", "two")]
    assert len(losses[0]) == 2 and losses[0] == pytest.approx(losses[1], rel=1e-4)
    for key in ("metrics", "confusion", "train_images", "test_images"):
        assert one[key] == pytest.approx(two[key]) if key == "metrics" else one[key] == two[key], key


@given(size=st.integers(1, 60), ranks=st.integers(1, 5), group=st.sampled_from([1, 2]), epoch=st.integers(0, 3))
def test_no_image_is_trained_on_twice_and_few_are_left_out(size: int, ranks: int, group: int, epoch: int) -> None:
    size *= group
    samplers = [EpochSampler(size, 3, group, rank, ranks) for rank in range(ranks)]
    for sampler in samplers:
        sampler.set_epoch(epoch)
    shares = [list(sampler) for sampler in samplers]
    assert [len(share) for share in shares] == [len(sampler) for sampler in samplers] == [len(shares[0])] * ranks
    together = Counter(index for share in shares for index in share)
    assert max(together.values(), default=1) == 1 and size - len(together) < ranks * group
    assert all(epoch * size <= index < (epoch + 1) * size for index in together)
    # together the shares of a batch are the batch that one process would have
    whole = EpochSampler(size, 3, group)
    whole.set_epoch(epoch)
    batch = 2 * group
    for number in range(len(shares[0]) // batch):
        mine = {index for share in shares for index in share[number * batch : (number + 1) * batch]}
        assert mine == set(list(whole)[number * batch * ranks : (number + 1) * batch * ranks])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-m", "seed=0,1", "trainer=ddp_cpu"), "error: trainer.devices: found 2, but the jobs of a sweep"),
        (("data=folder", "data.root=mine", "data.folds=3", "trainer=ddp_cpu"), "data.folds: trains several times"),
        (("-m", "seed=0,1", "trainer=ddp"), "error: trainer.devices: found auto, but the jobs of a sweep"),
    ],
)
def test_what_several_processes_cannot_do_is_refused(run: Run, arguments: tuple[str, ...], message: str) -> None:
    from test_finetune import write_labelled

    write_labelled(Path("mine"))
    done = run("train", *arguments)
    assert done.code == 1 and message in done.err


@pytest.mark.parametrize("command", ["evaluate", "calibrate"])
@pytest.mark.parametrize("trainer", ["trainer=ddp_cpu", "trainer.devices=2", "+trainer.devices=2"])
def test_testing_and_calibrating_have_one_process(run: Run, checkpoint: Path, command: str, trainer: str) -> None:
    done = run(command, f"ckpt={checkpoint}", "imaging.image_size=64", trainer)
    assert done.code == 1 and "trainer" in done.err and done.err.count("\n") == 1, done.err


def test_frozen_batch_norms_stay_so_when_processes_share_them() -> None:
    classifier = make_classifier(classes=["good", "gap"], network="resnet10", frozen="stem")
    together = torch.nn.SyncBatchNorm.convert_sync_batchnorm(classifier).train()  # type: ignore[no-untyped-call]
    norms = [module for module in together.modules() if isinstance(module, torch.nn.SyncBatchNorm)]
    assert norms and not any(norm.training for norm in norms)


def test_a_batch_that_does_not_divide_is_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datamodule, "world_size", lambda: 2)
    for size in (7, 2):
        done = run("train", *TINY, f"data.batch_size={size}")
        assert done.code == 1 and done.err.count("\n") == 1
        assert done.err.startswith(f"error: data.batch_size: found {size}, expected a multiple of the 2 processes")
