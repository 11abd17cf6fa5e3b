"""Tables, lines, pictures and the page of comparisons, for names and numbers of any kind."""

import csv
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from conftest import needs_browser, shown_in_browser
from made_up_inspections import PLACE, make_good, make_inspection, make_registration

from sem_lightning.errors import SettingError
from sem_lightning.inspection.panels import draw_difference, draw_image, draw_overlay, draw_reference
from sem_lightning.inspection.references import NO_REFERENCE, InspectionPair
from sem_lightning.inspection.report import InspectionReport
from sem_lightning.inspection.writers import COLUMNS, PLACE_COLUMNS, UNREADABLE, InspectionWriter
from sem_lightning.io.result_files import DecisionCount

UNSURE = {"decision": "unsure", "reason": "no overlap", "places": (), "reference": None, "difference": None}


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as stream:
        return list(csv.DictReader(stream))


def test_rows_places_and_lines(tmp_path: Path) -> None:
    table, lines = tmp_path / "new" / "out.csv", tmp_path / "lines.jsonl"
    with InspectionWriter(table, lines).open() as writer:
        writer.add(make_inspection(peaks=(9.123456, 4.0), compared=0.89123))
        writer.add(make_inspection(**UNSURE, registration=None, pixel_size=None, remarks=()))
        writer.add_unusable(InspectionPair(Path("c.tif"), (), NO_REFERENCE), NO_REFERENCE, "c.tif: no reference: none")
        writer.add_unusable(InspectionPair(Path("d.tif"), "self"), UNREADABLE, "d.tif: the file is empty")
        assert not table.exists() and not lines.exists()
    with table.open() as stream:
        assert stream.readline() == ",".join(COLUMNS) + "\n"
    assert ",".join(COLUMNS) == (
        "path,decision,reason,places,score,highest,label,reference,shift_x,shift_y,rotation_deg,scale,correlation,overlap,"
        "residual,compared,epe_mean,epe_3sigma,epe_worst,epe_worst_x,epe_worst_y,epe_worst_layout_x,epe_worst_layout_y,cd_mean,"
        "cd_3sigma,cd_worst,cd_worst_x,cd_worst_y,cd_worst_layout_x,cd_worst_layout_y,space_mean,space_3sigma,"
        "space_worst,space_worst_x,space_worst_y,space_worst_layout_x,space_worst_layout_y,edge_unit,remarks"
    )
    rows = read(table)
    assert {name: cell for name, cell in rows[0].items() if not name.startswith(("epe_", "cd_", "space_"))} == {
        "path": "a.tif", "decision": "defect", "reason": "", "places": "1", "score": "9.12", "highest": "9.12",
        "label": "bridge",
        "reference": "b.tif", "shift_x": "3.0", "shift_y": "-2.0", "rotation_deg": "1.0", "scale": "1.01",
        "correlation": "0.95", "overlap": "0.9", "residual": "0.04", "compared": "0.8912", "edge_unit": "",
        "remarks": "A remark.",
    }  # fmt: skip
    assert [(row["path"], row["decision"], row["reason"], row["shift_x"]) for row in rows[1:]] == [
        ("a.tif", "unsure", "no overlap", ""),
        ("c.tif", "unsure", NO_REFERENCE, ""),
        ("d.tif", "unsure", UNREADABLE, ""),
    ]
    assert rows[2]["remarks"] == "c.tif: no reference: none" and rows[3]["reference"] == "self"
    places = read(tmp_path / "new" / "out_places.csv")
    assert list(places[0]) == ["path", *PLACE_COLUMNS]
    assert [tuple(place.values()) for place in places] == [
        ("a.tif", "10", "20", "8", "4", "bridge", "9.123", "25", "True", "", "6.4", "3.2", "", "")
    ]
    found = [json.loads(line) for line in lines.read_text().splitlines()]
    assert found[0]["places"][0]["brighter"] is True and found[0]["places"][0]["width_nm"] == 6.4
    assert np.allclose(found[0]["registration"]["matrix"], make_registration().matrix, atol=1e-5)
    assert len(found[0]["registration"]["row_shifts"]) == 64 and found[0]["pixel_size_nm"] == 0.8
    assert found[0]["highest"] == 9.123456 and found[1]["highest"] is None
    assert found[1]["registration"] is None and found[1]["reason"] == "no overlap"
    assert found[2] == {"path": "c.tif", "references": [], "decision": "unsure", "reason": NO_REFERENCE,
                        "error": "c.tif: no reference: none"}  # fmt: skip
    assert writer.summary("out.csv") == (
        "4 images in out.csv: good 0, defect 1, unsure 3 (no overlap 1, no reference 1, unreadable 1); "
        "1 image was compared on less than 90 %"
    )


