"""``sem-inspect`` on files of every kind: what is written, and that nothing bad loses the rest."""

import csv
import json
from pathlib import Path

import cv2
import gdstk
import numpy as np
import pytest
from conftest import Run, make_simulator, read_image, with_bar
from test_startup import SLOW, imported

from sem_lightning.io.images import encode_image
from sem_lightning.synthesis.simulator import render

SIDE, SHIFT = 160, (5, 3)  # pixels; the reference's content lies so far to the right and down


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as stream:
        return list(csv.DictReader(stream))


def make_pair(index: int, is_defective: bool) -> tuple[np.ndarray, np.ndarray]:
    """An image and its shifted twin with other noise: a metal layer, which has one place to lie."""
    simulator = make_simulator("pattern=routing", f"imaging.image_size={SIDE + 8}", "noise=low")
    field = render(simulator.draw(3, 0, index, "good")).image
    rng = np.random.default_rng(index)
    image, reference = field[3 : 3 + SIDE, 5 : 5 + SIDE].copy(), field[:SIDE, :SIDE].copy()
    if is_defective:  # a bright spot, larger than any edge's roughness
        cv2.circle(image, (90, 70), 7, 255, -1)
    noisy = [np.clip(each + rng.normal(0, 3, each.shape), 0, 255).astype(np.uint8) for each in (image, reference)]
    return noisy[0], noisy[1]


def write_pairs(folder: Path, suffix: str = ".png") -> None:
    """Files 0 and 1, of which 1 is defective, in the folders a and b."""
    for name in ("a", "b"):
        (folder / name).mkdir(exist_ok=True)
    for number in range(2):
        for name, image in zip(("a", "b"), make_pair(number, number == 1), strict=True):
            (folder / name / f"{number}{suffix}").write_bytes(encode_image(image, suffix, 0.8))


def test_a_pair_of_folders_to_every_output(run: Run, tmp_path: Path) -> None:
    write_pairs(tmp_path, ".tif")
    done = run("inspect", "images=a", "reference=b", "jsonl=l.jsonl", "report=new/r.html", "overlays=true")
    assert (done.code, done.err) == (0, "")
    assert done.out == "2 images in inspection.csv: good 1, defect 1, unsure 0\n"
    good, bad = read_rows(tmp_path / "inspection.csv")
    assert (good["path"], good["decision"], good["places"]) == ("a/0.tif", "good", "0")
    assert (bad["path"], bad["decision"], bad["reference"]) == ("a/1.tif", "defect", "b/1.tif")
    for row in (good, bad):
        assert (float(row["shift_x"]), float(row["shift_y"])) == pytest.approx(SHIFT, abs=0.2)
        assert float(row["correlation"]) > 0.9 and float(row["residual"]) < 0.5
        assert float(row["overlap"]) == pytest.approx(155 * 157 / 160**2, abs=0.03)
        assert float(row["scale"]) == pytest.approx(1, abs=0.003) and abs(float(row["rotation_deg"])) < 0.2
    first = read_rows(tmp_path / "inspection_places.csv")[0]
    assert first["path"] == "a/1.tif" and first["brighter"] == "True"
    left, top = int(first["x"]), int(first["y"])
    assert left <= 90 <= left + int(first["width"]) and top <= 70 <= top + int(first["height"])
    assert float(first["width_nm"]) == pytest.approx(0.8 * int(first["width"]))
    lines = [json.loads(line) for line in (tmp_path / "l.jsonl").read_text().splitlines()]
    assert [line["decision"] for line in lines] == ["good", "defect"] and lines[1]["pixel_size_nm"] == pytest.approx(
        0.8
    )
    assert lines[1]["places"][0]["score"] == pytest.approx(float(bad["score"]), abs=0.01)
    overlays = sorted((tmp_path / "inspection_overlays").iterdir())
    assert [path.name for path in overlays] == ["000001_0.png", "000002_1.png"]
    assert read_image(overlays[1]).shape == (512 + 22, 512, 3)
    page = (tmp_path / "new" / "r.html").read_text()
    assert page.index("<h3>a/1.tif</h3>") < page.index("<h3>a/0.tif</h3>") and "false_places" in page
    again = run("inspect", "images=.", "reference=b/{name}.tif")  # pictures of before are no images
    assert again.code == 0 and [row["path"] for row in read_rows(tmp_path / "inspection.csv")] == ["a/0.tif", "a/1.tif"]


