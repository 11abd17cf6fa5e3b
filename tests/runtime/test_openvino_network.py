"""What OpenVINO does to the process that runs it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("openvino")

DROPPED = """
import gc, signal, threading
import numpy as np
from sem_lightning.inference.predictor import load
kept = [load('robust')]
kept[0].predict([np.zeros((64, 64), np.float32)])
def drop():
    kept.clear()
    gc.collect()
thread = threading.Thread(target=drop)
thread.start()
thread.join()
signal.signal(signal.SIGUSR1, lambda *heard: print('heard'))
signal.raise_signal(signal.SIGUSR1)
"""


def test_a_signal_is_heard_after_another_thread_gave_the_network_up() -> None:
    done = subprocess.run([sys.executable, "-c", DROPPED], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "heard\n"), done.stderr


def test_nothing_is_reported_to_its_maker(tmp_path: Path) -> None:
    """Its import would fork a process for that, which also leaves a file in the user's home."""
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
