"""Judging images needs torch only if torch runs the network."""

import subprocess
import sys

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