def test_a_registration_that_failed_has_no_numbers_in_the_table(tmp_path: Path) -> None:
    with InspectionWriter(tmp_path / "out.csv", tmp_path / "l.jsonl").open() as writer:
        writer.add(make_inspection(**UNSURE, registration=make_registration(fault="no overlap")))
    (row,) = read(tmp_path / "out.csv")
    assert row["shift_x"] == row["correlation"] == ""
    assert json.loads((tmp_path / "l.jsonl").read_text())["registration"]["fault"] == "no overlap"


def test_names_are_cells_and_not_formulas(tmp_path: Path) -> None:
    names = ["=cmd|' /C calc'!A0.png", "-x.png", "a\rb.png", "a\nb.png", 'a",b.png', "not utf \udcff.png", "plain.png"]
    report = InspectionReport()
    with InspectionWriter(tmp_path / "out.csv", tmp_path / "l.jsonl").open() as writer:
        for name in names:
            for sink in (writer, report):
                sink.add(make_inspection(path=Path(name), references=(name, "=2.png")))
    assert "not utf \\udcff.png" in page_of(report, tmp_path, *["defect"] * len(names))
    rows = read(tmp_path / "out.csv")
    assert [Path(row["path"]) for row in rows] == [Path(name) for name in names]
    assert not any(cell.startswith(("=", "-x", "@", "\r")) for row in rows for cell in row.values())
    assert rows[-1]["reference"] == "plain.png; ./=2.png"


def test_lines_hold_no_nan(tmp_path: Path) -> None:
    odd = make_registration(correlation=math.nan, residual=math.inf, row_shifts=np.full(64, np.nan, np.float32))
    with InspectionWriter(tmp_path / "out.csv", tmp_path / "l.jsonl").open() as writer:
        writer.add(make_inspection(registration=odd))
    text = (tmp_path / "l.jsonl").read_text()
    assert "NaN" not in text and "Infinity" not in text
    assert json.loads(text)["registration"]["correlation"] is None


@pytest.mark.parametrize(
    ("table", "lines", "page", "said"),
    [
        ("a.csv", "a.csv", None, "jsonl: would be written to the same file as another list, a.csv"),
        ("a.csv", "a_places.csv", None, "jsonl: would be written"),
        ("a.csv", "b", "a.csv", "report: would be written"),
        ("a.csv", "b", "b", "report: would be written"),
        ("folder", None, None, "output: folder is a folder; name a file"),
        ("a.csv", None, "folder", "report: folder is a folder; name a file"),
    ],
)
def test_files_that_cannot_be_written(
    table: str, lines: str | None, page: str | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    with pytest.raises(SettingError, match=said):
        InspectionWriter(Path(table), Path(lines) if lines else None, Path(page) if page else None)


def test_no_places_are_written_beside_a_device(tmp_path: Path) -> None:
    device = tmp_path / "link"
    device.symlink_to("/dev/null")
    with InspectionWriter(device, None).open() as writer:
        writer.add(make_inspection())
    assert list(tmp_path.iterdir()) == [device]


def test_nothing_appears_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError), InspectionWriter(tmp_path / "out.csv", tmp_path / "l.jsonl").open() as writer:
        writer.add(make_inspection())
        raise KeyError
    assert not list(tmp_path.iterdir())


def test_pictures_frame_each_place_and_leave_the_rest(tmp_path: Path) -> None:
    inspection = make_inspection()
    plain, framed = draw_image(make_good()), draw_image(inspection)
    assert plain.shape == framed.shape == (512, 512, 3)  # eight times as large, so that labels can be read
    changed = np.argwhere((plain != framed).any(axis=2))
    top, left = changed.min(axis=0)
    assert left == 8 * 10 - 2 and 8 * 20 - 20 < top < 8 * 20  # the label is above the frame
    assert (framed[8 * 20 : 8 * 24, 8 * 10 : 8 * 18] == plain[8 * 20 : 8 * 24, 8 * 10 : 8 * 18]).all()
    reference = draw_reference(inspection)
    assert reference is not None and (reference[:, -20:] == (110, 84, 60)).all()
    assert np.abs(reference[:, :400].astype(int) - plain[:, :400]).max() < 6
    difference = draw_difference(inspection)
    assert difference is not None and difference[176, 112].sum() > 500 and difference[400, 400].sum() < 20
    assert draw_overlay(inspection).shape == (512 + 22, 512, 3)
    bare = make_inspection(**UNSURE, registration=None)
    assert draw_reference(bare) is None and draw_difference(bare) is None and draw_overlay(bare).shape[1] == 512


