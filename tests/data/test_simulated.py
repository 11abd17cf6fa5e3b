"""Simulated data: an index is an image, splits share nothing, classes are balanced."""

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
import torch

from sem_lightning.data.curriculum import Curriculum
from sem_lightning.data.datamodule import SEMDataModule
from sem_lightning.data.simulated import SimulatedDataset
from sem_lightning.data.sources import SimulatedSource
from sem_lightning.data.splits import SPLITS, EpochSampler, split_counts
from sem_lightning.errors import SettingError
from sem_lightning.synthesis.patterns.line_space import Lines, LineSpace
from sem_lightning.synthesis.simulator import Scene, Simulator

SIZES = {"train": 4, "val": 2, "test": 3, "calibration": 1}


def lines_of(scene: Scene) -> Lines:
    assert isinstance(scene.pattern, Lines)
    return scene.pattern


def load_all(simulator: Simulator, workers: int) -> tuple[torch.Tensor, torch.Tensor]:
    module = SEMDataModule(SimulatedSource(simulator, 0, SIZES, fresh=True, class_weights=None), 5, workers, seed=0)
    batches = list(module.train_dataloader())
    return torch.cat([batch["image"] for batch in batches]), torch.cat([batch["label"] for batch in batches])


def test_workers_do_not_change_the_images(simulator: Simulator) -> None:
    images, labels = load_all(simulator, 0)
    for workers in (1, 2):
        same_images, same_labels = load_all(simulator, workers)
        assert torch.equal(images, same_images) and torch.equal(labels, same_labels)


def test_order_does_not_change_the_images(simulator: Simulator) -> None:
    dataset = SimulatedDataset(simulator, 0, "val", 10)
    forwards = [dataset[i]["image"] for i in range(10)]
    backwards = [dataset[i]["image"] for i in reversed(range(10))]
    assert all(torch.equal(a, b) for a, b in zip(forwards, reversed(backwards), strict=True))


def test_splits_share_no_scene(simulator: Simulator) -> None:
    scenes = {split: [SimulatedDataset(simulator, 0, split, 50).scene(i) for i in range(50)] for split in SPLITS}
    # The generator's key is (seed, split, index): different for every image, and so is all that is drawn from it.
    keys = [(s.seed, s.split, s.index) for split in SPLITS for s in scenes[split]]
    assert len(set(keys)) == len(keys)
    drawn = [(lines_of(s).key, s.detection.key, s.exposure.grain.key) for split in SPLITS for s in scenes[split]]
    for numbers in zip(*drawn, strict=True):
        assert len(set(numbers)) == len(numbers)


def test_fresh_epochs_never_repeat_and_fixed_ones_do(simulator: Simulator) -> None:
    fresh = SimulatedDataset(simulator, 0, "train", 6, fresh=True)
    fixed = SimulatedDataset(simulator, 0, "train", 6, fresh=False)
    assert not torch.equal(fresh[0]["image"], fresh[6]["image"])
    assert torch.equal(fixed[0]["image"], fixed[6]["image"])
    assert torch.equal(fresh[3]["image"], fixed[3]["image"])


def test_classes_are_exactly_balanced_or_follow_their_weights(simulator: Simulator) -> None:
    balanced = SimulatedDataset(simulator, 0, "train", 30)
    labels = [balanced.scene(i).label for i in range(30)]
    assert [labels.count(name) for name in simulator.classes] == [10, 10, 10]
    weighted = SimulatedDataset(simulator, 0, "train", 300, class_weights=[8, 1, 1])
    good = sum(weighted.scene(i).label == "good" for i in range(300))
    assert 210 <= good <= 270


def test_small_fields_come_first_and_keep_the_pixel_size(simulator: Simulator) -> None:
    source = SimulatedSource(simulator, 0, SIZES, True, None, Curriculum(small_field_epochs=2))
    train = source.dataset("train")
    assert [train[12 * epoch]["image"].shape[-1] for epoch in range(4)] == [64, 64, 128, 128]
    assert source.dataset("val")[0]["image"].shape[-1] == 128
    assert train.scene(0).view.pixel_size == simulator.imaging.pixel_size


def test_large_fields_come_every_nth_epoch_and_show_more(simulator: Simulator) -> None:
    curriculum = Curriculum(easy_epochs=1, large_field_every=2, large_field_size=192)
    source = SimulatedSource(simulator, 0, SIZES, True, None, curriculum)
    train = source.dataset("train")
    assert [train[12 * epoch]["image"].shape[-1] for epoch in range(6)] == [128, 192, 128, 192, 128, 192]
    assert source.dataset("val")[0]["image"].shape[-1] == source.dataset("test")[0]["image"].shape[-1] == 128
    assert train.scene(12).view.pixel_size == simulator.imaging.pixel_size
    early = SimulatedSource(simulator, 0, SIZES, True, None, Curriculum(easy_epochs=2, large_field_every=2))
    assert early.dataset("train").scene(12).view.height == 128  # easy scenes first


def test_easy_epochs_draw_from_the_easier_half(simulator: Simulator) -> None:
    train = SimulatedSource(simulator, 0, SIZES, True, None, Curriculum(easy_epochs=3)).dataset("train")
    easy = [train.scene(i) for i in range(36)]
    assert all(scene.detection.dose >= 63 for scene in easy if scene.detection.dose)
    assert all(scene.severity >= 0.5 for scene in easy if scene.defects)
    later = [train.scene(i) for i in range(36, 100)]
    assert min(scene.detection.dose or 0 for scene in later) < 40


