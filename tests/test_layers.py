"""Imports run one way, and commands stay short."""

import subprocess
import sys
from pathlib import Path

import pytest

import sem_lightning

PACKAGE = Path(sem_lightning.__file__).parent
CHECKOUT = PACKAGE.parent
LINES = 80  # of a command's module


@pytest.mark.skipif(not (CHECKOUT / "pyproject.toml").is_file(), reason="the contracts are in a checkout")
def test_imports_keep_their_contracts(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("importlinter")
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    command = [sys.executable, "-c", program, "--no-cache", "--config", str(CHECKOUT / "pyproject.toml")]
    monkeypatch.setenv("PYTHONPATH", str(CHECKOUT))
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "0 broken" in done.stdout, done.stdout + done.stderr
    contracts = (CHECKOUT / "pyproject.toml").read_text().count("[[tool.importlinter.contracts]]")
    assert contracts >= 4 and f"{contracts} kept" in done.stdout


@pytest.mark.parametrize("path", sorted((PACKAGE / "commands").glob("*.py")), ids=lambda path: path.name)
def test_a_command_only_reads_calls_and_prints(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LINES
