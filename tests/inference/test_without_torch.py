"""Judging images needs torch only if torch runs the network."""

import subprocess
import sys


def test_the_predictor_itself_needs_no_torch() -> None:
    code = "import sys, sem_lightning.inference.predictor; print('torch' in sys.modules, 'scipy.stats' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
