"""A written set is the simulator's own images, and reads back whole or not at all."""

import contextlib
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import TINY, Run, make_simulator, read_image

from sem_lightning.data.export.index import ImageIndex
from sem_lightning.data.export.set_writer import SetWriter
from sem_lightning.data.export.storage import WriterSettings
from sem_lightning.data.folder_dataset import FolderDataset
from sem_lightning.data.labelled_folder import read_folder
from sem_lightning.data.simulated import SimulatedDataset
from sem_lightning.errors import UserError
from sem_lightning.io.find import find_images
from sem_lightning.io.images import read_gray
from sem_lightning.synthesis.simulator import Scene, Simulator, render

LISTS = {
    "labels.csv",
    "metadata.jsonl",
    "dataset.json",
    "README.md",
    "checksums.sha256",
    "preview.png",
    "annotations.json",
}


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_generate_writes_what_the_readme_says(run: Run) -> None:
    done = run("generate", "num_per_class=10", "output=set", "num_workers=2")
    assert done.code == 0, done.err
    root = done.folder / "set"
    yolo = {"yolo.yaml", "yolo_train.txt", "yolo_val.txt", "yolo_test.txt"}
    assert {path.name for path in root.iterdir()} == {"good", "gap", "bridge", "masks"} | LISTS | yolo
    names = sorted(path.name for path in (root / "gap").iterdir())
    assert names == sorted(f"gap_{i:04d}.{suffix}" for i in range(10) for suffix in ("png", "txt"))
    files, classes = read_folder(root, None, "error")
    assert classes == ["good", "gap", "bridge"] and len(files) == 30
    counts = {split: sum(file.split == split for file in files) for split in ("train", "val", "test")}
    assert counts == {"train": 21, "val": 3, "test": 6}
    assert read_image(root / "preview.png").shape[0] == 3 * 128
    assert not list(done.folder.glob(".*partial"))
    card = (root / "README.md").read_text()
    assert "sem-generate num_per_class=10\n" in card and "| gap | 7 | 1 | 2 |" in card and "CC0" in card


def test_checksums_hold_for_every_file(run: Run) -> None:
    for options in ((), ("writer=shards", "shards=3")):
        root = run("generate", "num_per_class=3", "output=set", "overwrite=true", *options).folder / "set"
        lines = (root / "checksums.sha256").read_text().splitlines()
        sums = {name: digest for digest, name in (line.split("  ") for line in lines)}
        found = {name: hashlib.sha256(data).hexdigest() for name, data in contents(root).items()}
        found.pop("checksums.sha256")
        assert sums == found


