"""The examples of docs/reference/python.md run as they stand, no public name is missing there, and links resolve."""

import re
import warnings
from pathlib import Path
from typing import Any

import pytest

import sem_lightning
from sem_lightning.model.network import NETWORKS

DOCS = Path(__file__).parent.parent / "docs"
PAGE = DOCS / "reference" / "python.md"
_GENERATED = {"commands.md", "configuration.md"}  # by docs/build_reference.py


def test_the_examples_run_in_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(NETWORKS, "three_convolutions", raising=False)
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), flags=re.M | re.S)
    assert len(blocks) > 10
    namespace: dict[str, Any] = {"__name__": "examples"}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Lightning comments on few workers and short epochs
            for number, block in enumerate(blocks, 1):
                exec(compile(block, f"python.md, example {number}", "exec"), namespace)
    finally:
        NETWORKS.pop("three_convolutions", None)


@pytest.mark.parametrize("name", sem_lightning.__all__)
def test_every_public_name_is_on_the_page(name: str) -> None:
    text = PAGE.read_text()
    assert re.search(rf"\bsl\.{name}\b", text)
    if name != "__version__":
        path = f"sem_lightning.{sem_lightning._PUBLIC[name]}.{name}"
        assert f"\n::: {path}\n" in text, path


@pytest.mark.parametrize("path", sorted(DOCS.rglob("*.md")), ids=lambda path: str(path.relative_to(DOCS)))
def test_links_between_pages_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text()):
        assert (path.parent / target).exists() or Path(target).name in _GENERATED, target