def test_pictures_of_large_and_narrow_images() -> None:
    image = np.zeros((4000, 300), np.float32)
    difference = np.zeros_like(image)
    difference[2001, 151] = 20.0
    large = make_inspection(image=image, reference=image, difference=difference, shape=image.shape)
    assert draw_image(large).shape == (1536, 115, 3) and draw_image(large, 480).shape[0] == 480
    shown = draw_difference(large, 480)
    assert shown is not None and shown.max() > 200  # one pixel of 4000 is not lost


def page_of(report: InspectionReport, folder: Path, *decisions: str) -> str:
    count = DecisionCount()
    for decision in decisions:
        count.add(decision, "no overlap" if decision == "unsure" else None)
    report.write(folder / "report.html", count, {"images": "<b>", "list": ["a", "b"]})
    return (folder / "report.html").read_text()


def test_the_page_shows_each_pair_side_by_side(tmp_path: Path) -> None:
    report = InspectionReport()
    report.add(make_good(path=Path("<good>.tif")))
    report.add(make_inspection())
    report.add(make_inspection(path=Path("bare.tif"), **UNSURE, registration=None))
    report.add_unusable(InspectionPair(Path("none.tif"), ()), NO_REFERENCE, "none.tif: no reference: x\ny")
    text = page_of(report, tmp_path, "good", "defect", "unsure", "unsure")
    assert re.findall(r"<h3>(.*?)</h3>", text) == ["a.tif", "bare.tif", "&lt;good&gt;.tif"]
    assert text.count("data:image/jpeg;base64,") == 3 + 1 + 3
    assert "bridge 9.1 at (10, 20), 8 x 4 pixels, 6.4 x 3.2 nm, brighter" in text
    assert "none.tif: no reference: x\\ny" in text and "no overlap 2" in text
    assert "<b>a" not in text and "&lt;b&gt;" in text
    assert not re.search(r"(?:src|href)=\"(?!data:)|https?://", text), "nothing from elsewhere"
    assert "Shown are 3 of 4 images" in text


@needs_browser
def test_the_page_in_a_browser(tmp_path: Path) -> None:
    report = InspectionReport()
    report.add(make_inspection(path=Path("a" * 300 + ".tif"), remarks=("A long remark. " * 30,)))
    report.add(make_good())
    page_of(report, tmp_path, "defect", "good")
    for page in shown_in_browser(tmp_path / "report.html"):
        tops = page.evaluate("[...document.querySelector('.panels').children].map(each => each.offsetTop)")
        assert len(tops) == 4 and (len(set(tops)) == 1 or page.viewport_size["width"] < 1000)  # side by side


def test_the_page_of_many_pairs_shows_the_most_interesting(tmp_path: Path) -> None:
    report = InspectionReport(shown=4, listed=6)
    scores = np.random.default_rng(0).permutation(30) + 6.0
    for score in scores:
        place = PLACE.__class__(**{**vars(PLACE), "score": float(score)})
        report.add(make_inspection(path=Path(f"{score:g}.tif"), places=(place,)))
        report.add(make_good(path=Path("good.tif")))
    text = page_of(report, tmp_path, *["defect"] * 30, *["good"] * 30)
    assert re.findall(r"<h3>(.*?)</h3>", text) == ["35.tif", "34.tif", "33.tif", "32.tif"]
    assert "Shown are 4 of 60 images: the strongest defects first" in text and "Listed are 6 of 60" in text


def test_good_pairs_that_are_least_like_their_references_come_first(tmp_path: Path) -> None:
    report = InspectionReport(shown=3)
    for number, correlation in enumerate((0.99, 0.8, 0.9, 0.9)):
        report.add(make_good(path=Path(f"{number}.tif"), registration=make_registration(correlation=correlation)))
    assert re.findall(r"<h3>(.*?)</h3>", page_of(report, tmp_path, *["good"] * 4)) == ["1.tif", "2.tif", "3.tif"]