def test_every_line_of_metadata_renders_its_image_bit_for_bit(run: Run) -> None:
    root = run("generate", "num_per_class=3", "output=set").folder / "set"
    lines = (root / "metadata.jsonl").read_text().splitlines()
    assert len(lines) == 9
    for line in lines:
        record = json.loads(line)
        sample = render(Scene.from_dict(record["scene"]))
        assert np.array_equal(read_image(root / record["filename"], cv2.IMREAD_UNCHANGED), sample.image)
        assert np.array_equal(read_image(root / record["mask"], cv2.IMREAD_UNCHANGED) // 255, sample.mask)
        assert record["boxes"] == [list(each.box) for each in sample.instances]
        assert record["label"] == sample.scene.label


def test_files_are_the_images_that_training_on_the_fly_draws(run: Run, simulator: Simulator) -> None:
    root = run("generate", "num_per_class=10", "output=set", "seed=4").folder / "set"
    files, classes = read_folder(root, None, "error")
    for split in ("train", "val", "test"):
        chosen = [file for file in files if file.split == split]
        dataset = SimulatedDataset(simulator, 4, split, len(chosen))
        for i, file in enumerate(chosen):
            assert np.array_equal(read_gray(file.path), dataset[i]["image"][0].numpy())
            assert classes.index(file.label) == dataset[i]["label"]


@pytest.mark.parametrize("kind", ["files", "shards"])
def test_processes_and_jobs_do_not_change_a_byte(run: Run, kind: str) -> None:
    common = ("num_per_class=9", f"writer={kind}", "shards=5")
    folder = run("generate", *common, "output=one", "num_workers=1").folder
    run("generate", *common, "output=two", "num_workers=2")
    jobs = run("generate", "-m", *common, "output=three", "num_workers=1", "shard=range(0,5)")
    assert jobs.code == 0 and jobs.out.count("shards are missing") == 4
    assert contents(folder / "one") == contents(folder / "two") == contents(folder / "three")


def test_jobs_in_any_order_and_more_than_images(run: Run) -> None:
    common = ("num_per_class=1", "shards=7", "num_workers=1")
    folder = run("generate", *common, "output=one").folder
    for shard in (6, 2, 0, 5, 1, 3, 4):
        assert not (folder / "two").exists()
        assert run("generate", *common, "output=two", f"shard={shard}").code == 0
    assert contents(folder / "one") == contents(folder / "two")


def test_the_same_set_is_not_made_twice_and_another_one_is_not_overwritten(run: Run) -> None:
    folder = run("generate", "num_per_class=2", "output=set").folder
    before = contents(folder / "set")
    again = run("generate", "num_per_class=2", "output=set", "num_workers=1")
    assert again.code == 0 and "complete" in again.out
    refused = run("generate", "num_per_class=3", "output=set")
    assert refused.code == 1 and "num_per_class is 2, here 3" in refused.err and "overwrite=true" in refused.err
    assert contents(folder / "set") == before
    assert run("generate", "num_per_class=3", "output=set", "overwrite=true").code == 0
    assert len((folder / "set" / "labels.csv").read_text().splitlines()) == 10


def test_an_unfinished_set_of_other_settings_is_kept(run: Run) -> None:
    folder = run("generate", "num_per_class=2", "output=set", "shards=2", "shard=0").folder
    assert not (folder / "set").exists()
    refused = run("generate", "num_per_class=2", "output=set", "shards=2", "noise=high")
    assert refused.code == 1 and "unfinished" in refused.err and "noise." in refused.err
    assert run("generate", "num_per_class=2", "output=set", "shards=2").code == 0


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("num_per_class=0", "num_per_class: found 0"),
        ("num_workers=0", "num_workers: found 0"),
        ("shares.train=-1", "shares: found"),
        ("shard=64", "shard: found 64, expected 0 to 63"),
        ("class_weights=[1,2]", "class_weights: found [1.0, 2.0], expected one number from 0"),
        ("writer.format=gif", "writer.format: found 'gif'"),
        ("writer.annotations=[voc]", "writer.annotations: found"),
        ("writer.kind=zip", "writer.kind: found"),
        ("output=/proc/set", "/proc"),
        ("output=/dev/null/set", "/dev/null"),
    ],
)
def test_bad_settings_leave_nothing(run: Run, override: str, message: str) -> None:
    done = run("generate", override)
    assert done.code == 1
    assert message in done.err and done.err.startswith("error: ") and done.err.count("\n") == 1
    assert not (done.folder / "outputs" / "dataset").exists()


def test_a_full_disk_loses_nothing_that_was_finished(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    whole = run("generate", "num_per_class=6", "output=whole", "num_workers=1", "shards=6")
    written = []

    def fill_up(self: Path, data: bytes) -> int:
        written.append(self)
        if len(written) > 25:
            raise OSError(28, "No space left on device", str(self))
        with self.open("wb") as stream:
            return stream.write(data)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", fill_up)
        done = run("generate", "num_per_class=6", "output=set", "num_workers=1", "shards=6")
        assert done.code == 1 and "No space left on device" in done.err and not (tmp_path / "set").exists()
    assert "11/11" not in run("generate", "num_per_class=6", "output=set", "num_workers=1", "shards=6").out
    assert contents(tmp_path / "set") == contents(whole.folder / "whole")


def kill_until_done(
    folder: Path, name: str, arguments: list[str], kills: int, rng: random.Random, longest: float
) -> int:
    """Start generating, kill it at random times, let it finish; returns how often it was alive when killed."""
    program = "from sem_lightning.commands.generate import main; main()"
    command = [sys.executable, "-c", program, f"output={name}", *arguments]
    alive = 0
    for _ in range(kills):
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, start_new_session=True)
        while process.poll() is None and not any(folder.glob(f".{name}*/*")):
            time.sleep(0.005)  # from its first file on, however quick the machine is
        time.sleep(rng.uniform(0.0, longest))
        alive += process.poll() is None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # its worker processes too
        process.wait()
        if (folder / name).exists():  # listed means whole
            assert (folder / name / "dataset.json").is_file()
    subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, check=True)
    return alive


