"""Every file below conf/ says what it is for, composes, and is named in the help."""

from pathlib import Path

import pytest
from conftest import Run

from sem_lightning.commands.app import config_folder

FILES = sorted(config_folder().rglob("*.yaml"))
OPTIONS = [path for path in FILES if path.parent != config_folder()]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(config_folder())))
def test_a_config_opens_with_what_it_is_for(path: Path) -> None:
    lines = path.read_text().splitlines()
    purpose = lines[1] if lines[0] == "# @package _global_" else lines[0]
    assert purpose.startswith("# ") and len(purpose) > 15


def test_every_option_composes_and_is_in_the_help(run: Run) -> None:
    text = run("train", "--help").out
    for path in OPTIONS:
        group, option = path.parent.name, path.stem
        row = next(line for line in text.splitlines() if line.startswith(f"  {group} "))
        assert option in row.replace(",", "").split(), f"{group}={option} is not in the help"
        done = run("train", f"{group}={option}", "--cfg", "job")
        assert done.code == 0, (path, done.err)
