"""``sem-inspect images=LOT.klarf``: defects compared with the references that the file gives."""

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from conftest import Run, make_simulator
from made_up_lots import Made, Style, write_flat, write_nested

from sem_lightning.klarf.read import read_klarf
from sem_lightning.synthesis.simulator import render

MAPPING = "good: 100\ndefect: 200\nunsure: 300\n"


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def make_pair(index: int, is_defective: bool) -> tuple[np.ndarray, np.ndarray]:
    simulator = make_simulator("pattern=routing", "imaging.image_size=168", "noise=low")
    field = render(simulator.draw(3, 0, index, "good")).image
    rng = np.random.default_rng(index)
    image, reference = field[3:163, 5:165].copy(), field[:160, :160].copy()
    if is_defective:  # a bright spot, larger than any edge's roughness
        cv2.circle(image, (90, 70), 7, 255, -1)
    noisy = [np.clip(each + rng.normal(0, 3, each.shape), 0, 255).astype(np.uint8) for each in (image, reference)]
    return noisy[0], noisy[1]


def write_lot(folder: Path, kinds: tuple[str, str], is_blank: bool = False) -> list[Made]:
    """Defects 1 (good), 2 (defective, of two images), 3 without a reference and 4 with a missing page."""
    image, reference = kinds
    if is_blank:
        pages = [np.zeros((40, 40), np.uint8)] * 5
    else:
        pages = [page for number in range(2) for page in make_pair(number, number == 1)] + [make_pair(1, False)[0]]
    with tifffile.TiffWriter(folder / "a.tif") as writer:
        for page in pages:
            writer.write(page, contiguous=False)
    (folder / "classes.yaml").write_text(MAPPING)
    return [
        Made(1, 5, images=(("a.tif", 1, image), ("a.tif", 2, reference))),
        Made(2, 5, images=(("a.tif", 5, image), ("a.tif", 3, image), ("a.tif", 4, reference))),
        Made(3, 5, images=(("a.tif", 1, image),)),
        Made(4, 5, images=(("a.tif", 1, image), ("a.tif", 9, reference))),
    ]


@pytest.mark.parametrize("version", ["1.2", "1.8"])
def test_defects_are_compared_with_the_references_of_the_file(run: Run, tmp_path: Path, version: str) -> None:
    made = write_lot(tmp_path, ("Patch", "Reference") if version == "1.8" else ("0", "1"))
    data = write_nested(made) if version == "1.8" else write_flat(made, Style())
    (tmp_path / "lot.klarf").write_bytes(data)
    kinds = [] if version == "1.8" else ["klarf.reference_kinds=['1']"]
    done = run("inspect", "images=lot.klarf", "network=null", "klarf.classes=classes.yaml", "jsonl=l.jsonl",
               "klarf.report=r.html", *kinds)  # fmt: skip
    assert done.code == 3 and done.err.startswith("error: wafer W 03, defect 4: a.tif: has no page 9, only 5"), done.err
    assert done.out == ("4 defects in inspection.csv: good 1, defect 1, unsure 0, no reference 1, unreadable 1\n"
                        "lot.classified.klarf has 2 new numbers in CLASSNUMBER\n")  # fmt: skip
    rows = read_rows(tmp_path / "inspection.csv")
    assert [row["decision"] for row in rows] == ["good", "defect", "", ""]
    assert [row["reason"] for row in rows] == ["", "", "no reference", "unreadable"]
    assert [row["image"] for row in rows] == ["1", "3", "", ""]  # the defective one of two
    assert float(rows[0]["shift_x"]) == pytest.approx(5, abs=0.3)
    after = read_klarf(tmp_path / "lot.classified.klarf")
    assert [defect.class_number() for defect in after.defects] == [100, 200, 5, 5]
    assert after.with_classes(dict.fromkeys(range(4), 5)).data == data
    assert len((tmp_path / "l.jsonl").read_text().splitlines()) == 4
    assert json.loads((tmp_path / "l.jsonl").read_text().splitlines()[1])["places"]
    assert "Wafer W 03" in (tmp_path / "r.html").read_text()


def test_the_class_of_a_place_has_its_own_number(run: Run, tmp_path: Path) -> None:
    made = write_lot(tmp_path, ("Patch", "Reference"))[1:2]
    (tmp_path / "lot.klarf").write_bytes(write_nested(made))
    labels = ("gap", "bridge")
    (tmp_path / "classes.yaml").write_text(MAPPING + "".join(f"{name}: {i}\n" for i, name in enumerate(labels, 201)))
    done = run("inspect", "images=lot.klarf", "klarf.classes=classes.yaml")
    assert done.code == 0, done.err
    (row,) = read_rows(tmp_path / "inspection.csv")
    assert row["decision"] == "defect"
    expected = {"gap": "201", "bridge": "202"}.get(row["label"], "200")
    assert row["class_after"] == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "klarf.reference_kinds: lot.klarf has no defect with an image and a reference; name the kinds"),
        (["reference=a.tif"], "reference: found 'a.tif', expected none or self with a KLARF file"),
        (["report=r.html"], "report: found r.html, expected none with a KLARF file; klarf.report is the page"),
        (["overlays=true"], "overlays: found True, expected none with a KLARF file"),
        (["images=a.tif", "reference=self", "klarf.images=."], "klarf.images: needs a KLARF file: images=LOT.klarf"),
        (["klarf.reference_kinds=['1']", "output=a.tif"], "output: would overwrite a.tif, which images=... reads"),
    ],
)
def test_what_cannot_be_is_refused(run: Run, tmp_path: Path, arguments: list[str], message: str) -> None:
    made = write_lot(tmp_path, ("0", "1"), is_blank=True)
    (tmp_path / "lot.klarf").write_bytes(write_flat(made))
    (tmp_path / "classes.yaml").write_text(MAPPING)
    klarf = [] if "reference=self" in arguments else ["klarf.classes=classes.yaml"]
    done = run("inspect", "images=lot.klarf", "network=null", *klarf, *arguments)
    assert done.code == 1 and done.err.startswith(f"error: {message}") and done.err.count("\n") == 1, done.err
    assert not (tmp_path / "lot.classified.klarf").exists() and not (tmp_path / "inspection.csv").exists()