@pytest.mark.parametrize("kind", ["files", "shards"])
def test_a_killed_run_goes_on_to_the_same_bytes(run: Run, kind: str) -> None:
    arguments = ["num_per_class=200", f"writer={kind}", "shards=20", "num_workers=2"]
    whole = run("generate", *arguments, "output=whole")
    alive = kill_until_done(whole.folder, "set", arguments, 2, random.Random(0), 0.2)
    assert alive >= 1
    assert contents(whole.folder / "set") == contents(whole.folder / "whole")
    assert not list(whole.folder.glob(".set*"))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_fifty_kills_each_resumed_to_the_same_bytes(run: Run) -> None:
    arguments = ["num_per_class=100", "shards=30", "num_workers=2", "writer.clean_pair=true"]
    whole = run("generate", *arguments, "output=whole")
    reference, rng, alive = contents(whole.folder / "whole"), random.Random(1), 0
    for attempt in range(50):
        alive += kill_until_done(whole.folder, f"set{attempt}", arguments, 1, rng, 0.6)
        assert contents(whole.folder / f"set{attempt}") == reference, attempt
        subprocess.run(["rm", "-r", f"set{attempt}"], cwd=whole.folder, check=True)
    print(f"{alive} of 50 runs were alive when killed")
    assert alive >= 35 and not list(whole.folder.glob(".set*"))