def test_patterns_lists_golden_and_self(run: Run, tmp_path: Path) -> None:
    write_pairs(tmp_path)
    (tmp_path / "p").mkdir()
    for number in range(2):
        (tmp_path / "a" / f"{number}.png").rename(tmp_path / "p" / f"{number}_test.png")
        (tmp_path / "b" / f"{number}.png").rename(tmp_path / "p" / f"{number}_ref.png")
    expected = "good 1, defect 1, unsure 0\n"
    done = run("inspect", "images=p/{case}_test.png", "reference=p/{case}_ref.png")
    assert done.code == 0 and done.out.endswith(expected), done.err
    done = run("inspect", "images=p", "reference='p/[01]_ref.png'")
    assert done.out.splitlines()[0] == "2 of 4 images are references and are not inspected"
    (tmp_path / "pairs.csv").write_text("image,reference\np/0_test.png,p/0_ref.png\np/1_test.png,p/1_ref.png\n")
    done = run("inspect", "images=pairs.csv")
    assert done.code == 0 and done.out.endswith(expected), done.err
    done = run("inspect", "images=p/1_test.png", "reference=p/1_ref.png")
    assert done.code == 0 and done.out.endswith("good 0, defect 1, unsure 0\n"), done.err
    done = run("inspect", "images=p/1_test.png", "reference=self")
    assert done.code == 0 and read_rows(tmp_path / "inspection.csv")[0]["reference"] == "self", done.err


