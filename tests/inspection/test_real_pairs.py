"""The three real pairs: what the eye finds is found, with one false place at most."""

from pathlib import Path

import pytest

from sem_lightning.inspection.inspector import Inspector

REAL = Path(__file__).parents[2].parent / "shared" / "real_sem"
# middle (x, y) of what the eye finds: a particle, a pinched edge, a faint spot; a hole, a spot, a hair; nothing
SEEN = {1: [(148, 333), (96, 81), (81, 244)], 2: [(104, 107), (343, 264), (74, 261)], 3: []}
SHIFTS = {1: (23.4, -4.3), 2: (6.0, 5.0), 3: (-3.7, 20.6)}

pytestmark = pytest.mark.skipif(not REAL.is_dir(), reason="the real images are not beside the project")


def test_what_the_eye_finds_is_found() -> None:
    inspector, false = Inspector(false_places=1, network=None), 0
    for case, seen in SEEN.items():
        found = inspector.inspect(REAL / f"case{case}_inspected_image.tif", REAL / f"case{case}_reference_image.tif")
        assert found.registration is not None and found.registration.shift == pytest.approx(SHIFTS[case], abs=0.5)
        assert found.registration.correlation > 0.95 and found.registration.residual < 0.25
        hit = [
            any(p.x - 3 <= x <= p.x + p.width + 3 and p.y - 3 <= y <= p.y + p.height + 3 for p in found.places)
            for x, y in seen
        ]
        assert all(hit), (case, hit)
        false += len(found.places) - len(seen)
    assert false <= 1


def test_other_pairs_show_other_places() -> None:
    for one, other in ((1, 2), (2, 3), (3, 1)):
        found = Inspector().inspect(REAL / f"case{one}_inspected_image.tif", REAL / f"case{other}_reference_image.tif")
        assert found.decision == "unsure", (one, other)