def test_overwriting_spares_folders_that_are_not_ours(run: Run, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.txt").write_text("years of work")
    for output in ("precious", "."):
        done = run("generate", "num_per_class=2", f"output={output}", "overwrite=true")
        assert done.code == 1 and "is not overwritten" in done.err
    assert (tmp_path / "precious" / "thesis.txt").is_file()


def test_class_weights_make_some_classes_rare(run: Run) -> None:
    root = run("generate", "num_per_class=20", "class_weights=[8,1,1]", "output=set").folder / "set"
    counts = json.loads((root / "dataset.json").read_text())["counts"]
    assert counts["train"] == {"good": 34, "gap": 4, "bridge": 4} and sum(counts["test"].values()) == 12
    files, _ = read_folder(root, None, "error")
    assert sum(file.label == "good" for file in files) == sum(split["good"] for split in counts.values())
    assert len({file.path for file in files}) == 60


def test_clean_pairs_show_the_same_place_without_the_defect(run: Run) -> None:
    root = run("generate", "num_per_class=3", "output=set", "writer.clean_pair=true").folder / "set"
    for line in (root / "metadata.jsonl").read_text().splitlines():
        record = json.loads(line)
        image, clean = (read_image(root / record[key], cv2.IMREAD_UNCHANGED) for key in ("filename", "clean"))
        assert np.array_equal(image, clean) == (record["label"] == "good")
        assert np.mean(image == clean) > 0.3  # noise included
    assert len(read_folder(root, None, "error")[0]) == 9


@pytest.mark.parametrize("bits", [8, 16])
def test_tiff_carries_the_pixel_size(run: Run, bits: int) -> None:
    tifffile = pytest.importorskip("tifffile")
    options = ("writer.format=tiff", f"noise.bits={bits}", "imaging.pixel_size=0.8")
    root = run("generate", "num_per_class=2", "output=set", *options).folder / "set"
    for line in (root / "metadata.jsonl").read_text().splitlines():
        record = json.loads(line)
        sample = render(Scene.from_dict(record["scene"]))
        with tifffile.TiffFile(root / record["filename"]) as tiff:
            page = tiff.pages[0]
            assert np.array_equal(page.asarray(), sample.image) and page.dtype == f"uint{bits}"
            pixels, centimetres = page.tags["XResolution"].value
            assert 1e7 / (pixels / centimetres) == pytest.approx(0.8, rel=1e-4)
            assert json.loads(page.description) == {"pixel_size_nm": 0.8}
        assert np.abs(read_gray(root / record["filename"]) - sample.image / (2**bits - 1)).max() < 1e-6


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools' own
@pytest.mark.parametrize(
    "options",
    [
        ("defect.count=[1,3]", "defect.border=0.3"),
        ("pattern=contact_hole", "defect=contact_hole", "writer=shards"),
    ],
)
def test_coco_agrees_with_pycocotools(run: Run, options: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    coco_module, mask_module = pytest.importorskip("pycocotools.coco"), pytest.importorskip("pycocotools.mask")
    root = run("generate", "num_per_class=12", "output=set", *options).folder / "set"
    coco = coco_module.COCO(str(root / "annotations.json"))
    records = [json.loads(line) for line in (root / "metadata.jsonl").read_text().splitlines()]
    by_name = {record["filename"]: record for record in records}
    assert len(coco.imgs) == len(records)
    seen = 0
    for image_id, image in coco.imgs.items():
        record = by_name[image["file_name"]]
        sample = render(Scene.from_dict(record["scene"]))
        annotations = coco.loadAnns(coco.getAnnIds(imgIds=[image_id]))
        assert len(annotations) == len(sample.instances)
        union = np.zeros_like(sample.mask)
        for annotation, instance in zip(annotations, sample.instances, strict=True):
            mask = coco.annToMask(annotation)
            rle = coco.annToRLE(annotation)
            assert annotation["area"] == mask.sum() == mask_module.area(rle)
            assert annotation["bbox"] == list(instance.box) == list(mask_module.toBbox(rle))
            truth = mask_module.encode(np.asfortranarray(mask))
            assert mask_module.iou([rle], [truth], [0])[0, 0] == 1
            assert coco.cats[annotation["category_id"]]["name"] == record["label"]
            assert annotation["severity"] == pytest.approx(instance.severity, abs=1e-6)
            union |= mask
            seen += 1
        assert np.array_equal(union, sample.mask)
    assert seen >= 24


def test_yolo_boxes_are_where_the_defects_are(run: Run) -> None:
    root = run("generate", "num_per_class=4", "output=set", "defect.count=2").folder / "set"
    names = (root / "yolo.yaml").read_text().partition("names:\n")[2].splitlines()
    assert names == ["  0: gap", "  1: bridge"]
    listed = [line for path in root.glob("yolo_*.txt") for line in path.read_text().split()]
    assert len(listed) == 12
    for line in (root / "metadata.jsonl").read_text().splitlines():
        record = json.loads(line)
        assert f"./{record['filename']}" in listed
        rows = (root / record["filename"]).with_suffix(".txt").read_text().splitlines()
        assert len(rows) == len(record["boxes"])
        for row, (x, y, width, height) in zip(rows, record["boxes"], strict=True):
            number, *box = map(float, row.split())
            assert names[int(number)].endswith(record["label"])
            expected = [(x + width / 2) / 128, (y + height / 2) / 128, width / 128, height / 128]
            assert box == pytest.approx(expected, abs=1e-6)


def test_shards_read_back_as_the_files_do(run: Run) -> None:
    folder = run("generate", "num_per_class=10", "output=files").folder
    run("generate", "num_per_class=10", "output=shards", "writer=shards", "shards=4")
    datasets = []
    for name in ("files", "shards"):
        root = folder / name
        files, classes = read_folder(root, None, "error")
        datasets.append(FolderDataset(root, files, classes, (128, 128)))
    one, other = datasets
    assert len(one) == len(other) == 30
    for i in range(30):
        assert one.files[i].split == other.files[i].split
        for key in ("image", "label", "mask"):
            assert np.array_equal(np.asarray(one[i][key]), np.asarray(other[i][key]))


def test_tar_files_group_as_webdataset_does(run: Run) -> None:
    import tarfile

    root = (
        run(
            "generate", "num_per_class=4", "output=set", "writer=shards", "shards=2", "writer.annotations=[yolo]"
        ).folder
        / "set"
    )
    samples: dict[str, dict[str, bytes]] = {}
    for shard in sorted(root.glob("shard-*.tar")):
        with tarfile.open(shard) as tar:
            for member in tar:
                key, _, suffix = member.name.partition(".")  # WebDataset: up to the first dot
                content = tar.extractfile(member)
                assert content is not None and member.mtime == 0
                samples.setdefault(key, {})[suffix] = content.read()
    assert len(samples) == 12
    for sample in samples.values():
        assert set(sample) == {"png", "mask.png", "cls", "json", "txt"}
        record = json.loads(sample["json"])
        image = cv2.imdecode(np.frombuffer(sample["png"], np.uint8), cv2.IMREAD_UNCHANGED)
        assert image is not None and np.array_equal(image, render(Scene.from_dict(record["scene"])).image)
        assert ["good", "gap", "bridge"][int(sample["cls"])] == record["label"]


def test_training_from_shards_gives_what_training_from_files_gives(run: Run) -> None:
    size = ("imaging.image_size=64", "num_per_class=12")
    folder = run("generate", *size, "output=files").folder
    run("generate", *size, "output=shards", "writer=shards", "shards=4")
    common = [each for each in TINY if not each.startswith(("data.", "imaging."))]
    data = ("data=folder", "data.image_size=64", "data.batch_size=8", "data.num_workers=0")
    results = []
    for name in ("files", "shards"):
        done = run("train", *common, *data, f"data.root={folder / name}", "model.learning_rate=0.001")
        assert done.code == 0, done.err
        results.append(done.result()["metrics"])
    assert results[0] == results[1]


def test_a_damaged_shard_is_named(run: Run, tmp_path: Path) -> None:
    root = run("generate", "num_per_class=4", "output=set", "writer=shards", "shards=2").folder / "set"
    shard = root / "shard-000001.tar"
    shard.write_bytes(shard.read_bytes()[:4000])
    with pytest.raises(UserError, match=r"shard-000001\.tar"):
        read_folder(root, None, "error")


def test_memory_does_not_grow_with_the_set(simulator: Simulator) -> None:
    plan = ImageIndex(simulator.classes, {"train": 10**12, "val": 0, "test": 0, "calibration": 0})
    entry = plan[10**12 - 1]
    assert entry.label == "good" and entry.name == "good/good_333333333333" and entry.index == 10**12 - 1


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ([5, 3, 22], [5000, 3000, 22000]),
        ([2, 3, 25], [2000, 3000, 25000]),
        ([0.5, 0.25, 0.25], [15000, 7500, 7500]),
        ([1, 0, 2], [10000, 0, 20000]),
        ([5000, 1, 1], [29988, 6, 6]),
    ],
)
def test_class_weights_are_met_exactly(weights: list[float], expected: list[int]) -> None:
    plan = ImageIndex(["good", "gap", "bridge"], {"train": 30000, "val": 0, "test": 0, "calibration": 0}, weights)
    counts = [plan.counts()["train"][name] for name in plan.classes]
    assert np.abs(np.subtract(counts, expected)).max() <= 1 and sum(counts) == 30000
    names = [plan[number].name for number in range(3000)]
    assert len(set(names)) == 3000


