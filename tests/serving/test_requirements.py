"""What the container installs is what the service needs, and what its dashboard shows is counted."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from sem_lightning.serving.metrics import ServiceMetrics

CHECKOUT = Path(__file__).parents[2]
DEPLOY = CHECKOUT / "deploy"
OPENCV = "opencv-python"  # the container takes it without windows
RUNTIME = "onnxruntime"
pytestmark = pytest.mark.skipif(not DEPLOY.is_dir(), reason="the container is built from a checkout")

# Blocks every package but those listed and what they require; then does what a service does.
PROGRAM = """
import sys, sysconfig
from importlib import metadata
from importlib.machinery import PathFinder
from packaging.requirements import Requirement

def names_of(requirement, found):
    name = requirement.name.lower().replace("_", "-").replace("-headless", "")
    if name in found:
        return
    found.add(name)
    for text in metadata.requires(name) or ():
        inner = Requirement(text)
        if inner.marker is None or any(inner.marker.evaluate({"extra": e}) for e in {"", *requirement.extras}):
            names_of(inner, found)

listed = set()
for text in sys.argv[1:]:
    names_of(Requirement(text), listed)
files = [path for name in listed for path in metadata.files(name) or ()]
allowed = {path.parts[0].partition(".")[0] for path in files} | {"sem_lightning"}
site = sysconfig.get_paths()["purelib"]

class Only:
    @staticmethod
    def find_spec(name, path=None, target=None):
        spec = PathFinder.find_spec(name, path, target)
        hidden = spec and str(spec.origin).startswith(site) and name.partition(".")[0] not in allowed
        return None if hidden else spec

sys.meta_path = [Only if each is PathFinder else each for each in sys.meta_path]
import io
import numpy as np
import tifffile
from sem_lightning.commands import predict, serve, watch
from sem_lightning.config.compose import compose
from sem_lightning.io.gray_image import decode_image
from sem_lightning.serving import journal, server, verdicts, watcher
from sem_lightning.serving.access import Access
from sem_lightning.serving.limits import ServiceLimits
from sem_lightning.serving.opening import open_service
from sem_lightning.inspection.inspector import Inspector

compose("serve", [])
service = open_service("robust", {}, {}, ServiceLimits(), Access("localhost", None))
stream = io.BytesIO()
tifffile.imwrite(stream, np.full((90, 80), 7, np.uint8), compression="packbits")
image = decode_image(stream.getvalue())
Inspector().inspect(image, [image])
service.application()
print("torch" in sys.modules, "openvino" in sys.modules)
"""


def listed() -> list[Requirement]:
    lines = (DEPLOY / "requirements.txt").read_text().splitlines()
    return [Requirement(line) for line in lines if not line.startswith("#")]


def test_a_service_imports_nothing_else() -> None:
    pytest.importorskip(RUNTIME)
    names = [each.name for each in listed()]
    done = subprocess.run([sys.executable, "-c", PROGRAM, *names, RUNTIME], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == ["False", "False"]
    assert not {"torch", "torchvision", "lightning", "matplotlib", "tensorboard"} & set(names)


def test_their_versions_are_those_of_the_package() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["serve"]]
    known = {each.name: each.specifier for each in map(Requirement, wanted)}
    pinned = {Requirement(line).name.lower() for line in (CHECKOUT / "constraints.txt").read_text().splitlines()[1:]}
    for each in listed():
        assert each.specifier == known[each.name.removesuffix("-headless")], each.name
        assert each.name in {name.replace("_", "-") for name in pinned}, each.name


def test_the_dashboard_shows_what_is_counted() -> None:
    text = ServiceMetrics().text().decode()
    counted = {line.split()[2].removesuffix("_total") for line in text.splitlines() if line.startswith("# TYPE")}
    for panel in json.loads((DEPLOY / "grafana" / "dashboard.json").read_text())["panels"]:
        for target in panel["targets"]:
            names = re.findall(r"\b(?:sem|process)_[a-z_]+", target["expr"])
            assert names and {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in names} <= counted, names
