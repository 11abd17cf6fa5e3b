"""A quick part of what `table.py` and `kills.py` try, and their own judgement of files."""

import json
from pathlib import Path

import pytest
from disks_kinds import kinds
from kind import try_kinds
from tiny import make_checkpoint, make_images
from whole import is_whole

QUICK = (
    "sem-predict into a full device",
    "sem-predict into a pipe",
    "sem-predict jsonl on a full disk, 500 bytes",
    "sem-calibrate on a full disk, 20000 bytes",
    "sem-calibrate safetensors through a link",
    "sem-preview over a folder",
    "sem-generate shards on a full disk, 20000 bytes",
    "sem-evaluate on a full disk, 500 bytes",
)


def test_outputs_that_are_no_files_and_full_disks() -> None:
    chosen = [kind for kind in kinds() if kind.name in QUICK]
    assert len(chosen) == len(QUICK)
    assert not [f"{each.name}: {each.fault}" for each in try_kinds(chosen) if each.fault]


def test_names_of_kinds_are_unique() -> None:
    names = [kind.name for kind in kinds()]
    assert len(set(names)) == len(names) > 90


@pytest.mark.parametrize("name", ["a.ckpt", "a.csv", "a.jsonl", "a.json", "a.html", "000.png"])
def test_half_a_file_is_told_from_a_whole_one(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "a.ckpt":
        make_checkpoint(path)
    elif name == "000.png":
        path = make_images(tmp_path / "images", 1) / name
    else:
        line = json.dumps({"path": "a,b"}) + "\n"
        path.write_text({"a.csv": "path,label\n1,2\n", "a.html": "<html></html>\n"}.get(name, line))
    assert is_whole(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert not is_whole(path)