def make_writer(simulator: Simulator, root: Path, **identity: int) -> SetWriter:
    plan = ImageIndex(simulator.classes, {"train": 6, "val": 0, "test": 0, "calibration": 0})
    return SetWriter(root, simulator, 0, plan, 2, WriterSettings("files", "png", False, ["coco"]), identity, "command")


def test_jobs_that_finish_together_leave_one_whole_set(simulator: Simulator, tmp_path: Path) -> None:
    writers = [make_writer(simulator, tmp_path / "set") for _ in range(4)]
    assert all(writer.start(False) for writer in writers)
    writers[0].write_parts([0, 1], 1, lambda _: None)
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(writer.finish) for writer in writers]:
            done.result()
    assert writers[0].is_complete() and [path.name for path in tmp_path.iterdir()] == ["set"]
    late = make_writer(simulator, tmp_path / "set")
    assert not late.start(False)


def test_what_a_broken_clean_up_left_is_never_taken_over(simulator: Simulator, tmp_path: Path) -> None:
    first = make_writer(simulator, tmp_path / "set", version=1)
    first.start(False)
    first.write_parts([0], 1, lambda _: None)
    (first.partial / "plan.json").unlink()
    second = make_writer(simulator, tmp_path / "set", version=2)
    second.start(False)
    assert second.missing_parts() == [0, 1]


def test_yolo_names_lists_for_every_split_that_readers_insist_on(run: Run) -> None:
    shares = "shares={train: 0.5, val: 0, test: 0.5, calibration: 0}"
    root = run("generate", "num_per_class=2", "output=set", shares).folder / "set"
    lines = dict(line.split(": ", 1) for line in (root / "yolo.yaml").read_text().splitlines() if ": " in line)
    assert "path" not in lines and lines["train"] == "yolo_train.txt" and lines["val"] == "yolo_test.txt"


def test_hostile_listings_are_one_line(run: Run) -> None:
    root = run("generate", "num_per_class=2", "output=set", "writer=shards", "shards=1").folder / "set"
    good = (root / "labels.csv").read_text().splitlines()
    for field in ("9" * 30, "9" * 5000, "-1", "9" * 12):
        cells = good[1].split(",")
        cells[3] = field
        (root / "labels.csv").write_text("\n".join([good[0], ",".join(cells), *good[2:]]))
        with pytest.raises(UserError):
            read_folder(root, None, "error")


def test_sixteen_bits_train_between_black_and_white() -> None:
    deep = SimulatedDataset(make_simulator("noise.bits=16"), 0, "train", 3)
    plain = SimulatedDataset(make_simulator(), 0, "train", 3)
    assert float((deep[1]["image"] - plain[1]["image"]).abs().max()) < 0.003


def test_clean_pairs_are_not_predicted(run: Run) -> None:
    root = run("generate", "num_per_class=2", "output=set", "writer.clean_pair=true").folder / "set"
    assert len(find_images(str(root))) == 6
