"""Every file below conf/ says what it is for, composes, and is named in the help."""

import importlib
import itertools
import tomllib
from collections import defaultdict
from pathlib import Path

import pytest
from conftest import COMMANDS, Run

from sem_lightning.config.compose import config_folder
from sem_lightning.synthesis.defects.defect import Defect

HOLE_TYPES = ("missing", "closed", "merged", "displaced", "misshapen")
FILES = sorted(config_folder().rglob("*.yaml"))
OPTIONS = [path for path in FILES if path.parent.parent == config_folder()]
TYPES = sorted((config_folder() / "defect" / "types").glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(config_folder())))
def test_a_config_opens_with_what_it_is_for(path: Path) -> None:
    lines = path.read_text().splitlines()
    purpose = lines[1] if lines[0] == "# @package _global_" else lines[0]
    assert purpose.startswith("# ") and len(purpose) > 15


def test_every_option_composes_and_is_in_the_help(run: Run) -> None:
    texts = {command: run(command, "--help").out for command in ("train", "generate", "cloud", "preview")}
    by_group: dict[tuple[str, str], list[str]] = defaultdict(list)
    for path in OPTIONS:
        group, option = path.parent.name, path.stem
        command = {"writer": "generate", "cloud": "cloud", "pair": "preview"}.get(group, "train")
        text = texts[command]
        row = next(line for line in text.splitlines() if line.strip().startswith(f"{group} "))
        assert option in row.replace(",", "").split(), f"{group}={option} is not in the help"
        by_group[command, group].append(option)
    alone = [  # these choose other groups' options
        (command, f"{group}={option}")
        for (command, group), options in by_group.items()
        for option in options
        if command != "train" or group in ("experiment", "microscope")
    ]
    others = [
        [f"{group}={option}" for option in options]
        for (command, group), options in by_group.items()
        if command == "train" and group not in ("experiment", "microscope")
    ]
    together = [("train", *filter(None, row)) for row in itertools.zip_longest(*others)]
    for command, *chosen in (*alone, *together):
        action = ("action=pipeline",) if command == "cloud" else ()
        done = run(command, *action, *chosen, "--cfg", "job")
        assert done.code == 0, (chosen, done.err)


def test_every_type_of_defect_has_a_file_that_composes_and_is_in_the_help(run: Run) -> None:
    assert {path.stem for path in TYPES} == set(Defect.types)
    texts = [" ".join(run(command, "--help").out.replace(",", "").split()) for command in ("train", "generate")]
    listed = [text.partition("+defect/types@defect.NAME=TYPE")[2].partition(".")[0].split() for text in texts]
    for path in TYPES:
        assert all(path.stem in names for names in listed), f"{path.stem} is not in the help of both"
    lines = [path.stem for path in TYPES if path.stem not in HOLE_TYPES]
    for pattern, kinds in (("contact_hole", HOLE_TYPES), ("line_space", lines)):
        added = [f"+defect/types@defect.my_{kind}={kind}" for kind in kinds]
        done = run("preview", f"pattern={pattern}", "~defect.gap", "~defect.bridge", *added, "per_class=1")
        names = ", ".join(f"my_{kind}" for kind in kinds)
        assert done.code == 0 and f"1 images of each of good, {names}" in " ".join(done.out.split()), done.err


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_is_a_script_and_a_module(name: str) -> None:
    scripts = tomllib.loads((config_folder().parent / "pyproject.toml").read_text())["project"]["scripts"]
    assert set(scripts) == {f"sem-{each}" for each in COMMANDS}
    module = importlib.import_module(f"sem_lightning.commands.{name}")
    assert Path(module.__file__ or "").read_text().endswith('\n\n\nif __name__ == "__main__":\n    main()\n')
