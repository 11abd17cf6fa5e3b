"""What a set on disk says of its images' conditions is what the simulator knows of them."""

import math
from pathlib import Path

import pytest
import torch
from conftest import Run, make_simulator

from sem_lightning.data.image_metadata import read_image_metadata, total_dose
from sem_lightning.data.folder import FolderDataset, read_folder
from sem_lightning.data.simulated import SimulatedDataset
from sem_lightning.errors import UserError


@pytest.mark.parametrize("writer", ["files", "shards"])
def test_a_folder_knows_severity_dose_and_size(run: Run, writer: str) -> None:
    done = run("generate", "num_per_class=4", "output=set", f"writer={writer}", "imaging.image_size=64")
    assert done.code == 0, done.err
    root = done.folder / "set"
    files, classes = read_folder(root, None, "error")
    on_disk = FolderDataset(root, files, classes, (64, 64), 1.0)
    splits = {"train": 0, "val": 0, "test": 0, "calibration": 0}
    simulator = make_simulator("imaging.image_size=64")
    for index, file in enumerate(files):
        assert file.split is not None
        made = SimulatedDataset(simulator, 0, file.split, 100)[splits[file.split]]
        splits[file.split] += 1
        found = on_disk[index]
        assert torch.equal(found["mask"], made["mask"])
        for name in ("severity", "dose", "size"):
            assert float(found[name]) == pytest.approx(float(made[name])), name
    assert any(float(on_disk[i]["size"]) > 0 for i in range(len(files)))


def test_images_of_unknown_origin_have_unknown_conditions(tmp_path: Path) -> None:
    assert read_image_metadata(tmp_path, {"a.png"}) == {}
    assert total_dose(None, 4) == math.inf and total_dose(50, 4) == 200
    (tmp_path / "metadata.jsonl").write_text('{"filename": "a.png", "severity": 0.5}\n')
    with pytest.raises(UserError, match=r"metadata\.jsonl, line 1: not what sem-generate writes"):
        read_image_metadata(tmp_path, {"a.png"})
    assert read_image_metadata(tmp_path, {"b.png"}) == {}
