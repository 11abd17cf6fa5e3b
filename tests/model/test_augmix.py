"""Mixtures of an image with itself, and how far answers to them disagree."""

import csv
import math

import pytest
import torch
from conftest import TINY, Run, make_simulator
from hypothesis import given
from hypothesis import strategies as st

from sem_lightning.model.augmix import CHANGES, Change, generator_for, jensen_shannon, lost_resolution, mix
from sem_lightning.synthesis.simulator import render

CERTAIN = 1e4  # a logit that leaves no doubt


def drawn(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    simulator = make_simulator("noise=low")
    scenes = [simulator.draw(7, 0, index, ("good", "gap", "bridge")[index % 3]) for index in range(12)]
    return torch.stack([torch.from_numpy(render(scene).image).float()[None] / 255 for scene in scenes])


def correlation(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Of each image with the other's, float32 [B]."""
    return torch.stack(
        [torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1] for a, b in zip(one, other, strict=True)]
    )


@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.sampled_from([16, 17, 33]))
def test_mixtures_stay_images(seed: int, count: int, size: int) -> None:
    images = torch.rand(count, 1, size, size, generator=drawn(seed))
    kept = images.clone()
    mixed = mix(images, drawn(seed))
    assert mixed.shape == images.shape and mixed.dtype == torch.float32
    assert mixed.min() >= 0 and mixed.max() <= 1 + 1e-6
    assert torch.equal(images, kept)


def test_a_seed_is_a_mixture_and_no_two_images_share_one(images: torch.Tensor) -> None:
    assert torch.equal(mix(images, drawn(1)), mix(images, drawn(1)))
    assert not torch.equal(mix(images, drawn(1)), mix(images, drawn(2)))
    same = mix(images[:1].repeat(8, 1, 1, 1), drawn(3))
    assert len({image.numpy().tobytes() for image in same}) == 8


def test_shares_are_numbers_even_where_a_uniform_draw_is_zero() -> None:
    # a batch of a real training, whose draws hold a zero: its logarithm once made a share infinite and the weights NaN
    assert mix(torch.full((16, 1, 16, 16), 0.5), generator_for(22, 7, 60, 0, torch.device("cpu"))).isfinite().all()


def test_a_mixture_shows_the_same_pattern(images: torch.Tensor) -> None:
    mixed = torch.cat([mix(images, drawn(seed)) for seed in range(20)])
    alike = correlation(images.repeat(20, 1, 1, 1), mixed)
    assert alike.min() > 0.6 and alike.median() > 0.95
    assert alike.median() < 0.9999  # and yet not the same image


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_each_change_keeps_where_things_are(change: Change, images: torch.Tensor) -> None:
    changed = change(images, drawn(0)).clamp(0, 1)
    assert not torch.equal(changed, images)
    assert correlation(images, changed).min() > 0.6
    moved = images.roll(1, dims=3)
    assert (correlation(images, changed) > correlation(moved, changed)).all()


def test_lost_resolution_moves_nothing() -> None:
    ramp = torch.linspace(0, 1, 128).expand(1, 1, 128, 128)
    inside = slice(8, -8)  # at its ends a ramp is no ramp any more
    assert torch.allclose(lost_resolution(ramp, drawn(0))[..., inside], ramp[..., inside], atol=1e-3)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_images_of_other_precision_are_mixed(images: torch.Tensor, dtype: torch.dtype) -> None:
    assert torch.allclose(mix(images.to(dtype), drawn(0)), mix(images, drawn(0)), atol=0.02)


def test_who_agrees_and_who_does_not() -> None:
    agreed = torch.randn(1, 5, 3, generator=drawn(0)).expand(3, 5, 3)
    assert jensen_shannon(agreed).item() == pytest.approx(0, abs=1e-6)
    sure = CERTAIN * torch.eye(3)[:, None]  # three answers to one image, each another class
    assert jensen_shannon(sure).item() == pytest.approx(math.log(3), rel=1e-5)
    one_of_three = sure[[0, 0, 1]]
    entropy = -(2 / 3 * math.log(2 / 3) + 1 / 3 * math.log(1 / 3))
    assert jensen_shannon(one_of_three).item() == pytest.approx(entropy, rel=1e-5)
    both = torch.cat([one_of_three, sure[[0, 0, 0]]], dim=1)  # the mean over images
    assert jensen_shannon(both).item() == pytest.approx(entropy / 2, rel=1e-5)


def test_following_its_gradient_brings_answers_together() -> None:
    answers = torch.randn(3, 4, 3, generator=drawn(0)).requires_grad_()
    before = jensen_shannon(answers)
    before.backward()  # type: ignore[no-untyped-call]
    assert answers.grad is not None
    assert jensen_shannon(answers.detach() - answers.grad) < before


def test_each_batch_of_each_process_has_draws_of_its_own() -> None:
    places = [(seed, epoch, batch, rank) for seed in (0, 1) for epoch in (0, 1) for batch in (0, 1) for rank in (0, 1)]
    first = [torch.rand(4, generator=generator_for(*place, torch.device("cpu"))).tolist() for place in places]
    assert len({tuple(numbers) for numbers in first}) == len(places)
    assert first[0] == torch.rand(4, generator=generator_for(0, 0, 0, 0, torch.device("cpu"))).tolist()


def test_augmix_adds_what_answers_disagree_by(run: Run) -> None:
    alone = run("train", *TINY, "logger=csv", "logger.every_n_steps=1").run_folder()
    together = run("train", *TINY, "logger=csv", "logger.every_n_steps=1", "model.augmix_weight=2").run_folder()
    rows = list(csv.DictReader((together / "csv/metrics.csv").read_text().splitlines()))
    losses = [{name: float(value) for name, value in row.items() if value} for row in rows if row["train/loss"]]
    assert losses
    for loss in losses:
        assert loss["train/augmix_divergence"] > 0
        parts = loss["train/label_loss"] + loss["train/mask_loss"] + 2 * loss["train/augmix_divergence"]
        assert loss["train/loss"] == pytest.approx(parts, rel=1e-5)
    assert "train/augmix_divergence" not in (alone / "csv/metrics.csv").read_text()
