"""Labels leave the store in formats that others read, and come back as they were."""

import json
from pathlib import Path

import pytest
from conftest import Run
from hypothesis import given, settings
from hypothesis import strategies as st
from reviewing import stored, write_images

from sem_lightning.data.labelled_folder import read_folder
from sem_lightning.errors import UserError
from sem_lightning.review.answers import Answer, Box
from sem_lightning.review.exporting import _as_task, export_labels
from sem_lightning.review.images import ReviewImage, list_review_images
from sem_lightning.review.importing import _of_task, import_labels
from sem_lightning.review.labels import ReviewedImage, collect_labels
from sem_lightning.review.store import STORE, LabelStore


@pytest.fixture
def reviewed(tmp_path: Path) -> Path:
    """A folder with images and the answers of two reviewers."""
    write_images(tmp_path / "images" / "=odd names", 7)
    images = list_review_images(tmp_path / "images", tmp_path / "out")
    (tmp_path / "out").mkdir()
    store = LabelStore(tmp_path / "out" / STORE)

    def say(number: int, label: str, *boxes: Box, reviewer: str = "anna") -> None:
        answer = Answer(images[number].name, images[number].sha256, reviewer, label, boxes)
        store.add([answer], f"{number} {reviewer}")

    say(0, "good")
    say(1, "gap", Box(1, 2, 3, 4), Box(10, 20, 30, 40))
    say(1, "gap", reviewer="ben")
    say(2, "bridge", Box(0, 0, 64, 64))
    say(3, "particle")
    say(4, "unsure")
    say(5, "good")
    say(5, "gap", reviewer="ben")
    say(6, "gap")
    images[6].path.write_bytes(images[0].path.read_bytes())
    store.close()
    return tmp_path


LABELS = ["good", "gap", "bridge", "particle"]
BOXES = {"001.png": [[1, 2, 3, 4], [10, 20, 30, 40]], "002.png": [[0, 0, 64, 64]]}


def test_what_reviewers_agree_on_is_exported(reviewed: Path, run: Run) -> None:
    done = run("review", "action=export", "images=images", "output=out")
    assert done.code == 0, done.err
    assert "4 images in out" in done.out
    assert "left out: 1 unsure, 1 disputed, 1 of files that are gone or have changed" in done.out
    files, classes = read_folder(reviewed / "out", None, "error")  # as sem-train reads it
    assert [file.label for file in files] == LABELS and classes == ["good", "bridge", "gap", "particle"]
    assert [file.path.resolve().name for file in files] == ["000.png", "001.png", "002.png", "003.png"]

    api = pytest.importorskip("pycocotools.coco").COCO(str(reviewed / "out" / "coco.json"))
    found = {Path(image["file_name"]).name: image["id"] for image in api.loadImgs(api.getImgIds())}
    names = {each["id"]: each["name"] for each in api.loadCats(api.getCatIds())}
    for name, number in found.items():
        annotations = api.loadAnns(api.getAnnIds(imgIds=[number]))
        assert [each["bbox"] for each in annotations] == BOXES.get(name, [])
        assert all(names[each["category_id"]] == LABELS[int(name[:3])] for each in annotations)
    assert (reviewed / "out" / api.loadImgs([1])[0]["file_name"]).is_file()

    yolo = reviewed / "out" / "yolo"
    listed = (yolo / "images.txt").read_text().split()
    assert listed == ["./000000.png", "./000001.png", "./000002.png"]  # the particle has no box
    assert all((yolo / name).read_bytes()[:4] == b"\x89PNG" for name in listed)
    assert (yolo / "000000.txt").read_text() == ""
    assert (yolo / "000001.txt").read_text().splitlines()[0] == "1 0.039062 0.062500 0.046875 0.062500"
    assert '  1: "gap"' in (yolo / "yolo.yaml").read_text()
    assert run("review", "action=export", "images=images", "output=out").code == 0  # again, over the first


@pytest.mark.parametrize("name", ["labels.csv", "coco.json", "label_studio.json"])
def test_labels_come_back_as_they_were(reviewed: Path, run: Run, name: str) -> None:
    run("review", "action=export", "images=images", "output=out")
    done = run("review", "action=import", "images=images", "output=back", f"labels=out/{name}", "reviewer=file")
    assert done.code == 0, done.err
    found = stored(reviewed / "back")
    assert [each.label for each in found] == LABELS and {each.reviewer for each in found} == {"file"}
    for each in found if name != "labels.csv" else []:
        expected = BOXES.get(Path(each.image).name, [])
        assert [[box.x, box.y, box.width, box.height] for box in each.boxes] == expected
    again = run("review", "action=import", "images=images", "output=back", f"labels=out/{name}", "reviewer=file")
    assert again.code == 0 and len(stored(reviewed / "back")) == 4


