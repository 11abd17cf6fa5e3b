"""What the documents show is run as it stands."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import conftest
import pytest

from sem_lightning.synthesis.simulator import Simulator

ROOT = Path(__file__).parent.parent


def test_the_example_of_a_new_defect_works_as_written(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "adding_a_defect.md").read_text()
    for folder in ("sem_lightning", "conf"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "tests").mkdir()
    assert conftest.make_simulator == Simulator.compose  # all of it that the page takes, without torch
    (tmp_path / "tests" / "conftest.py").write_text(
        "from sem_lightning.synthesis.simulator import Simulator\n\nmake_simulator = Simulator.compose\n"
    )
    blocks = re.findall(r"^`([\w/.]+)`\n\n```(?:python|yaml)\n(.*?)^```$", text, flags=re.M | re.S)
    assert [Path(name).suffix for name, _ in blocks] == [".py", ".yaml", ".py"]
    for name, content in blocks:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    test = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
        cwd=tmp_path, env={"PYTHONPATH": str(tmp_path), "PATH": ""}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert test.returncode == 0 and "1 passed" in test.stdout, test.stdout + test.stderr
    command = re.search(r"^sem-preview (.*)$", text, flags=re.M)
    assert command
    program = "from sem_lightning.commands.preview import main; main()"
    preview = subprocess.run(
        [sys.executable, "-c", program, *shlex.split(command[1])],
        cwd=tmp_path, env={"PYTHONPATH": str(tmp_path), "PATH": ""}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert preview.returncode == 0 and "pinhole in preview.png" in preview.stdout, preview.stderr


@pytest.mark.parametrize(
    "path", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda path: path.name
)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text()):
        assert (path.parent / target).exists(), target