def test_bad_files_have_a_row_and_lose_nothing_of_the_rest(run: Run, tmp_path: Path) -> None:
    write_pairs(tmp_path)
    a, b = tmp_path / "a", tmp_path / "b"
    whole = (a / "0.png").read_bytes()
    (a / "alone.png").write_bytes(whole)
    for folder in (a, b):
        (folder / "itself.png").write_bytes(whole)
    (a / "broken.png").write_bytes(whole[:-200])
    (b / "broken.png").write_bytes((b / "0.png").read_bytes())
    (a / "broken_ref.png").write_bytes(whole)
    (b / "broken_ref.png").write_text("no image")
    cv2.imwrite(str(a / "black.png"), np.zeros((SIDE, SIDE), np.uint8))
    (b / "black.png").write_bytes((b / "0.png").read_bytes())
    (a / "other.png").write_bytes(whole)
    (b / "other.png").write_bytes((b / "1.png").read_bytes())
    done = run("inspect", "images=a", "reference=b", "jsonl=l.jsonl", "report=r.html", "overlays=true")
    assert done.code == 3
    rows = {Path(row["path"]).name: row for row in read_rows(tmp_path / "inspection.csv")}
    assert list(rows) == sorted(path.name for path in a.iterdir())
    assert (rows["0.png"]["decision"], rows["1.png"]["decision"]) == ("good", "defect")
    reasons = {name: row["reason"] for name, row in rows.items() if row["decision"] == "unsure"}
    assert reasons == {
        "alone.png": "no reference", "itself.png": "same image", "broken.png": "unreadable",
        "broken_ref.png": "unreadable", "black.png": "no pattern", "other.png": "other place",
    }  # fmt: skip
    errors = done.err.splitlines()
    assert len(errors) == 3 and all(line.startswith("error: ") for line in errors)
    for line, said in zip(
        sorted(errors),
        ("a/alone.png: no reference: b/alone.png does not exist", "a/broken.png: ",
         "b/broken_ref.png: not a readable image"),
        strict=True,
    ):  # fmt: skip
        assert said in line
    lines = [json.loads(line) for line in (tmp_path / "l.jsonl").read_text().splitlines()]
    assert [Path(line["path"]).name for line in lines] == list(rows)
    page = (tmp_path / "r.html").read_text()
    assert "same image" in page and "not a readable image" in page
    assert "good 1, defect 1, unsure 6 (unreadable 2, " in done.out and "no reference 1" in done.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "images: needs a value"),
        (("images=a",), "reference: needs a value: add reference=..."),
        (("images=nowhere", "reference=b"), "images: found no images at nowhere"),
        (("images=a", "reference=nowhere"), "reference: found no file or folder nowhere"),
        (("images=a", "reference={case}.png"), "reference: {case} stands for nothing"),
        (("images=a", "reference=b", "output=."), "output: found '.', expected the name of a file"),
        (("images=a", "reference=b", "output=a"), "output: a is a folder; name a file"),
        (("images=a", "reference=b", "jsonl=inspection_places.csv"), "jsonl: would be written to the same file"),
        (("images=a", "reference=b", "report=inspection.csv"), "report: would be written to the same file"),
        (("images=a", "reference=b", "report=note.txt/r.html"), "report: "),
        (("images=a", "reference=b", "false_places=nan"), "false_places: found nan, expected 0.0001 to 100"),
        (("images=a", "reference=b", "pixel_size=0"), "pixel_size: found 0, expected 0.001 to 1e+06 nm"),
        (("images=a", "reference=b", "data_bar=crop"), "data_bar: found 'crop', expected one of auto, keep"),
        (("images=a", "reference=note.txt"), "note.txt: not a readable image"),
        (("images=a", "reference=b", "labels=nowhere.csv"), "labels: nowhere.csv is no file"),
        (
            ("images=a", "reference=b", "labels=l.csv"),
            "labels: l.csv lists none of 1 images, such as a/0.png; it",
        ),
        (("images=a", "reference=b", "save_limits=m.json"), "save_limits: needs labels=..."),
        (("images=a", "reference=b", "max_escape=0.1"), "max_escape: found 0.1, expected none without save_limits"),
        (("images=a", "reference=b", "confidence=1"), "confidence: found 1, expected a share between 0 and 1"),
        (("images=a", "reference=b", "confidence=0.5"), "confidence: found 0.5, expected none without save_limits"),
        (
            ("images=a", "reference=b", "limits=l.csv", "false_places=1"),
            "false_places: found 1, expected none with limits",
        ),
        (("images=a", "reference=b", "design.layer=10/0"), "design.layer: found 10/0, expected none, or reference"),
        (("images=a", "reference=b", "limits=l.csv"), "l.csv: no limits that save_limits=... has written"),
        (
            ("images=a", "reference=b", "labels=a/l.csv", "save_limits=m.json", "false_places=0.1"),
            "false_places: 0.1 cannot be promised with confidence 0.95 from 1 clean pairs; that takes 30 of them",
        ),
        (
            ("images=a", "reference=b", "labels=a/l.csv", "save_limits=m.json", "false_places=3", "max_escape=0.1"),
            "max_escape: 0.1 cannot be promised with confidence 0.95 from 0 defective pairs; that takes 29 of them",
        ),
        (
            ("images=a", "reference=b", "labels=a/l.csv", "save_limits=inspection.csv", "false_places=3"),
            "save_limits: would be written to the same file",
        ),
        (("images=a", "reference=b", "output=a/0.png"), "output: would overwrite a/0.png, which images=... reads"),
        (
            ("images=a", "reference=b", "report=b/link.png"),
            "report: would overwrite b/0.png, which reference=... reads",
        ),
        (("images=pairs.csv", "jsonl=pairs.csv"), "jsonl: would overwrite pairs.csv, which images=... reads"),
        (
            ("images=a", "reference=b", "labels=a/l.csv", "output=a/l.csv"),
            "output: would overwrite a/l.csv, which labels=... reads",
        ),
        (
            ("images=a", "reference=x_overlays/1_{name}.png", "overlays=true", "output=x.csv"),
            "overlays: would overwrite x_overlays/1_0.png, which reference=... reads",
        ),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(
    arguments: tuple[str, ...], said: str, run: Run, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.png").write_text(name)
    (tmp_path / "note.txt").write_text("no image")
    for listing in (tmp_path / "l.csv", tmp_path / "a" / "l.csv"):
        listing.write_text("file,label\n0.png,good\n")
    (tmp_path / "pairs.csv").write_text("image,reference\na/0.png,b/0.png\n")
    (tmp_path / "b" / "link.png").symlink_to("0.png")
    (tmp_path / "x_overlays").mkdir()
    (tmp_path / "x_overlays" / "1_0.png").write_text("x")
    before = {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")}
    done = run("inspect", *arguments)
    assert done.code == 1 and done.err.startswith("error: ") and said in done.err
    assert done.err.count("\n") == 1
    assert {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")} == before


def test_labels_give_rates_and_limits_that_decide_later(run: Run, tmp_path: Path) -> None:
    write_pairs(tmp_path)
    (tmp_path / "labels.csv").write_text(
        "image,label,x,y,width,height\na/0.png,OK\na/1.png,particle,84,64,13,13\na/9.png,particle\n"
    )
    (tmp_path / "a" / "2.png").write_bytes((tmp_path / "a" / "0.png").read_bytes())
    (tmp_path / "b" / "2.png").write_bytes((tmp_path / "b" / "0.png").read_bytes())
    pairs = ("images=a", "reference=b", "network=null")
    chosen = ("save_limits=new/limits.json", "false_places=0.07", "max_escape=0.96", "confidence=0.05")
    done = run("inspect", *pairs, "labels=labels.csv", *chosen)
    assert (done.code, done.err) == (0, "")
    assert "labels: 1 of the labelled images are not inspected, such as a/9.png\n" in done.out
    assert done.out.splitlines()[2:8] == [
        "3 images in inspection.csv: good 2, defect 1, unsure 0",
        "without a label, left out: 1 of 3 images: a/2.png",
        "unsure: 0 of 2 images: 0.000 [0.000, 0.658]",
        "escape: 0 of 1 defective images called good: 0.000 [0.000, 0.793]",
        "overkill: 0 of 1 good images called defect: 0.000 [0.000, 0.793]",
        "located: 1 of 1 defects with a place on their box: 1.000 [0.207, 1.000]",
    ], done.out
    assert done.out.splitlines()[-1] == "new/limits.json holds these limits"
    decided = [row["decision"] for row in read_rows(tmp_path / "inspection.csv")]
    content = json.loads((tmp_path / "new" / "limits.json").read_text())
    assert (content["clean_pairs"], content["defective_pairs"], content["network"]) == (1, 1, None)
    assert run("inspect", *pairs, "limits=new/limits.json").code == 0
    assert [row["decision"] for row in read_rows(tmp_path / "inspection.csv")] == decided
    content |= {"good_below": 1.0, "defect_from": 1e6}
    (tmp_path / "wide.json").write_text(json.dumps(content))
    done = run("inspect", *pairs, "limits=wide.json", "report=r.html")
    assert done.out == "3 images in inspection.csv: good 0, defect 0, unsure 3 (between the limits 3)\n"
    assert all(float(row["highest"]) > 1 and int(row["places"]) for row in read_rows(tmp_path / "inspection.csv"))


def test_a_data_bar_is_cropped_or_kept(run: Run, tmp_path: Path) -> None:
    write_pairs(tmp_path)
    barred = with_bar(read_image(tmp_path / "a" / "0.png", cv2.IMREAD_GRAYSCALE), 24, 0, None)
    cv2.imwrite(str(tmp_path / "a" / "0.png"), (barred * 255).astype(np.uint8))
    for data_bar, rows in (("auto", 24), ("keep", 0)):
        done = run("inspect", "images=a/0.png", "reference=b", "jsonl=l.jsonl", f"data_bar={data_bar}")
        line = json.loads((tmp_path / "l.jsonl").read_text())
        assert done.code == 0 and line["data_bar_rows"] == rows and line["height"] == SIDE + 24 - rows


def test_inspecting_needs_no_torch(tmp_path: Path) -> None:
    write_pairs(tmp_path)
    heavy = tuple(name for name in SLOW if name != "scipy.stats")
    arguments = ("images=a", "reference=b", "jsonl=l.jsonl", "overlays=true", "report=r.html")
    code, found, err = imported(tmp_path, heavy, "inspect", *arguments)
    assert (code, found, err) == (0, [], "")
    assert len((tmp_path / "l.jsonl").read_text().splitlines()) == 2


def test_design_as_mask_and_layout(run: Run, tmp_path: Path) -> None:
    chip = gdstk.Library(unit=1e-6, precision=1e-12).new_cell("TOP")
    rng = np.random.default_rng(1)
    mask = np.zeros((SIDE, SIDE), np.uint8)
    for x, y in [(x, y) for x in range(8, SIDE - 20, 24) for y in range(8, SIDE - 20, 24)]:
        width, height = (int(each) for each in rng.integers(8, 17, 2))
        mask[y : y + height, x : x + width] = 255
        one, other = ((a * 2e-3, (SIDE - b) * 2e-3) for a, b in ((x, y), (x + width, y + height)))
        chip.add(gdstk.rectangle(one, other, layer=10))
    library = gdstk.Library(unit=1e-6, precision=1e-12)
    library.add(chip)
    library.write_gds(tmp_path / "chip.gds")
    (tmp_path / "mask.png").write_bytes(encode_image(mask, ".png", 2.0))
    (tmp_path / "images").mkdir()
    lacking = mask.copy()
    lacking[78:98, 78:98] = 0
    for name, shown in (("clean", mask), ("lacking", lacking)):
        image = cv2.GaussianBlur(60 + shown * 0.5, (0, 0), 1.2) + rng.normal(0, 4, mask.shape)
        (tmp_path / "images" / f"{name}.tif").write_bytes(
            encode_image(image.clip(0, 255).astype(np.uint8), ".tif", 2.0)
        )
    layout = ("design.file=chip.gds", "design.layer=10/0")
    for chosen in (layout, (*layout, "design.window=[0,0,0.32,0.32]"), ("design.file=mask.png",)):
        done = run("inspect", "images=images", "reference=design", *chosen, "jsonl=l.jsonl")
        assert (done.code, done.err) == (0, "") and "good 1, defect 1, unsure 0" in done.out
        clean, _ = read_rows(tmp_path / "inspection.csv")
        assert clean["reference"] == chosen[0].partition("=")[2]
        assert abs(float(clean["epe_mean"])) < 1 and clean["edge_unit"] == "nm" and float(clean["epe_3sigma"]) < 4
        (place,) = read_rows(tmp_path / "inspection_places.csv")
        assert (Path(place["path"]).stem, place["label"]) == ("lacking", "missing")
        edges = read_rows(tmp_path / "inspection_edges.csv")
        assert len(edges) > 400 and {row["unit"] for row in edges} == {"nm"}
        scale = 1.0 if "mask" in chosen[0] else 2e-3
        errors = [float(row["cd_error"]) for row in edges if row["cd_error"]]
        assert len(errors) > 100 and abs(float(clean["cd_mean"])) < 1.5
        assert float(clean["cd_3sigma"]) < 5 and abs(float(clean["cd_worst"])) < 8
        at = {(row["x"], row["y"]): row["cd_error"] for row in edges if row["path"] == clean["path"]}
        assert at[clean["cd_worst_x"], clean["cd_worst_y"]] == clean["cd_worst"]
        assert float(edges[0]["layout_x"]) == pytest.approx(scale * float(edges[0]["x"]), rel=0.1)
        assert json.loads((tmp_path / "l.jsonl").read_text().splitlines()[0])["edges"]["edge_unit"] == "nm"


def test_designs_that_cannot_be_used(run: Run, tmp_path: Path) -> None:
    write_pairs(tmp_path)
    library = gdstk.Library(unit=1e-6, precision=1e-12)
    corner = gdstk.Polygon([(0, 0), (1, 0), (1, 1), (0.9, 1), (0.9, 0.1), (0, 0.1)], layer=10)
    library.new_cell("TOP").add(corner)
    library.write_gds(tmp_path / "chip.gds")
    for given, words in [
        (("reference=design",), "design.file: needs a value with reference=design: a layout or a mask"),
        (("reference=b", "design.file=chip.gds"), "design.file: found chip.gds, expected none, or reference=design"),
        (("reference=design", "design.file=none.gds", "design.layer=10"), "design.file: none.gds is not a file"),
        (
            ("reference=design", "design.file=chip.gds", "design.layer=11"),
            "design.layer: layer 11/0 of chip.gds is empty",
        ),
        (
            ("reference=design", "design.file=chip.gds", "design.layer=10", "design.window=[2,2,3,3]"),
            "design.window: [2.0, 2.0, 3.0, 3.0] shows no polygon of layer 10; the layer spans [0, 0, 1, 1] um",
        ),
        (
            (
                "reference=design",
                "design.file=chip.gds",
                "design.layer=10",
                "design.window=[0,0.2,0.8,1]",
                "pixel_size=2",
            ),
            "design.window: [0.0, 0.2, 0.8, 1.0] is all free of polygons of chip.gds",
        ),
        (
            (
                "reference=design",
                "design.file=chip.gds",
                "design.layer=10",
                "design.window=[0.92,0.1,0.98,0.9]",
                "pixel_size=2",
            ),
            "design.window: [0.92, 0.1, 0.98, 0.9] is all covered by polygons of chip.gds",
        ),
    ]:
        done = run("inspect", "images=a", *given)
        assert done.code == 1 and words in done.err and len(done.err.strip().splitlines()) == 1, done.err
        assert not (tmp_path / "inspection.csv").exists()
    for number in range(2):  # files without a pixel size
        cv2.imwrite(str(tmp_path / "a" / f"{number}.png"), make_pair(number, False)[0])
    done = run("inspect", "images=a", "reference=design", "design.file=chip.gds", "design.layer=10")
    assert done.code == 3 and "its pixel size is not known" in done.err
