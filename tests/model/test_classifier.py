"""Losses, and what a checkpoint remembers."""

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import make_classifier, save_checkpoint

from sem_lightning.errors import UserError
from sem_lightning.inference.predictor import Predictor
from sem_lightning.io.dataset_format import MASK_UNKNOWN
from sem_lightning.model.checkpoint import load_model
from sem_lightning.model.classifier import learning_rate_factor, load_classifier
from sem_lightning.model.mask_loss import mask_loss
from sem_lightning.model.model_settings import ModelSettings
from sem_lightning.runtime.torch_network import TorchNetwork

LABEL = torch.tensor([0, 1, 2])


def perfect_maps(mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    maps = []
    for size in (8, 4):
        logits = torch.zeros(3, 3, size, size)
        cells = torch.nn.functional.adaptive_max_pool2d((mask == 1).float().unsqueeze(1), size)[:, 0].bool()
        for i, label in enumerate(LABEL):
            target = torch.where(cells[i], label, 0)
            logits[i] = torch.nn.functional.one_hot(target, 3).permute(2, 0, 1) * 50.0
        maps.append(logits)
    return maps[0], maps[1]


def make_masks() -> torch.Tensor:
    mask = torch.zeros(3, 128, 128, dtype=torch.uint8)
    mask[1, 40:44, 60:68] = 1
    mask[2, 0:20, 0:20] = 1
    return mask


def test_mask_loss_is_zero_for_the_right_maps_and_log_classes_for_no_idea() -> None:
    mask = make_masks()
    assert mask_loss(perfect_maps(mask), LABEL, mask) < 1e-6
    no_idea = (torch.zeros(3, 3, 8, 8), torch.zeros(3, 3, 4, 4))
    assert mask_loss(no_idea, LABEL, mask).item() == pytest.approx(2 * math.log(3), rel=1e-5)


def test_unknown_masks_do_not_count() -> None:
    mask = make_masks()
    maps = perfect_maps(mask)
    mask[1] = MASK_UNKNOWN
    wrong = tuple(m.clone() for m in maps)
    for logits in wrong:
        logits[1] = torch.randn_like(logits[1]) * 10
    assert mask_loss((wrong[0], wrong[1]), LABEL, mask) < 1e-6
    everything = torch.full_like(mask, MASK_UNKNOWN)
    assert mask_loss(maps, LABEL, everything).item() == 0


def save(path: Path, **settings: object) -> Path:
    """A checkpoint some of whose settings are others, without asking whether they can be."""
    save_checkpoint(make_classifier(), path)
    state = torch.load(path, weights_only=True)
    state["hyper_parameters"]["settings"] |= settings
    torch.save(state, path)
    return path


def test_a_checkpoint_loads_without_unpickling(tmp_path: Path) -> None:
    classifier = load_classifier(save(tmp_path / "best.ckpt", polarity="dark", pixel_size=0.8))
    assert classifier.classes == ["good", "gap", "bridge"] and not classifier.training
    assert classifier.settings.polarity == "dark" and classifier.settings.pixel_size == 0.8


def test_settings_are_plain_values_in_a_checkpoint_and_come_back_the_same(tmp_path: Path) -> None:
    classifier = make_classifier(view_scales=(1, 1.5), class_weights=(1.0, 2.0, 3.0), folder={"root": "/a"}, seed=7)
    path = save_checkpoint(classifier, tmp_path / "best.ckpt")
    kept = torch.load(path, weights_only=True)["hyper_parameters"]["settings"]
    assert kept["classes"] == ["good", "gap", "bridge"] and kept["view_scales"] == [1, 1.5]
    assert load_model(path).settings == classifier.settings == ModelSettings.from_dict(kept)


def test_checkpoints_from_before_augmix_load(tmp_path: Path) -> None:
    path = save(tmp_path / "old.ckpt")
    state = torch.load(path, weights_only=True)
    del state["hyper_parameters"]["settings"]["augmix_weight"]
    torch.save(state, path)
    assert load_classifier(path).settings.augmix_weight == 0


def test_files_that_are_no_checkpoints(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No such file"):
        load_classifier(tmp_path / "missing.ckpt")
    path = tmp_path / "text.ckpt"
    path.write_text("hello")
    with pytest.raises(UserError, match="not a checkpoint of sem-lightning"):
        load_classifier(path)
    torch.save({"state_dict": {}}, path)
    with pytest.raises(UserError, match="not a checkpoint of sem-lightning"):
        load_classifier(path)
    torch.save([1, 2], path)
    with pytest.raises(UserError, match="not a checkpoint of sem-lightning"):
        load_classifier(path)
    with pytest.raises(UserError, match="another version"):
        load_classifier(save(path, sorcery=1))


def test_the_heatmap_lights_up_where_the_map_sees_a_defect() -> None:
    classifier = make_classifier(image_size=128)
    fine = classifier.net.map_heads[0]
    with torch.no_grad():  # a map head that knows: good everywhere, whatever the features are
        fine.get_parameter("weight").zero_()
        fine.get_parameter("bias").copy_(torch.tensor([9.0, 0.0, 0.0]))

    def see_a_gap(module: torch.nn.Module, given: object, maps: torch.Tensor) -> torch.Tensor:
        maps = maps.clone()
        maps[:, :, 1:4, 4:7] = torch.tensor([-9.0, 9.0, 0.0])[:, None, None]
        return maps

    predictor = Predictor(classifier.trained)
    network = predictor._network
    assert isinstance(network, TorchNetwork)
    network.net.map_heads[0].register_forward_hook(see_a_gap)
    lines = 0.3 + 0.4 * (np.arange(128) % 16 < 8) + np.random.default_rng(0).normal(0, 0.03, (128, 128))
    (found,) = predictor.predict(lines.clip(0, 1).astype(np.float32))
    heat = found.heatmap  # a cell is 8 pixels; one of the network's map, 16
    assert heat.shape == (16, 16) and heat[4:6, 10:12].min() > 0.99 and heat[0, 0] < 0.01
    row, column = np.unravel_index(int(heat.argmax()), heat.shape)
    assert 2 <= row < 8 and 8 <= column < 14
    (region,) = found.regions
    assert region.label == "gap" and region.score > 0.99
    for start, side, middle in ((region.x, region.width, 5.5 * 16), (region.y, region.height, 2.5 * 16)):
        assert side == pytest.approx(48, abs=16) and start + side / 2 == pytest.approx(middle, abs=8)


@pytest.mark.parametrize("schedule", ["linear", "onecycle"])
def test_schedules_rise_to_the_peak_and_fall_to_zero(schedule: str) -> None:
    factors = [learning_rate_factor(schedule, (step + 1) / 100, 0.3) for step in range(100)]
    assert factors.index(max(factors)) == 29 and max(factors) == pytest.approx(1, abs=1e-9)
    assert factors[-1] == pytest.approx(0, abs=1e-9) and min(factors) >= 0
    assert all(a < b for a, b in pairwise(factors[:30])) and all(a > b for a, b in pairwise(factors[30:]))
