"""Numbers that nobody means are refused by name before anything is computed with them."""

import math
from typing import Any

import numpy as np
import pytest
from conftest import Run, make_simulator

from sem_lightning.checks import between, check_weights
from sem_lightning.config.training import compose_training
from sem_lightning.data.splits import check_shares
from sem_lightning.errors import SettingError

SHARES = {"train": 0.7, "val": 0.1, "test": 0.2, "calibration": 0.0}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 0, 11, 10**30])
def test_between(value: float) -> None:
    with pytest.raises(SettingError, match=r"^size: found .*, expected 1 to 10 nm$"):
        between("size", value, 1, 10, "nm")


@pytest.mark.parametrize("weights", [[math.nan, 1, 1], [math.inf, 1, 1], [1e308] * 3, [0, 0, 0], [1, 1], [-1, 1, 1]])
def test_weights(weights: list[float]) -> None:
    with pytest.raises(
        SettingError, match=r"^class_weights: found .*, expected one number from 0 to 1e\+09 for each of"
    ):
        check_weights("class_weights", weights, ["good", "gap", "bridge"])


@pytest.mark.parametrize("share", [math.nan, math.inf, -1, 1e308])
def test_shares(share: float) -> None:
    with pytest.raises(SettingError, match=r"^shares: found"):
        check_shares(SHARES | {"val": share})
    check_shares(SHARES)


@pytest.mark.parametrize(
    "override",
    ["noise.dose=1e308", "noise.dose=[1e-308,10]", "imaging.bloom_inside=1e-308", "imaging.pixel_size=1e-308",
     "imaging.charging_length=1e308", "pattern.correlation_length=1e308", "imaging.vibration_frequency=[1,1e308]"],
)  # fmt: skip
def test_numbers_beyond_single_precision(override: str) -> None:
    with pytest.raises(SettingError) as error:
        make_simulator(override)
    assert error.value.key == override.partition("=")[0] and "expected" in error.value.reason


@pytest.mark.parametrize("override", ["noise.dose=1e9", "noise.dose=1e-9", "imaging.bloom_inside=1e-9",
                                      "imaging.charging_length=1e9", "pattern.correlation_length=1e9"])  # fmt: skip
def test_the_largest_and_smallest_numbers_allowed_give_images(override: str) -> None:
    image = make_simulator(override, "imaging.image_size=64").sample(0).image
    assert np.isfinite(image).all()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("trainer.max_epochs", "-1e308"),
        ("trainer.max_epochs", "1.5"),
        ("trainer.gradient_clip_val", "nan"),
        ("trainer.devices", "1000000000000"),
        ("trainer.max_time", "7"),
        ("trainer.benchmark", "3"),
        ("data.batch_size", "1000000000000"),
        ("data.num_workers", "1000000"),
        ("callbacks.patience", "1000000000000"),
        ("sweep.threads", "1000000000000"),
        ("data.train_per_class", "1000000000000"),
        ("data.class_weights", "[nan,1,1]"),
        ("data.easy_epochs", "1000000000000"),
    ],
)
def test_training_names_the_key(run: Run, key: str, value: str) -> None:
    done = run("train", f"{key}={value}", "trainer.accelerator=cpu", "logger=none")
    assert done.code == 1 and done.err.startswith(f"error: {key}: found"), done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("key", "value"),
    [("num_per_class", 10**12), ("shards", 10**7), ("num_workers", 10**6), ("class_weights", "[nan,1,1]"),
     ("shares.val", "nan"), ("shares.val", "1e308")],
)  # fmt: skip
def test_generating_names_the_key(run: Run, key: str, value: Any) -> None:
    done = run("generate", f"{key}={value}")
    assert done.code == 1 and done.err.startswith(f"error: {key.partition('.')[0]}: found"), done.err
    assert done.err.count("\n") == 1


def test_a_number_of_the_right_size_composes() -> None:
    compose_training(
        "trainer.max_epochs=-1", "trainer.max_steps=10", "data.num_workers=0", "trainer.max_time=00:01:00:00"
    )
