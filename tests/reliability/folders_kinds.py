"""Folders as people have them: layouts, names of classes, masks, and files beside images."""

from collections.abc import Iterable
from pathlib import Path

from folder_trees import (
    BOTH,
    HALVES,
    PAIR,
    TWO,
    Check,
    Make,
    Right,
    all_of,
    images,
    in_splits,
    listed,
    made,
    save,
    warnings_of,
    with_files,
    with_masks,
)
from kind import Kind

from sem_lightning.data.export.index import ImageIndex
from sem_lightning.data.export.set_writer import SetWriter
from sem_lightning.data.export.storage import WriterSettings
from sem_lightning.data.labelled_folder import read_folder
from sem_lightning.data.sources import FolderSource
from sem_lightning.data.splits import SPLITS
from sem_lightning.errors import UserError
from sem_lightning.synthesis.simulator import Simulator

_MVTEC_IMAGES = ("train/good/000.png", "train/good/001.png", "test/good/000.png", "test/scratch/000.png")
_MVTEC = with_masks(_MVTEC_IMAGES, "ground_truth/scratch/000_mask.png")
_LAYOUTS: dict[str, tuple[Make, Right]] = {
    "classes": (images(*PAIR), BOTH),
    "classes with a test among them": (
        images(*PAIR, "test/0.png"),
        Right({**TWO, "test": 1}, classes=("good", "gap", "test")),
    ),
    "train, val, test": (in_splits("train", "val", "test"), Right({"good": 6, "gap": 6}, dict.fromkeys(HALVES, 4))),
    "train, valid, test": (
        in_splits("train", "valid", "test"),
        Right({"good": 6, "gap": 6}, dict.fromkeys(HALVES, 4)),
    ),
    "Train, Validation, Testing": (
        in_splits("Train", "Validation", "Testing"),
        Right({"good": 6, "gap": 6}, dict.fromkeys(HALVES, 4)),
    ),
    "train, val, test, calibration": (
        in_splits("train", "val", "test", "calibration"),
        Right({"good": 8, "gap": 8}, {"train": 4, "val": 4, "test": 4, "calibration": 4}),
    ),
    "splits beside a folder of notes": (
        with_files(("train/good/0.png", "test/gap/0.png"), "docs/notes.txt"),
        Right({"good": 1, "gap": 1}, {"train": 1, "test": 1}, said=("left out: docs",)),
    ),
    "splits with masks that mirror them": (
        with_masks(("train/good/0.png", "train/gap/0.png", "test/gap/0.png"), "masks/train/gap/0.png"),
        Right({"good": 1, "gap": 2}, {"train": 2, "test": 1}, masks=1),
    ),
    "splits with masks in each": (
        with_masks(("train/good/0.png", "train/gap/0.png", "test/gap/0.png"), "test/masks/gap/0.png"),
        Right({"good": 1, "gap": 2}, {"train": 2, "test": 1}, masks=1),
    ),
    "MVTec": (
        _MVTEC,
        Right({"good": 3, "scratch": 1}, {"train": 2, "test": 2}, masks=1, classes=("good", "scratch")),
    ),
    "YOLO, images and labels": (
        with_files(("images/train/0.png",), "labels/train/0.txt"),
        Right(said=("YOLO detection set", "labels.csv")),
    ),
    "YOLO, images and labels in splits": (
        with_files(("train/images/0.png", "valid/images/0.png"), "train/labels/0.txt", "valid/labels/0.txt"),
        Right(said=("YOLO detection set", "labels.csv")),
    ),
    "YOLO, text beside images in splits": (
        with_files(("train/0.png", "test/0.png"), "train/0.txt", "test/0.txt"),
        Right(said=("without folders for classes", "YOLO boxes")),
    ),
    "Pascal VOC": (
        with_files(("JPEGImages/0.jpg",), "Annotations/0.xml"),
        Right(said=("Pascal VOC detection set", "labels.csv")),
    ),
    "Pascal VOC beside images in splits": (
        with_files(("train/0.jpg", "valid/0.jpg"), "train/0.xml"),
        Right(said=("without folders for classes", "Pascal VOC boxes")),
    ),
    "COCO": (
        with_files(("images/0.jpg",), "annotations/instances.json"),
        Right(said=("detection set (images/ and annotations/)",)),
    ),
    "images in the root alone": (
        images("0.png", "1.png"),
        Right(said=("holds 2 images without folders for classes",)),
    ),
    "images in splits alone": (images("train/0.png", "test/1.png"), Right(said=("without folders for classes",))),
    "an empty folder": (lambda root: None, Right(said=("holds no images", "labels.csv"))),
    "a class without images": (
        all_of(images(*PAIR), lambda root: (root / "bridge").mkdir()),
        Right(TWO, classes=("good", "bridge", "gap")),
    ),
    "a folder in a class": (
        images(*PAIR, "gap/lot7/0.png"),
        Right(said=("1 of 5 images", "lot7: Is a directory", "on_bad_image=skip")),
    ),
}
_NAMES: dict[str, tuple[Make, Right]] = {
    **{
        f"{word} is good": (
            images(f"{word}/0.png", "NG/0.png"),
            Right({"good": 1, "NG": 1}, classes=("good", "NG"), said=(f"{word} is taken as good",)),
        )
        for word in ("OK", "ok", "Good", "GOOD", "normal", "Pass", "no_defect", "defect-free", "Okay")
    },
    "OK beside good stays": (
        images("good/0.png", "OK/0.png", "NG/0.png"),
        Right({"good": 1, "OK": 1, "NG": 1}, classes=("good", "NG", "OK")),
    ),
    "OK and pass are not told apart": (
        images("OK/0.png", "pass/0.png"),
        Right({"OK": 1, "pass": 1}, classes=("OK", "pass"), said=("no class is called good", "no threshold")),
    ),
    "no class is good": (
        images("scratch/0.png", "NG/0.png"),
        Right(
            {"scratch": 1, "NG": 1}, classes=("NG", "scratch"), said=("no class is called good", "masks are not used")
        ),
    ),
    "OK in a list": (
        listed("filename,label\ngood/0.png,OK\ngap/0.png,gap\n"),
        Right({"good": 1, "gap": 1}, said=("OK is taken as good",)),
    ),
    "OK in splits": (
        in_splits("train", "val", "test", classes=("OK", "NG")),
        Right({"good": 6, "NG": 6}, dict.fromkeys(HALVES, 4), said=("OK is taken as good",)),
    ),
}
_MASKS: dict[str, tuple[Make, Right]] = {
    name: (with_masks((*PAIR[:3], "gap/b.tif"), *masks), Right(TWO, masks=count, said=said))
    for name, masks, count, said in (
        ("same name", ("masks/gap/0.png",), 1, ()),
        ("of a TIFF", ("masks/gap/b.png",), 1, ()),
        ("NAME_mask.png", ("masks/gap/b_mask.png",), 1, ()),
        ("NAME-mask.png", ("masks/gap/b-mask.png",), 1, ()),
        ("mask_NAME.png", ("masks/gap/mask_b.png",), 1, ()),
        ("NAME_gt.png", ("masks/gap/b_gt.png",), 1, ()),
        ("NAME.tif.png", ("masks/gap/b.tif.png",), 1, ()),
        ("as TIFF", ("masks/gap/b.tif",), 1, ()),
        ("as BMP", ("masks/gap/b_mask.bmp",), 1, ()),
        ("in capitals", ("masks/gap/b_Mask.PNG",), 1, ()),
        ("ground_truth", ("ground_truth/gap/b_mask.png",), 1, ()),
        ("without folders", ("masks/b.png",), 1, ()),
        ("without folders, of two images", ("masks/0.png",), 0, ("1 of 1 masks", "0.png")),
        ("in the folder of the class", ("gap/masks/b.png",), 1, ()),
        ("beside its image", ("gap/b_mask.png",), 1, ("1 files beside their images are masks",)),
        ("of no image", ("masks/gap/0.png", "masks/gap/zz.png"), 1, ("1 of 2 masks", "masks/gap/zz.png", "NAME_mask")),
        ("as JPEG", ("masks/gap/b.jpg",), 0, ("1 of 1 masks", "without loss")),
        ("of another class", ("masks/bridge/b.png",), 0, ("1 of 1 masks", "masks/bridge/b.png")),
        ("two of one image", ("masks/gap/b.png", "masks/gap/b_mask.png"), 1, ("1 of 2 masks", "b_mask.png")),
    )
}
_MASKS["of two images of one name"] = (
    with_masks((*PAIR, "gap/b.tif", "gap/b.png"), "masks/gap/b.png"),
    Right({"good": 2, "gap": 4}, masks=2),
)
_BESIDE: dict[str, tuple[Make, Right]] = {
    **{
        name: (with_files(PAIR, f"gap/{name}"), BOTH)
        for name in ("0.hdr", "0.json", "0.xml", "0.txt", "0.TXT", "0.png.txt", "0-png.hdr", "Thumbs.db", "desktop.ini",
                     ".DS_Store", "._0.png", "data.yaml", "classes.txt", "notes.xml", "0.XML")
    },
    "notes.txt is no image": (
        with_files(PAIR, "gap/notes.txt"),
        Right(said=("1 of 5 images", "notes.txt", "on_bad_image=skip")),
    ),
    "a .hdr in the folder of masks": (with_files(PAIR, "masks/gap/Thumbs.db"), BOTH),
}  # fmt: skip


