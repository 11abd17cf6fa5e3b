"""The service on a Ray cluster: checked before it is sent there, and right when one of its processes is killed."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sem_lightning.errors import SettingError, UserError
from sem_lightning.serving.ray_deployment import application

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "replicas.py"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"replicas": 0}, "replicas: found 0, expected 1"),
        ({"replicas": "two"}, "replicas: found 'two', expected a whole number"),
        ({"port": 8000}, "port: Ray listens for the service"),
        ({"limits": {"queue": 1}}, "limits.queue: found 1, expected 32"),
        ({"limits.queue": "1"}, "limits.queue: found 1, expected 32"),
        ({"polarity": "auto"}, "polarity: found 'auto'"),
        ({"chekpoint": "best.ckpt"}, "chekpoint"),
    ],
)
def test_mistakes_are_named_before_anything_is_deployed(arguments: dict[str, Any], message: str) -> None:
    pytest.importorskip("ray.serve", exc_type=ImportError)
    with pytest.raises((SettingError, UserError), match=message):
        application(arguments)


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"on Ray needs an extra: pip install 'sem-lightning\[ray,serve\]'"):
        application({})


@pytest.mark.slow
def test_a_killed_replica_comes_back_and_no_request_is_answered_wrongly() -> None:
    pytest.importorskip("ray.serve", exc_type=ImportError)
    done = subprocess.run([sys.executable, BENCHMARK, "--kills", "1"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    clients = 4  # of which each loses one request at most
    lost = found["broken"] + sum(count for status, count in found["statuses"].items() if status != "200")
    assert found["wrong"] == [] and found["statuses"]["200"] > 10 and lost <= 2 * clients
    assert len(found["back_after"]) == 1
