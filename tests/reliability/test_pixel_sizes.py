"""Every kind of pixel size is read as it is meant."""

from pathlib import Path

import pytest
from kind import Kind
from pixel_sizes_kinds import kinds


@pytest.mark.parametrize("kind", list(kinds()), ids=lambda kind: kind.name)
def test_pixel_size(kind: Kind, tmp_path: Path) -> None:
    assert kind.check(tmp_path) is None
