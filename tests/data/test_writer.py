"""A written set is the simulator's own images, and reads back whole or not at all."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import Run

from sem_lightning.data.folder import read_folder
from sem_lightning.data.images import read_gray
from sem_lightning.data.synthetic import SyntheticDataset
from sem_lightning.synthesis.simulator import Scene, Simulator, render


def test_generate_writes_what_the_readme_says(run: Run) -> None:
    done = run("generate", "num_per_class=10", "output=set", "num_workers=2")
    assert done.code == 0, done.err
    root = done.folder / "set"
    assert {path.name for path in root.iterdir()} == {
        "good",
        "gap",
        "bridge",
        "masks",
        "labels.csv",
        "metadata.jsonl",
        "dataset.json",
        "preview.png",
    }
    assert sorted(path.name for path in (root / "gap").iterdir()) == [f"gap_{i:04d}.png" for i in range(10)]
    files, classes = read_folder(root, None, "error")
    assert classes == ["good", "gap", "bridge"] and len(files) == 30
    counts = {split: sum(file.split == split for file in files) for split in ("train", "val", "test")}
    assert counts == {"train": 21, "val": 3, "test": 6}
    assert cv2.imread(str(root / "preview.png")).shape[0] == 3 * 128
    assert not list(done.folder.glob(".*partial"))


def test_every_line_of_metadata_renders_its_image_bit_for_bit(run: Run) -> None:
    root = run("generate", "num_per_class=3", "output=set").folder / "set"
    lines = (root / "metadata.jsonl").read_text().splitlines()
    assert len(lines) == 9
    for line in lines:
        record = json.loads(line)
        sample = render(Scene.from_dict(record["scene"]))
        assert np.array_equal(cv2.imread(str(root / record["filename"]), cv2.IMREAD_UNCHANGED), sample.image)
        assert np.array_equal(cv2.imread(str(root / record["mask"]), cv2.IMREAD_UNCHANGED) // 255, sample.mask)
        assert record["boxes"] == [list(each.box) for each in sample.instances]
        assert record["label"] == sample.scene.label


def test_files_are_the_images_that_training_on_the_fly_draws(run: Run, simulator: Simulator) -> None:
    root = run("generate", "num_per_class=10", "output=set", "seed=4").folder / "set"
    files, classes = read_folder(root, None, "error")
    for split in ("train", "val", "test"):
        chosen = [file for file in files if file.split == split]
        dataset = SyntheticDataset(simulator, 4, split, len(chosen))
        for i, file in enumerate(chosen):
            assert np.array_equal(read_gray(file.path), dataset[i]["image"][0].numpy())
            assert classes.index(file.label) == dataset[i]["label"]


def test_the_number_of_processes_does_not_matter(run: Run) -> None:
    one = run("generate", "num_per_class=25", "output=one", "num_workers=1").folder
    run("generate", "num_per_class=25", "output=two", "num_workers=2")
    for path in (one / "one").rglob("*"):
        if path.is_file() and path.name != "dataset.json":
            assert path.read_bytes() == (one / "two" / path.relative_to(one / "one")).read_bytes(), path


def test_an_existing_folder_is_kept_unless_told_otherwise(run: Run) -> None:
    folder = run("generate", "num_per_class=2", "output=set").folder
    before = (folder / "set" / "labels.csv").read_text()
    refused = run("generate", "num_per_class=3", "output=set")
    assert refused.code == 1 and "overwrite=true" in refused.err
    assert (folder / "set" / "labels.csv").read_text() == before
    assert run("generate", "num_per_class=3", "output=set", "overwrite=true").code == 0
    assert len((folder / "set" / "labels.csv").read_text().splitlines()) == 10


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("num_per_class=0", "num_per_class: found 0"),
        ("num_workers=0", "num_workers: found 0"),
        ("shares.train=-1", "shares: found"),
        ("output=/proc/set", "/proc"),
        ("output=/dev/null/set", "/dev/null"),
    ],
)
def test_bad_settings_leave_nothing(run: Run, override: str, message: str) -> None:
    done = run("generate", override)
    assert done.code == 1
    assert message in done.err and done.err.startswith("error: ") and done.err.count("\n") == 1
    assert not (done.folder / "outputs" / "dataset").exists()


def test_a_failure_in_the_middle_leaves_nothing(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    written = []

    def fill_up(self: Path, data: bytes) -> int:
        written.append(self)
        if len(written) > 7:
            raise OSError(28, "No space left on device", str(self))
        with self.open("wb") as stream:
            return stream.write(data)

    monkeypatch.setattr(Path, "write_bytes", fill_up)
    done = run("generate", "num_per_class=10", "output=set", "num_workers=1")
    assert done.code == 1 and "No space left on device" in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["outputs"]


def test_overwriting_spares_folders_that_are_not_ours(run: Run, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.txt").write_text("years of work")
    for output in ("precious", "."):
        done = run("generate", "num_per_class=2", f"output={output}", "overwrite=true")
        assert done.code == 1 and "it is not overwritten" in done.err
    assert (tmp_path / "precious" / "thesis.txt").is_file()