@settings(deadline=None)
@given(
    shape=st.tuples(st.integers(1, 5000), st.integers(1, 5000)),
    corners=st.tuples(*[st.floats(0, 1)] * 4),
)
def test_boxes_survive_percentages(shape: tuple[int, int], corners: tuple[float, ...]) -> None:
    height, width = shape
    x, y = int(corners[0] * (width - 1)), int(corners[1] * (height - 1))
    box = Box(x, y, 1 + int(corners[2] * (width - x - 1)), 1 + int(corners[3] * (height - y - 1)))
    image = ReviewImage(0, "a b/ä.png", Path("a b/ä.png"), "0")
    back = _of_task(json.loads(json.dumps(_as_task(ReviewedImage(image, "gap", (box,), ("anna",)), shape))))
    assert back is not None and (back.name, back.label, back.boxes) == ("a b/ä.png", "gap", (box,))


def test_files_that_are_none_of_these_are_refused_and_nothing_is_stored(tmp_path: Path) -> None:
    write_images(tmp_path / "images", 1)
    images = list_review_images(tmp_path / "images", tmp_path / "out")
    store = LabelStore(tmp_path / "labels.sqlite")
    box = {"image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1]}
    coco = {"categories": [{"id": 1, "name": "gap"}], "images": [{"id": 1, "file_name": "000.png"}]}
    for content in (
        b"", b"[", b"{}", b"[3]", b'"text"', b"[" * 100_000,
        json.dumps(coco | {"annotations": [box | {"bbox": [1]}]}).encode(),
        json.dumps(coco | {"annotations": [box | {"bbox": [-5, 0, 1, 1]}]}).encode(),
        json.dumps(coco | {"annotations": [box | {"category_id": 9}]}).encode(),
        json.dumps(coco | {"categories": [{"id": 1, "name": "a\nb"}], "annotations": [box]}).encode(),
    ):  # fmt: skip
        (tmp_path / "labels.json").write_bytes(content)
        with pytest.raises(UserError, match=r"labels.json|classes") as caught:
            import_labels(tmp_path / "labels.json", images, store, "anna")
        assert "\n" not in str(caught.value)
    assert store.count_rows() == 0
    (tmp_path / "labels.json").write_text(json.dumps(coco | {"annotations": [box]}))
    assert import_labels(tmp_path / "labels.json", images, store, "anna") == (1, 0)
    coco["images"][0]["file_name"] = "../../etc/passwd"
    (tmp_path / "labels.json").write_text(json.dumps(coco | {"annotations": [box]}))
    assert import_labels(tmp_path / "labels.json", images, store, "anna") == (0, 1)
    store.close()


def test_an_export_of_nothing(tmp_path: Path, run: Run) -> None:
    write_images(tmp_path / "images", 1)
    done = run("review", "action=export", "images=images", "output=out")
    assert done.code == 1 and "holds no labels.sqlite; review images first" in done.err
    assert export_labels([], tmp_path) and (tmp_path / "labels.csv").read_text() == "filename,label\n"
    assert collect_labels([], []).images == []
    for arguments, said in (
        (("action=import",), "labels: needs a value with action=import"),
        (("labels=a.csv",), "labels: needs a value with action=import"),
        (("action=look",), "action: found 'look', expected one of serve, export, import"),
        (("strategy=fast",), "strategy: found 'fast', expected one of best, uncertainty"),
        (("acceptance.max_rate=2",), "acceptance.max_rate: found 2, expected a share between 0 and 1"),
        (("classes=[unsure]",), "classes: found 'unsure'"),
        (("second=2",), "second: found 2, expected 0 to 1"),
        (("host=0.0.0.0",), "host: 0.0.0.0 is reached by other machines"),
        (("images=nowhere",), "images: found no folder nowhere"),
    ):
        done = run("review", "images=images", "output=out", "port=0", *arguments)
        assert done.code == 1 and said in done.err and done.err.count("\n") == 1, done.err
