"""Losses, and what a checkpoint remembers."""

import math
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from sem_lightning.errors import UserError
from sem_lightning.model.classifier import SEMClassifier, load_classifier, rate_factor
from sem_lightning.model.mask_loss import UNKNOWN, mask_loss

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
    mask[1] = UNKNOWN
    wrong = tuple(m.clone() for m in maps)
    for logits in wrong:
        logits[1] = torch.randn_like(logits[1]) * 10
    assert mask_loss((wrong[0], wrong[1]), LABEL, mask) < 1e-6
    everything = torch.full_like(mask, UNKNOWN)
    assert mask_loss(maps, LABEL, everything).item() == 0


def save(path: Path, **hyper_parameters: object) -> Path:
    classifier = SEMClassifier(["good", "gap", "bridge"], 64)
    state = {"state_dict": classifier.state_dict(), "hyper_parameters": dict(classifier.hparams) | hyper_parameters}
    torch.save(state, path)
    return path


def test_a_checkpoint_loads_without_unpickling(tmp_path: Path) -> None:
    classifier = load_classifier(save(tmp_path / "best.ckpt", polarity="dark", pixel_size=0.8))
    assert classifier.classes == ["good", "gap", "bridge"] and not classifier.training
    assert classifier.hparams["polarity"] == "dark" and classifier.hparams["pixel_size"] == 0.8


def test_checkpoints_from_before_consistency_load(tmp_path: Path) -> None:
    path = save(tmp_path / "old.ckpt")
    state = torch.load(path, weights_only=True)
    del state["hyper_parameters"]["consistency"]
    torch.save(state, path)
    assert load_classifier(path).hparams["consistency"] == 0


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
    classifier = SEMClassifier(["good", "gap", "bridge"], 128)
    prediction = classifier(torch.rand(1, 1, 128, 128))
    fine = torch.zeros(1, 3, 8, 8)
    fine[0, 0] = 9.0
    fine[0, :, 2, 5] = torch.tensor([-9.0, 9.0, 0.0])
    heat = classifier.heatmap(prediction._replace(maps=(fine, prediction.maps[1])))
    assert heat.shape == (1, 8, 8) and heat.argmax() == 2 * 8 + 5
    assert heat[0, 2, 5] > 0.99 and heat[0, 0, 0] < 0.01


@pytest.mark.parametrize("schedule", ["linear", "onecycle"])
def test_schedules_rise_to_the_peak_and_fall_to_zero(schedule: str) -> None:
    factors = [rate_factor(schedule, (step + 1) / 100, 0.3) for step in range(100)]
    assert factors.index(max(factors)) == 29 and max(factors) == pytest.approx(1, abs=1e-9)
    assert factors[-1] == pytest.approx(0, abs=1e-9) and min(factors) >= 0
    assert all(a < b for a, b in pairwise(factors[:30])) and all(a > b for a, b in pairwise(factors[30:]))
