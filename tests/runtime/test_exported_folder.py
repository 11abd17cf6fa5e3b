"""A folder of sem-export that is not whole is refused in one line that names the file."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import make_classifier

from sem_lightning.decision.rule import Rule
from sem_lightning.errors import UserError
from sem_lightning.export.graph import onnx_graph
from sem_lightning.inference.predictor import load
from sem_lightning.runtime import exported_folder
from sem_lightning.runtime.exported_folder import DESCRIPTION, ExportedModel, read_exported, write_exported

pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = make_classifier().eval().trained
    folder = tmp_path_factory.mktemp("exported") / "whole"
    files = {"network.onnx": onnx_graph(model.net, 64)}
    write_exported(ExportedModel(model.settings, Rule(), "onnx", "fp32", files, {}, folder))
    return folder


def refused(folder: Path) -> str:
    with pytest.raises(UserError) as error:
        load(folder)
    assert "\n" not in str(error.value)
    return str(error.value).replace(f"{folder}/", "")


def flip(path: Path, place: float) -> None:
    data = bytearray(path.read_bytes())
    data[int(place * len(data))] ^= 1
    path.write_bytes(bytes(data))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


@pytest.mark.parametrize("name", [DESCRIPTION, "network.onnx"])
def test_damage_of_each_file_is_named(name: str, whole: Path, tmp_path: Path) -> None:
    damages: list[Callable[[Path], Any]] = [cut, *(lambda path, at=at: flip(path, at) for at in (0.1, 0.5, 0.9))]
    for number, damage in enumerate(damages):
        folder = shutil.copytree(whole, tmp_path / str(number))
        damage(folder / name)
        said = refused(folder)
        assert said.startswith(f"{name}: ") and ("damaged" in said or "not a description" in said), said
    folder = shutil.copytree(whole, tmp_path / "without")
    (folder / name).unlink()
    assert refused(folder).startswith(f"{name}: No such file")


def rewrite(folder: Path, **changes: Any) -> None:
    """Change the description and give it a right checksum again, as an attacker would."""
    content = json.loads((folder / DESCRIPTION).read_text())
    del content["checksum"]
    content |= changes
    content["checksum"] = exported_folder._digest(json.dumps(content).encode())
    (folder / DESCRIPTION).write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 99}, "written by another version"),
        ({"format": "pickle"}, "not a description that sem-export wrote ('pickle')"),
        ({"precision": "int2"}, "not a description that sem-export wrote (onnx in int2)"),
        ({"files": {}}, "not a description that sem-export wrote ('network.onnx')"),
        ({"files": {"../network.onnx": {}}}, "not a description that sem-export wrote ('network.onnx')"),
        ({"settings": {"classes": 3}}, "not a description that sem-export wrote"),
        ({"rule": {"kind": "argmax"}}, "not a description that sem-export wrote"),
        ({"rule": None}, "not a description that sem-export wrote"),
    ],
)
def test_foreign_descriptions_are_refused(changes: dict[str, Any], message: str, whole: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(whole, tmp_path / "odd")
    rewrite(folder, **changes)
    assert refused(folder).startswith(f"{DESCRIPTION}: {message}")


def test_arrays_of_a_rule_have_the_length_of_their_shape(whole: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(whole, tmp_path / "odd")
    huge = {"shape": [3, 10**9], "float32": "AAAA"}
    rule = json.loads((folder / DESCRIPTION).read_text())["rule"] | {"ood": {"means": huge, "whitening": huge}}
    rewrite(folder, rule=rule)
    assert refused(folder).startswith(f"{DESCRIPTION}: not a description")


def test_a_graph_of_another_kind_is_refused(whole: Path, tmp_path: Path) -> None:
    for number, data in enumerate((b"", b"no graph", b"\x80" * 100)):
        folder = shutil.copytree(whole, tmp_path / str(number))
        (folder / "network.onnx").write_bytes(data)
        rewrite(folder, files={"network.onnx": exported_folder._fingerprint(data)})
        with pytest.raises(UserError, match=r"not a graph that ONNX Runtime runs"):
            load(folder)


def test_sizes_are_looked_at_before_anything_is_read(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exported_folder, "_LARGEST_FILE", 1000)
    assert "expected at most 1000" in refused(whole)
    (tmp_path / "pipe").mkdir()
    assert "No such file; expected a folder of sem-export" in refused(tmp_path / "pipe")


def test_a_folder_is_written_whole_or_not_at_all(whole: Path, tmp_path: Path) -> None:
    model = read_exported(whole)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine.txt").write_text("mine")
    model.folder = tmp_path / "taken"
    with pytest.raises(OSError):
        write_exported(model)
    model.folder, model.card = tmp_path / "new", {"no JSON": object()}
    with pytest.raises(TypeError):
        write_exported(model)
    assert [path.name for path in tmp_path.rglob("*")] == ["taken", "mine.txt"]


def test_an_extra_that_is_missing_is_named(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match=r"needs an extra: pip install 'sem-lightning\[onnx\]'"):
        load(whole)


def test_torch_is_not_imported(whole: Path) -> None:
    code = (
        "import sys, numpy as np; from sem_lightning.inference.predictor import load; "
        f"load({str(whole)!r}).predict(np.random.default_rng(0).random((64, 64), np.float32)); "
        "print(sorted({'torch', 'lightning', 'onnx', 'scipy.stats'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "[]\n", done.stderr
