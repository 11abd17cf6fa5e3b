"""The comparison with real images finds what it claims; skipped where there are none."""

import sys
from pathlib import Path

import pytest

REAL = Path(__file__).parents[2] / "shared" / "real_sem"
sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))


@pytest.mark.skipif(not REAL.is_dir(), reason="no real images here")
@pytest.mark.parametrize(("name", "profile"), [("case1_reference_image", 0.015), ("case2_inspected_image", 0.04)])
def test_a_simulated_image_beside_a_real_one(name: str, profile: float) -> None:
    from compare_real import COLUMNS, compare

    sheet, line = compare(REAL / f"{name}.tif")
    numbers = dict(zip(COLUMNS, (cell.strip() for cell in line.strip("|").split("|")[1:]), strict=True))
    assert float(numbers["histogram distance"]) < 0.025
    assert float(numbers["edge profile, RMS"]) < profile
    for column in ("pixel noise, real / simulated", "flat areas, real / simulated"):
        real, simulated = map(float, numbers[column].split("/"))
        assert simulated == pytest.approx(real, rel=0.1)
    assert sheet.shape[1] % 3 == 0
