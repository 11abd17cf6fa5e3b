"""Every kind of folder and list is read as it is meant, or refused in one line that says what to do."""

from pathlib import Path

import folders_kinds
import links_kinds
import lists_kinds
import pytest
from kind import Kind


@pytest.mark.parametrize("kind", list(folders_kinds.kinds()), ids=lambda kind: kind.name)
def test_folder(kind: Kind, tmp_path: Path) -> None:
    assert kind.check(tmp_path) is None


@pytest.mark.parametrize("kind", list(lists_kinds.kinds()), ids=lambda kind: kind.name)
def test_list(kind: Kind, tmp_path: Path) -> None:
    assert kind.check(tmp_path) is None


@pytest.mark.parametrize("kind", list(links_kinds.kinds()), ids=lambda kind: kind.name)
def test_what_cannot_be_read(kind: Kind, tmp_path: Path) -> None:
    assert kind.check(tmp_path) is None