def test_paired_negatives_are_neighbours_and_stay_together_in_every_epoch(simulator: Simulator) -> None:
    source = SimulatedSource(simulator, 0, SIZES, True, None, Curriculum(paired_negatives=True))
    train = source.dataset("train")
    for pair in range(6):
        scene, twin = train.scene(2 * pair), train.scene(2 * pair + 1)
        assert scene.label in ("gap", "bridge") and twin == scene.without_defects()
    order = list(EpochSampler(12, 0, group=2))
    assert sorted(order) == list(range(12)) and order != sorted(order)
    assert all(b == a + 1 and a % 2 == 0 for a, b in zip(order[::2], order[1::2], strict=True))


def test_a_curriculum_needs_fresh_images_and_room(simulator: Simulator) -> None:
    with pytest.raises(SettingError, match="fresh_each_epoch"):
        SimulatedSource(simulator, 0, SIZES, False, None, Curriculum(small_field_epochs=2))
    with pytest.raises(SettingError, match="small_field_size"):
        SimulatedSource(simulator, 0, SIZES, True, None, Curriculum(small_field_epochs=2, small_field_size=20))
    with pytest.raises(SettingError, match="fresh_each_epoch"):
        SimulatedSource(simulator, 0, SIZES, False, None, Curriculum(large_field_every=2))
    with pytest.raises(SettingError, match="large_field_size: found 9000"):
        SimulatedSource(simulator, 0, SIZES, True, None, Curriculum(large_field_every=2, large_field_size=9000))
    with pytest.raises(SettingError, match="large_field_size: found 128, expected more than the 128"):
        SimulatedSource(simulator, 0, SIZES, True, None, Curriculum(large_field_every=2, large_field_size=128))
    with pytest.raises(SettingError, match="large_field_every"):
        SimulatedSource(simulator, 0, SIZES, True, None, Curriculum(large_field_every=-2))
    with pytest.raises(SettingError, match="easy_epochs"):
        SimulatedSource(simulator, 0, SIZES, True, None, Curriculum(easy_epochs=-1))


@pytest.mark.parametrize("weights", [[1, 1], [1, -1, 1], [0, 0, 0]])
def test_wrong_class_weights_are_refused(simulator: Simulator, weights: list[float]) -> None:
    with pytest.raises(SettingError, match="class_weights"):
        SimulatedSource(simulator, 0, SIZES, True, weights)


def test_a_split_without_images_is_refused(simulator: Simulator) -> None:
    with pytest.raises(SettingError, match=r"data\.test_per_class"):
        SimulatedSource(simulator, 0, SIZES | {"test": 0}, True, None)


def test_sampler_is_a_new_permutation_each_epoch_and_counts_on() -> None:
    sampler = EpochSampler(20, seed=0)
    epochs = []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        epochs.append(list(sampler))
        assert sorted(epochs[-1]) == list(range(20 * epoch, 20 * (epoch + 1)))
    assert all([i % 20 for i in a] != [i % 20 for i in b] for a, b in pairwise(epochs))
    again = EpochSampler(20, seed=0)
    again.set_epoch(2)
    assert list(again) == epochs[2]


def test_items_have_the_types_that_training_expects(simulator: Simulator) -> None:
    item = SimulatedDataset(simulator, 0, "train", 3)[1]
    assert item["image"].shape == (1, 128, 128) and item["image"].dtype == torch.float32
    assert item["image"].min() >= 0 and item["image"].max() <= 1
    assert item["label"] == 1 and item["mask"].dtype == torch.uint8 and item["mask"].any()
    assert set(item) == {"image", "label", "mask"}


def test_shares_add_up() -> None:
    shares = {"train": 0.7, "val": 0.1, "test": 0.2, "calibration": 0.0}
    for count in range(1, 200):
        parts = split_counts(count, shares)
        assert sum(parts.values()) == count and min(parts.values()) >= 0
        assert abs(parts["train"] - 0.7 * count) <= 1


@pytest.mark.parametrize("label", ["gap", "bridge"])
def test_a_changed_noise_leaves_the_geometry(simulator: Simulator, label: str) -> None:
    for dose in (None, (500, 500), (2, 10)):
        other = dataclasses.replace(simulator, noise=dataclasses.replace(simulator.noise, dose=dose, gaussian=0))
        for index in range(5):
            assert np.array_equal(simulator.draw(0, 0, index, label).phi(), other.draw(0, 0, index, label).phi())


def test_weights_choose_the_label_and_nothing_else(simulator: Simulator) -> None:
    dataset = SimulatedDataset(simulator, 0, "train", 600, class_weights=[1, 1, 1])
    scenes = [dataset.scene(index) for index in range(600)]
    pitches = {label: [lines_of(s).pitch for s in scenes if s.label == label] for label in simulator.classes}
    assert isinstance(simulator.pattern, LineSpace)
    low, high = simulator.pattern.pitch
    for values in pitches.values():  # every class has the whole range, not a part of it
        assert np.mean(values) == pytest.approx((low + high) / 2, abs=0.25)
        assert np.std(values) == pytest.approx((high - low) / np.sqrt(12), rel=0.12)
