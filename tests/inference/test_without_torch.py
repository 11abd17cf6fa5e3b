"""Judging images needs torch only if torch runs the network."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


def test_the_predictor_itself_needs_no_torch() -> None:
    code = "import sys, sem_lightning.inference.predictor; print('torch' in sys.modules, 'scipy.stats' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


@pytest.mark.parametrize("missing", ["", "openvino"])
def test_the_packaged_classifier_runs_without_torch_and_decides_as_with_it(missing: str) -> None:
    pytest.importorskip("onnxruntime")
    code = (
        "import sys, importlib.util, numpy as np\n"
        "find = importlib.util.find_spec\n"
        f"importlib.util.find_spec = lambda name: None if name == {missing!r} else find(name)\n"
        "from sem_lightning.inference.predictor import Predictor, load\n"
        "from sem_lightning.synthesis.simulator import Simulator, render\n"
        "simulator = Simulator.compose()\n"
        "images = [render(simulator.draw(0, 0, i, simulator.classes[i % 3])).image for i in range(6)]\n"
        "images.append(images[0][:100, :120])\n"
        "found = load('robust').predict(images)\n"
        "print('torch' in sys.modules, 'openvino' in sys.modules)\n"
        "from sem_lightning.model.checkpoint import load_model\n"
        "expected = Predictor(load_model('robust')).predict(images)\n"
        "print(max(abs(one.logits - other.logits).max() for one, other in zip(found, expected)) < 1e-3)\n"
        "print([one.decision for one in found] == [other.decision for other in expected])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["False", str(not missing), "True", "True"], done.stderr


def test_openvino_reports_nothing_to_its_maker(tmp_path: Path) -> None:
    """Its import would fork a process for that, which also leaves a file in the user's home."""
    pytest.importorskip("openvino")
    code = (
        "import os\n"
        "forks = []\n"
        "os.register_at_fork(before=lambda: forks.append(1))\n"
        "from sem_lightning.inference.predictor import load\n"
        "import numpy as np\n"
        "load('robust').predict([np.zeros((64, 64), np.float32)])\n"
        "import sys, time; time.sleep(1)\n"
        "print('openvino' in sys.modules, forks)\n"
    )
    environment = {name: value for name, value in os.environ.items() if name not in ("CI", "TF_BUILD", "JENKINS_URL")}
    environment["HOME"] = str(tmp_path)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert done.stdout.split() == ["True", "[]"], done.stderr
    assert not list(tmp_path.rglob("*openvino*"))
