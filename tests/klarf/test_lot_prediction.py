"""``sem-predict images=LOT.klarf``: one answer for each defect, in a table, a report and the file itself."""

import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from conftest import Run, make_simulator, needs_browser, shown_in_browser
from hypothesis import given
from hypothesis import strategies as st
from made_up_lots import Made, NestedStyle, Style, write_flat, write_nested

from sem_lightning.inference.prediction import Prediction
from sem_lightning.inference.predictor import load
from sem_lightning.klarf.example_lot import write_example_lot
from sem_lightning.klarf.judging import choose_deciding
from sem_lightning.klarf.read import parse_klarf, read_klarf

MAPPING = "good: 100\ngap: 200\nbridge: 300\nunsure: 400\n"
NUMBERS = {"good": "100", "gap": "200", "bridge": "300", "unsure": "400"}


def make_images(count: int) -> list[np.ndarray]:
    simulator = make_simulator("imaging.image_size=64")
    return [simulator.sample(number).image for number in range(count)]


def write_pages(path: Path, images: Sequence[np.ndarray]) -> None:
    with tifffile.TiffWriter(path) as writer:
        for image in images:
            writer.write(image, contiguous=False)


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def make_lot() -> list[Made]:
    return [
        Made(1, 5, (0, 0), (4000, 5000), (("a.tif", 1, "0"),)),
        Made(2, 5, (1, 0), (4000, 5000), (("a.tif", 2, "0"), ("a.tif", 3, "0"))),
        Made(3, 5, (0, -2), (4100, 5200)),
        Made(4, 5, (0, 0), (0, 0), (("missing.tif", 1, "0"),)),
        Made(5, 5, (0, 0), (0, 0), (("a.tif", 9, "0"),)),
        Made(6, 5, (0, 0), (0, 0), (("b.png", 1, "0"),)),
    ]


def write_lot(folder: Path, data: bytes) -> None:
    images = make_images(4)
    write_pages(folder / "a.tif", images[:3])
    cv2.imwrite(str(folder / "b.png"), images[3])
    (folder / "lot.klarf").write_bytes(data)
    (folder / "classes.yaml").write_text(MAPPING)


LOTS = {
    "1.1": write_flat(make_lot(), Style(version="1.1", newline="\r\n")),
    "1.2": write_flat(make_lot()),
    "1.8": write_nested(make_lot(), NestedStyle(wrap=3)),
}


@pytest.mark.parametrize("data", LOTS.values(), ids=LOTS)
def test_a_lot_to_every_output(run: Run, checkpoint: Path, tmp_path: Path, data: bytes) -> None:
    write_lot(tmp_path, data)
    done = run("predict", f"ckpt={checkpoint}", "images=lot.klarf", "klarf.classes=classes.yaml", "output=out/p.csv",
               "jsonl=out/p.jsonl", "klarf.report=out/r.html")  # fmt: skip
    assert done.code == 3, done.err
    assert done.out.startswith("6 defects in out/p.csv (argmax, bright (the checkpoint's)): good ")
    assert "no image 1, unreadable 2\nout/lot.classified.klarf has 3 new numbers in CLASSNUMBER\n" in done.out
    assert [line.split(": ")[1] for line in done.err.splitlines()] == ["wafer W 03, defect 4", "wafer W 03, defect 5"]
    rows = read_rows(tmp_path / "out" / "p.csv")
    assert [row["defect"] for row in rows] == list("123456") and {row["lot"] for row in rows} == {"LOT 7"}
    assert [row["reason"] for row in rows] == ["", "", "no image", "unreadable", "unreadable", ""]
    assert [(row["x_mm"], row["y_mm"]) for row in rows[:3]] == [("0.0", "0.0"), ("8.0", "0.0"), ("0.1", "-19.8")]
    assert [row["images"] for row in rows] == ["1", "2", "0", "0", "0", "1"]
    # the answers are those for the images alone, the most defective one of a defect decides
    images = make_images(4)
    alone = load(checkpoint).predict(images)
    worst = min((1, 2), key=lambda number: (alone[number].decision == "good", alone[number].log_odds_good))
    for row, number in zip((rows[0], rows[1], rows[5]), (0, worst, 3), strict=True):
        assert row["decision"] == alone[number].decision
        assert float(row["p_good"]) == pytest.approx(alone[number].probabilities["good"], abs=1e-5)
    assert rows[1]["image"] == str(worst + 1)
    # the file is the same but for the numbers of the defects with an answer
    after = read_klarf(tmp_path / "out" / "lot.classified.klarf")
    expected = [int(NUMBERS.get(row["decision"], "5")) for row in rows]
    assert [defect.class_number() for defect in after.defects] == expected
    assert [row["class_after"] for row in rows] == list(map(str, expected))
    assert after.with_classes(dict.fromkeys(range(6), 5)).data == data
    lines = [json.loads(line) for line in (tmp_path / "out" / "p.jsonl").read_text().splitlines()]
    assert [line["defect"] for line in lines] == list("123456") and lines[3]["error"].endswith(
        "No such file or directory"
    )
    page = (tmp_path / "out" / "r.html").read_text()
    assert "6 defects, 3 with an answer" in page and "Wafer W 03, slot 3: 6 defects" in page


