"""Damaged checkpoints, weights that are not finite and settings of wrong types are refused in one line."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import make_classifier, save_checkpoint
from safetensors import safe_open
from safetensors.torch import save_file

from sem_lightning.decision.rule import RiskBound, Rule
from sem_lightning.errors import UserError
from sem_lightning.model import safetensors_reader
from sem_lightning.model.checkpoint import load_model, save_rule
from sem_lightning.model.packaged import PACKAGED


def change_setting(checkpoint: Path, target: Path, key: str, value: Any) -> Path:
    state = torch.load(checkpoint, weights_only=True)
    state["hyper_parameters"]["settings"][key] = value
    torch.save(state, target)
    return target


def flip(path: Path, target: Path, place: float) -> Path:
    content = bytearray(path.read_bytes())
    content[int(len(content) * place)] ^= 4
    target.write_bytes(content)
    return target


@pytest.mark.parametrize("place", [0.3, 0.6, 0.9])
def test_a_flipped_bit_is_noticed(checkpoint: Path, tmp_path: Path, place: float) -> None:
    with pytest.raises(UserError, match=r"bad\.ckpt: damaged, the checksum of .* is wrong"):
        load_model(flip(checkpoint, tmp_path / "bad.ckpt", place))
    save_rule(checkpoint, Rule(), tmp_path / "small.safetensors")
    load_model(tmp_path / "small.safetensors")
    with pytest.raises(UserError, match=r"bad\.safetensors: damaged, its checksum is wrong"):
        load_model(flip(tmp_path / "small.safetensors", tmp_path / "bad.safetensors", place))


def test_the_packaged_file_has_its_checksum_in_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load_model("robust")
    monkeypatch.setattr(safetensors_reader, "PACKAGE_FOLDER", tmp_path)
    (tmp_path / "weights").mkdir()
    with pytest.raises(UserError, match=r"robust\.safetensors: damaged"):
        load_model(flip(PACKAGED["robust"], tmp_path / "weights" / "robust.safetensors", 0.5))


def test_small_files_of_earlier_versions_have_no_checksum_and_load(checkpoint: Path, tmp_path: Path) -> None:
    save_rule(checkpoint, Rule(), tmp_path / "new.safetensors")
    with safe_open(tmp_path / "new.safetensors", framework="pt") as file:
        content = json.loads(file.metadata()["sem-lightning"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    assert len(content.pop("checksum")) == 32
    save_file(tensors, tmp_path / "old.safetensors", {"sem-lightning": json.dumps(content)})
    assert load_model(tmp_path / "old.safetensors").settings == load_model(tmp_path / "new.safetensors").settings


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_weights_that_are_not_finite_are_refused(tmp_path: Path, value: float) -> None:
    classifier = make_classifier()
    name = "net.backbone.bn1.running_var"
    classifier.state_dict()[name][3] = value
    with pytest.raises(UserError, match=f"odd.ckpt: the weights {name} are NaN or infinite"):
        load_model(save_checkpoint(classifier, tmp_path / "odd.ckpt"))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("pixel_size", "1 nm"),
        ("pixel_size", math.nan),
        ("pixel_size", True),
        ("seed", "five"),
        ("seed", -1),
        ("folder", "my_folder"),
        ("folder", {"root": 7}),
        ("classes", ["good", "gap\udcff"]),
        ("classes", ["good", "gap\x1b[31m"]),
        ("classes", ["good", " "]),
        ("class_weights", [math.nan, 1.0, 1.0]),
        ("class_weights", [1.0, 1.0]),
        ("view_scales", [1 + each / 1000 for each in range(1000)]),
    ],
)
def test_settings_of_wrong_types_are_named(checkpoint: Path, tmp_path: Path, key: str, value: Any) -> None:
    with pytest.raises(UserError) as error:
        load_model(change_setting(checkpoint, tmp_path / "odd.ckpt", key, value))
    assert f"odd.ckpt: {key}: found" in str(error.value)


def test_a_fingerprint_of_a_folder_is_kept(checkpoint: Path, tmp_path: Path) -> None:
    folder = {"root": "/x", "images": "0f", "seed": 1, "shares": {"train": 1.0}, "fold": [0, 5]}
    assert load_model(change_setting(checkpoint, tmp_path / "a.ckpt", "folder", folder)).settings.folder == folder


@pytest.mark.parametrize("numbers", [(math.nan, 0.95, 1, 0, 1, 0), (0.1, 2, 1, 0, 1, 0), (0.1, 0.9, 1.5, 0, 1, 0)])
def test_a_risk_bound_out_of_range_is_refused(numbers: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match="risk bound"):
        RiskBound(*numbers)


def test_metadata_nested_too_deeply_is_refused(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(3)}, tmp_path / "a.safetensors", {"sem-lightning": "[" * 100_000 + "]" * 100_000})
    with pytest.raises(UserError, match=r"a\.safetensors: not a classifier"):
        load_model(tmp_path / "a.safetensors")
