"""A classifier in a small file answers as its checkpoint does, and foreign files are refused."""

import json
from pathlib import Path

import pytest
import torch
from conftest import make_classifier, save_checkpoint
from safetensors.torch import save_file

from sem_lightning.errors import UserError
from sem_lightning.model.checkpoint import load_model, save_rule
from sem_lightning.model.classifier import load_classifier


@pytest.mark.parametrize(
    ("network", "pooling"),
    [("resnet18", "average"), ("resnet18_small", "peak_statistics"), ("resnet10", "peak_statistics")],
)
def test_half_precision_answers_the_same_to_the_third_digit(tmp_path: Path, network: str, pooling: str) -> None:
    torch.manual_seed(0)
    facts = {"classes": ["good", "gap"], "pixel_size": 1.5, "polarity": "dark"}
    classifier = make_classifier(network=network, pooling=pooling, **facts).eval()
    path = save_checkpoint(classifier, tmp_path / "best.ckpt")
    rule = load_model(path).rule
    save_rule(path, rule, tmp_path / "small.safetensors")
    small = load_classifier(tmp_path / "small.safetensors")
    images = torch.rand(4, 1, 64, 64)
    with torch.inference_mode():
        full, half = classifier(images).logits.softmax(1), small(images).logits.softmax(1)
    assert half == pytest.approx(full, abs=5e-3)
    assert small.rule == rule and not small.training
    assert (small.settings.image_size, small.settings.pixel_size, small.settings.polarity) == (64, 1.5, "dark")
    size = (tmp_path / "small.safetensors").stat().st_size
    assert size < {"resnet18": 23e6, "resnet18_small": 6e6, "resnet10": 12e6}[network]
    save_rule(tmp_path / "small.safetensors", rule, tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "small.safetensors").read_bytes()


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.safetensors").write_text("nothing of the kind")
    save_file({"a": torch.zeros(3)}, tmp_path / "other.safetensors")
    facts = {"settings": {"classes": ["a", "b"], "image_size": 64}, "rule": {}}
    save_file({"a": torch.zeros(3)}, tmp_path / "odd.safetensors", {"sem-lightning": json.dumps(facts)})
    for name, message in (
        ("text", "not a classifier that sem-calibrate wrote"),
        ("other", "not a classifier that sem-calibrate wrote"),
        ("odd", "written by another version of sem-lightning"),
        ("nowhere", "No such file"),
    ):
        with pytest.raises(UserError, match=rf"{name}\.safetensors: {message}"):
            load_model(tmp_path / f"{name}.safetensors")