def _of_checkpoint(label: str, right: str) -> Check:
    """Whether a folder's name of a class is found among those of a classifier."""

    def check(folder: Path) -> str | None:
        save(folder, f"{label}/0.png", "gap/0.png")
        files, _ = read_folder(folder, ["good", "gap", "bridge"], "skip", decode=False)
        found = sorted(file.label for file in files)
        return None if right in found else f"read {found}, right is one of {right}"

    return check


def _unknown_to_checkpoint(folder: Path) -> str | None:
    save(folder, "OK/0.png", "NG/0.png", "NG/1.png")
    try:
        read_folder(folder, ["good", "gap", "bridge"], "error", decode=False)
    except UserError as error:
        expected = (
            "2 of 3 images",
            "unknown class 'NG' (classes: good, gap, bridge); give the unknown class one of these",
        )
        return next((f"said {error}" for word in expected if word not in str(error)), None)
    return "read NG as a class of the classifier"


def _old_names_of_checkpoint(folder: Path) -> str | None:
    """A classifier that was trained on a class OK keeps it."""
    save(folder, "OK/0.png", "NG/0.png")
    files, classes = read_folder(folder, ["NG", "OK"], "error")
    return None if classes == ["NG", "OK"] and {file.label for file in files} == {"NG", "OK"} else f"read {classes}"


