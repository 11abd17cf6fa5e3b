"""sem-preview shows any configuration; what it refuses leaves nothing behind."""

import time

import numpy as np
import pytest
from conftest import Run, read_image


@pytest.mark.parametrize(
    ("arguments", "classes"),
    [
        (("pattern=routing", "defect=full", "imaging=cdsem"), 10),
        (("pattern=contact_hole", "defect=contact_hole", "noise=high", "noise.bits=16"), 6),
        (("pattern=any_line_space", "defect=line_space", "processing=shared", "imaging=low_dose"), 7),
        (("defect.count=[1,3]", "defect.border=0.5", "imaging=review_sem"), 3),
    ],
)
def test_any_configuration_is_one_sheet_with_outlined_defects(
    run: Run, arguments: tuple[str, ...], classes: int
) -> None:
    started = time.perf_counter()
    done = run("preview", *arguments, "per_class=3", "cell=96")
    assert done.code == 0, done.err
    sheet = read_image(done.folder / "preview.png")
    assert sheet.shape[0] == classes * 96
    rows = sheet.reshape(classes, 96, *sheet.shape[1:])
    amber = np.all(rows == (0, 200, 255), axis=-1).sum(axis=(1, 2))
    assert amber[0] == 0 and (amber[1:] > 20).all()
    print(f"{time.perf_counter() - started:.1f} s")


def test_pairs_stand_beside_each_other(run: Run) -> None:
    done = run("preview", "pair=any", "pattern=routing", "per_class=2", "cell=96")
    assert done.code == 0, done.err
    sheet = read_image(done.folder / "preview.png")
    alone = run("preview", "pattern=routing", "per_class=2", "cell=96")
    assert alone.code == 0
    strip = read_image(alone.folder / "preview.png").shape[1] - 2 * 96
    assert sheet.shape == (3 * 96, strip + 4 * 96, 3)
    cells = sheet[:, strip:].reshape(3, 96, 4, 96, 3)
    amber = np.all(cells == (0, 200, 255), axis=-1).sum(axis=(1, 3))
    assert not amber[0].any() and not amber[:, 1::2].any() and (amber[1:, ::2] > 20).all()


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("per_class=0", "per_class: found 0"),
        ("per_class=100000", "per_class: found 100000"),
        ("cell=7", "cell: found 7"),
        ("output=sheet.gif", "output: found sheet.gif"),
        ("pattern=wafer", "pattern"),
        ("defect.gpa.length=1", "defect.gpa"),
        ("+defect.gap.depth=1", "defect.gap.depth"),
        ("pattern=layout pattern.file=x.gds pattern.layer=1", "pattern.file: x.gds is not a file"),
        ("pattern=layout", "pattern.file: needs a value"),
        ("defect=contact_hole", "defect.missing"),
        ("defect=null", "a config group takes the name"),
        ("defect.border=true", "defect.border"),
        ("pair=any pair.shift=0.5", "pair.shift: found 0.5"),
        ("pair=best", "pair"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(run: Run, argument: str, message: str) -> None:
    done = run("preview", *argument.split())
    assert done.code == 1 and message in done.err
    assert done.err.startswith("error: ") and done.err.count("\n") == 1
    assert not list(done.folder.iterdir())
