"""Mixtures of an image with itself, and how far answers to them disagree."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sem_lightning.commands.preview import compose_simulator
from sem_lightning.model.augmix import CHANGES, Change, disagreement, mix
from sem_lightning.synthesis.simulator import render

CERTAIN = 1e4  # a logit that leaves no doubt


def drawn(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    simulator = compose_simulator("noise=low")
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


def test_who_agrees_and_who_does_not() -> None:
    agreed = torch.randn(1, 5, 3, generator=drawn(0)).expand(3, 5, 3)
    assert disagreement(agreed).item() == pytest.approx(0, abs=1e-6)
    sure = CERTAIN * torch.eye(3)[:, None]  # three answers to one image, each another class
    assert disagreement(sure).item() == pytest.approx(math.log(3), rel=1e-5)
    one_of_three = sure[[0, 0, 1]]
    entropy = -(2 / 3 * math.log(2 / 3) + 1 / 3 * math.log(1 / 3))
    assert disagreement(one_of_three).item() == pytest.approx(entropy, rel=1e-5)
    both = torch.cat([one_of_three, sure[[0, 0, 0]]], dim=1)  # the mean over images
    assert disagreement(both).item() == pytest.approx(entropy / 2, rel=1e-5)


def test_following_its_gradient_brings_answers_together() -> None:
    answers = torch.randn(3, 4, 3, generator=drawn(0)).requires_grad_()
    before = disagreement(answers)
    before.backward()
    assert answers.grad is not None
    assert disagreement(answers.detach() - answers.grad) < before
