"""On a GPU: pytest -m gpu. Each test skips where there are too few."""

import pytest
import torch
from conftest import TINY, Run

pytestmark = pytest.mark.gpu
ON_GPU = [each for each in TINY if not each.startswith("trainer.")]


def needs(count: int) -> None:
    if torch.cuda.device_count() < count:
        pytest.skip(f"{torch.cuda.device_count()} GPUs, needs {count}")


@pytest.mark.parametrize("options", [(), ("model.compile=true",)])
def test_a_gpu_learns_what_the_cpu_learns(run: Run, options: tuple[str, ...]) -> None:
    needs(1)
    losses = []
    for trainer in (("trainer=cpu",), ("trainer=gpu", *options)):
        done = run("train", *ON_GPU, *trainer, "trainer.max_epochs=2", "data.train_per_class=64")
        assert done.code == 0, done.err
        losses.append(done.result()["metrics"]["val/loss"])
    assert losses[1] == pytest.approx(losses[0], rel=0.2)  # 16 bits, other sums


def test_several_gpus_divide_the_images(run: Run) -> None:
    needs(2)
    done = run("train", *ON_GPU, "trainer=ddp", "trainer.max_epochs=2")
    assert done.code == 0, done.err
    assert done.result()["train_images"] == 2 * 3 * 8


def test_a_classifier_from_a_gpu_predicts_without_one(run: Run) -> None:
    needs(1)
    assert run("train", *ON_GPU, "trainer=gpu", "hydra.run.dir=trained").code == 0
    done = run("evaluate", "ckpt=trained/checkpoints/best.ckpt", *ON_GPU[1:5], "device=cpu")
    assert done.code == 0, done.err