@needs_browser
def test_the_report_is_shown(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    lot = [replace(each, die=(40 * (each.number == 3), 0)) for each in make_lot()]
    write_lot(
        tmp_path, write_flat(lot, Style(lookup=((1, "Good"), (7, "Gap"), (9, "Bridge")))).replace(b"LOT 7", b"<b>&$x$")
    )
    done = run("predict", f"ckpt={checkpoint}", "images=lot.klarf", "klarf.report=r.html")
    assert done.code == 3, done.err
    for page in shown_in_browser(tmp_path / "r.html"):
        text = page.inner_text("body")
        assert "Lot <b>&$x$" in text and "1 defects lie outside of the wafer" in text and "Pareto" in text
        assert page.locator("img").count() == 4 and page.locator(".card").count() == 6


def test_class_numbers_of_another_column(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    write_lot(tmp_path, write_flat(make_lot()[:1]))
    done = run(
        "predict", f"ckpt={checkpoint}", "images=lot.klarf", "klarf.column=roughbinnumber", "klarf.output=new.001"
    )
    assert done.code == 0, done.err
    after = read_klarf(tmp_path / "new.001").defects[0]
    assert after.class_number() == 5 and after.class_number("ROUGHBINNUMBER") in (1, 7, 9)  # of ClassLookup


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["klarf.column=DEFECTID"],
            "lot.klarf: found no column DEFECTID of classes, expected one of CLASSNUMBER, ROUGH",
        ),
        (["klarf.output=lot.klarf"], "klarf.output: would overwrite lot.klarf, which images=... reads; name another"),
        (["output=a.tif"], "output: would overwrite a.tif, which images=... reads; name another"),
        (["klarf.report=classes.yaml"], "klarf.report: would overwrite classes.yaml, which klarf.classes=... reads"),
        (["klarf.output=predictions.csv"], "klarf.output: would be written to the same file as another list"),
        (["klarf.images=nowhere"], "klarf.images: found no folder nowhere, expected that of the images"),
        (["klarf.classes=none.yaml"], "klarf.classes: none.yaml: No such file"),
        (["explain=true"], "explain: found true, expected false with a KLARF file"),
        (["images=a.tif"], "klarf.classes: needs a KLARF file: images=LOT.klarf"),
        (["images=empty.klarf"], "images: empty.klarf lists no defects"),
        (["images=damaged.klarf"], "damaged.klarf: line 3: a row with fewer values"),
    ],
)
def test_what_cannot_be_is_refused(
    run: Run, checkpoint: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    write_lot(tmp_path, write_flat(make_lot()))
    (tmp_path / "empty.klarf").write_bytes(b"FileVersion 1 2;\n")
    (tmp_path / "damaged.klarf").write_bytes(b"FileVersion 1 2;\nDefectRecordSpec 2 A CLASSNUMBER; DefectList\n1;")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    done = run("predict", f"ckpt={checkpoint}", "images=lot.klarf", "klarf.classes=classes.yaml", *arguments)
    assert done.code == 1 and done.err.startswith(f"error: {message}") and done.err.count("\n") == 1, done.err
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_lot_without_our_names_needs_a_mapping(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    write_lot(tmp_path, write_flat(make_lot(), Style(lookup=((0, "Unclassified"),))))
    done = run("predict", f"ckpt={checkpoint}", "images=lot.klarf")
    assert done.code == 1 and done.err.startswith(
        "error: klarf.classes: needs a value, because ClassLookup names no class"
    )
    assert not (tmp_path / "predictions.csv").exists()


DECISIONS = st.sampled_from(["good", "unsure", "gap"])


@given(st.lists(st.tuples(DECISIONS, st.floats(-9, 9)), min_size=1, max_size=5))
def test_the_most_defective_image_decides(made: list[tuple[str, float]]) -> None:
    empty = np.zeros(0)
    predictions = [
        Prediction(None, "good", decision, None, {"good": 0.5}, empty, empty, odds, None, {}, (1, 1), None, 0, False, 1,
                   np.zeros((1, 1, 1), np.float32), (1, 1), None)
        for decision, odds in made
    ]  # fmt: skip
    chosen = choose_deciding(predictions)
    order = ["gap", "unsure", "good"]
    first = min((decision for decision, _ in made), key=order.index)
    assert chosen.decision == first
    assert chosen.log_odds_good == min(odds for decision, odds in made if decision == first)


@given(die=st.tuples(st.integers(-30, 30), st.integers(-30, 30)), x=st.floats(0, 8000), y=st.floats(0, 10000))
def test_positions_in_every_version_agree(die: tuple[int, int], x: float, y: float) -> None:
    made = [Made(1, die=die, in_die=(round(x), round(y)))]
    for data in (write_flat(made), write_nested(made)):
        (defect,) = parse_klarf(data).defects
        # 8 mm by 10 mm dies, and the centre of the wafer in the middle of die (0, 0)
        expected = (8 * die[0] + round(x) / 1000 - 4, 10 * die[1] + round(y) / 1000 - 5)
        assert defect.position == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("missing", [b"DiePitch 8.0000000000e+003", b"SampleCenterLocation", b"YINDEX", b"XREL"])
def test_a_position_that_the_file_does_not_give(missing: bytes) -> None:
    data = write_flat([Made(1)]).replace(missing, b"Unknown")
    assert parse_klarf(data).defects[0].position is None


def test_the_example_lot_is_judged_with_the_numbers_of_its_own_names(
    run: Run, checkpoint: Path, tmp_path: Path
) -> None:
    path = write_example_lot(tmp_path / "my_lot", defects=6)
    lot = read_klarf(path)
    assert [defect.id for defect in lot.defects] == list("123456")
    places = [defect.position for defect in lot.defects]
    assert all(place is not None and np.hypot(*place) <= 145 for place in places)
    done = run("predict", f"ckpt={checkpoint}", "images=my_lot/lot.klarf", "output=results/lot.csv")
    assert done.code == 0, done.err
    rows = read_rows(tmp_path / "results" / "lot.csv")
    names = {"good": "1", "gap": "2", "bridge": "3", "unsure": "4"}
    assert [row["class_after"] for row in rows] == [names[row["decision"]] for row in rows]