def _split_sources(make: Make, counts: dict[str, int], said: str) -> Check:
    """Images in each split of a source for training."""

    def check(folder: Path) -> str | None:
        make(folder)
        try:
            source = FolderSource(folder)
        except UserError as error:
            return None if said and said in str(error) else f"error: {error}"
        found = {split: sum(source.counts(split).values()) for split in ("train", "val", "test")}
        return None if found == counts else f"has {found}, right is {counts}"

    return check


def _many(*splits: str) -> Make:
    return images(*(f"{split}/{label}/{i}.png" for split in splits for label in ("good", "gap") for i in range(10)))


def _yolo(path: str, annotations: list[str], said: str) -> Check:
    """What is said of a set for ultralytics at a path."""

    def check(folder: Path) -> str | None:
        simulator = Simulator.compose()
        plan = ImageIndex(simulator.classes, dict.fromkeys(SPLITS, 0))
        settings = WriterSettings("files", "png", False, annotations)
        with warnings_of() as lines:
            SetWriter(folder / path, simulator, 0, plan, 1, settings, {}, "").start(overwrite=False)
        right = any(said in line for line in lines) if said else not lines
        return None if right else f"said {lines}"

    return check


def kinds() -> Iterable[Kind]:
    """Every layout and name."""
    for prefix, group in {"": _LAYOUTS, "class ": _NAMES, "mask ": _MASKS, "beside: ": _BESIDE}.items():
        for name, (make, right) in group.items():
            yield Kind(f"{prefix}{name}", made(make, right))
    for label, meant in (("good", "good"), ("OK", "good"), ("Good", "good"), ("Bridge", "bridge")):
        yield Kind(f"class {label} for a classifier", _of_checkpoint(label, meant))
    yield Kind("class NG for a classifier", _unknown_to_checkpoint)
    yield Kind("class OK of a classifier", _old_names_of_checkpoint)
    yield Kind(
        "train and test are given", _split_sources(_many("train", "test"), {"train": 18, "val": 2, "test": 20}, "")
    )
    few = _split_sources(in_splits("train", "test"), {}, "the val split has no image of class good, gap")
    yield Kind("train and test are given, of few images", few)
    yield Kind(
        "train and val are given", _split_sources(_many("train", "val"), {"train": 16, "val": 20, "test": 4}, "")
    )
    yield Kind("all are given", _split_sources(_many("train", "valid", "test"), dict.fromkeys(HALVES, 20), ""))
    for path in ("images", "images/one", "a/images/b/c"):
        yield Kind(
            f"YOLO into {path}", _yolo(path, ["yolo"], "choose an output that is not below a folder called images")
        )
    yield Kind("YOLO into my_images", _yolo("my_images/one", ["yolo"], ""))
    yield Kind("COCO into images", _yolo("images/one", ["coco"], ""))
    yield Kind("training on MVTec", _split_sources(_MVTEC, {}, "the train split has no image of class scratch"))
