"""The plug-in package of docs/extending.md, made from the page's own blocks, installed, and used by real commands."""

import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import TINY, Run

from sem_lightning.errors import UserError
from sem_lightning.synthesis.simulator import Scene

PAGE = Path(__file__).parent.parent / "docs" / "extending.md"
_METADATA = "Metadata-Version: 2.1\nName: my-sem-parts\nVersion: 0.1.0\n"
_NETWORK = [*(each for each in TINY if not each.startswith(("model.", "logger"))), "model.network=tiny_cnn"]


@dataclass(frozen=True)
class Workplace:
    """A folder with ``conf/`` as the page has it, and where the plug-in is installed."""

    folder: Path
    installed: Path

    def environment(self) -> dict[str, str]:
        paths = (str(PAGE.parent.parent), str(self.installed))
        return os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}

    def run(self, line: str, *more: str) -> "subprocess.CompletedProcess[str]":
        command, *arguments = shlex.split(line)
        module = f"sem_lightning.commands.{command.removeprefix('sem-')}"
        return subprocess.run(
            [sys.executable, "-m", module, *arguments, *more],
            cwd=self.folder, env=self.environment(), capture_output=True, text=True, check=False,
        )  # fmt: skip


@pytest.fixture(scope="module")
def page() -> str:
    return PAGE.read_text()


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory, page: str) -> Workplace:
    folder = tmp_path_factory.mktemp("workplace")
    source, installed = folder / "source", folder / "installed"
    blocks = re.findall(r"^`([\w/.]+)`\n\n```(?:python|yaml|toml)\n(.*?)^```$", page, flags=re.M | re.S)
    assert len(blocks) == 11
    for name, content in blocks:
        path = (folder if name.startswith("conf/") else source) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.write(content)
    _install(source, installed)
    return Workplace(folder, installed)


def _install(source: Path, target: Path) -> None:
    """What ``pip install --target`` does, by hand where the build backend is not installed."""
    if importlib.util.find_spec("hatchling") is not None:
        pip = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--target", str(target)]
        subprocess.run([sys.executable, *pip, str(source)], check=True)
        return
    entry = re.search(r"\[project\.entry-points\.(\w+)\]\n(.*)", (source / "pyproject.toml").read_text())
    assert entry
    facts = target / "my_sem_parts-0.1.0.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_text(_METADATA)
    (facts / "entry_points.txt").write_text(f"[{entry[1]}]\n{entry[2].replace(chr(34), '')}\n")
    (source / "my_sem_parts").rename(target / "my_sem_parts")


@pytest.mark.parametrize("part", ["pattern=rings", "notch", "banding"])
def test_the_simulator_takes_own_parts(workplace: Workplace, page: str, part: str) -> None:
    line = next(line for line in page.splitlines() if line.startswith("sem-preview ") and part in line)
    preview = workplace.run(line, "per_class=2")
    assert preview.returncode == 0, preview.stderr
    name = re.search(r"output=(\S+)", line)
    assert name and (workplace.folder / name[1]).is_file()


def test_a_set_of_own_parts_replays(workplace: Workplace) -> None:
    own = ("pattern=rings", "+defect/types@defect.notch=notch", "+noise/steps@noise.steps.banding=banding")
    made = workplace.run("sem-generate", *own, "num_per_class=2", "num_workers=1", "shards=1", "output=rings")
    assert made.returncode == 0, made.stderr
    program = (
        "import json, cv2, numpy as np; from sem_lightning import Scene, render\n"
        "lines = [json.loads(line) for line in open('rings/metadata.jsonl')]\n"
        "kinds = [each['scene'] if 'scene' in each else each for each in lines]\n"
        "images = [render(Scene.from_dict(each)).image for each in kinds]\n"
        "stored = [cv2.imread('rings/' + each['filename'], -1) for each in lines]\n"
        "assert all((a == b).all() for a, b in zip(images, stored, strict=True)), 'differs'\n"
    )
    replay = subprocess.run(
        [sys.executable, "-c", program],
        cwd=workplace.folder, env=workplace.environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert replay.returncode == 0, replay.stderr
    first = json.loads((workplace.folder / "rings" / "metadata.jsonl").read_text().splitlines()[0])
    with pytest.raises(UserError, match="'rings', which no installed package registers"):
        Scene.from_dict(first.get("scene", first))  # here, where it is not installed


def test_training_and_prediction_with_own_network_callback_and_logger(
    workplace: Workplace, page: str, run: Run
) -> None:
    line = next(line for line in page.splitlines() if "callbacks.own" in line and line.startswith("sem-train "))
    trained = workplace.run(line, "logger=json_lines", "hydra.run.dir=run", "logger.every_n_steps=1", *_NETWORK)
    assert trained.returncode == 0, trained.stderr
    curves = (workplace.folder / "metrics.jsonl").read_text()
    assert "train/weight_norm" in curves and "train/loss" in curves
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)
    cv2.imwrite(str(workplace.folder / "scan.png"), noise)
    predict = ("ckpt=run/checkpoints/best.ckpt", "images=scan.png")
    predicted = workplace.run("sem-predict", *predict)
    assert predicted.returncode == 0, predicted.stderr
    assert len((workplace.folder / "predictions.csv").read_text().splitlines()) == 2
    os.chdir(workplace.folder)
    refused = run("predict", *predict, "output=none.csv")  # here, where the plug-in is not installed
    assert refused.code == 1
    assert len(refused.err.splitlines()) == 1
    assert refused.err.startswith("error: run/checkpoints/best.ckpt: network: found 'tiny_cnn', expected one of ")
    assert not (workplace.folder / "none.csv").exists()


def test_each_part_takes_under_thirty_lines(page: str) -> None:
    for block in re.findall(r"^```python\n(.*?)^```$", page, flags=re.M | re.S):
        assert sum(bool(line.strip()) for line in block.splitlines()) < 30
