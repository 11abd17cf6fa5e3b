"""What a set on disk says of its images' conditions is what the simulator knows of them."""

import math
from pathlib import Path

import numpy as np
import pytest
from conftest import Run, make_simulator

from sem_lightning.data.folder_dataset import FolderDataset
from sem_lightning.data.image_metadata import METADATA_NAMES, ImageMetadata, read_image_metadata, total_dose
from sem_lightning.data.labelled_folder import read_folder
from sem_lightning.data.simulated import SimulatedDataset
from sem_lightning.errors import UserError
from sem_lightning.io.dataset_format import MASK_UNKNOWN


@pytest.mark.parametrize("writer", ["files", "shards"])
def test_a_folder_knows_severity_dose_and_size(run: Run, writer: str) -> None:
    done = run("generate", "num_per_class=4", "output=set", f"writer={writer}", "imaging.image_size=64")
    assert done.code == 0, done.err
    root = done.folder / "set"
    files, classes = read_folder(root, None, "error")
    on_disk = FolderDataset(root, files, classes, (64, 64), 1.0, with_metadata=True)
    splits = {"train": 0, "val": 0, "test": 0, "calibration": 0}
    simulator = make_simulator("imaging.image_size=64")
    for index, file in enumerate(files):
        assert file.split is not None
        made = SimulatedDataset(simulator, 0, file.split, 100).labelled(splits[file.split])
        splits[file.split] += 1
        found = on_disk.labelled(index)
        assert np.array_equal(found.image.pixels, made.image.pixels) and found.label == made.label
        assert np.array_equal(found.mask, made.mask)
        assert set(found.metadata) == set(made.metadata) == {"severity", "dose", "size"} == set(METADATA_NAMES)
        for name in METADATA_NAMES:
            assert found.metadata[name] == pytest.approx(made.metadata[name]), name
    assert any(on_disk.labelled(i).metadata["size"] > 0 for i in range(len(files)))


def test_what_nobody_knows_is_nan() -> None:
    unknown = ImageMetadata().numbers(np.full((4, 4), MASK_UNKNOWN, np.uint8), 1.0)
    assert all(math.isnan(value) for value in unknown.values())
    mask = np.zeros((4, 4), np.uint8)
    mask[1:3, 1:3] = 1
    assert ImageMetadata(0.5, 200).numbers(mask, 1.5) == {"severity": 0.5, "dose": 200, "size": 3.0}
    assert math.isnan(ImageMetadata(0.5, 200).numbers(mask, None)["size"])


def test_images_of_unknown_origin_have_unknown_conditions(tmp_path: Path) -> None:
    assert read_image_metadata(tmp_path, {"a.png"}) == {}
    assert total_dose(None, 4) == math.inf and total_dose(50, 4) == 200
    (tmp_path / "metadata.jsonl").write_text('{"filename": "a.png", "severity": 0.5}\n')
    with pytest.raises(UserError, match=r"metadata\.jsonl, line 1: not what sem-generate writes"):
        read_image_metadata(tmp_path, {"a.png"})
    assert read_image_metadata(tmp_path, {"b.png"}) == {}
