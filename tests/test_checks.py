"""Checks of single settings, and plug-ins of other packages."""

import pickle
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from sem_lightning import plugins
from sem_lightning.checks import at_least, one_of
from sem_lightning.errors import SettingError, UserError
from sem_lightning.model import network
from sem_lightning.model.network import build_network


def test_what_is_large_enough_or_allowed_passes() -> None:
    at_least("threads", 1, 1)
    at_least("threads", 7, 1)
    one_of("kind", "b", ("a", "b"))


def test_what_is_not_is_named_with_what_would_be() -> None:
    with pytest.raises(SettingError, match=r"^threads: found 0, expected at least 1$") as error:
        at_least("threads", 0, 1)
    assert error.value.key == "threads"
    with pytest.raises(SettingError, match=r"^kind: found 'c', expected one of a, b$") as error:
        one_of("kind", "c", ("a", "b"))
    assert error.value.key == "kind" and isinstance(error.value, UserError)
    home = pickle.loads(pickle.dumps(error.value.under("writer")))  # as a worker process sends it
    assert (home.key, home.reason, str(home)) == (
        "writer.kind",
        "found 'c', expected one of a, b",
        "writer.kind: found 'c', expected one of a, b",
    )


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[EntryPoint]]:
    """The plug-ins that are installed, as far as our package can tell."""
    entries: list[EntryPoint] = []
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(plugins, "entry_points", lambda group: entries if group == "sem_lightning" else [])
    monkeypatch.setattr(network, "NETWORKS", dict(network.NETWORKS))
    plugins.load_plugins.cache_clear()
    yield entries
    plugins.load_plugins.cache_clear()


def plug_in(name: str, folder: Path, text: str) -> EntryPoint:
    (folder / f"{name}_plugin.py").write_text(text)
    return EntryPoint(name, f"{name}_plugin", plugins.GROUP)


NETWORK = """
from sem_lightning.model.gray_resnet import GrayResNet
from sem_lightning.model.network import register_network

@register_network("narrow")
def make():
    return GrayResNet((1, 1, 1, 1), 8)
"""


def test_a_plug_in_registers_when_something_is_not_known(installed: list[EntryPoint], tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"network: found 'narrow', expected one of resnet18, .*timm"):
        build_network("narrow", None, 3, "average")
    plugins.load_plugins.cache_clear()
    installed += [plug_in("zoo", tmp_path, NETWORK), plug_in("also", tmp_path, "")]
    assert build_network("narrow", None, 3, "average").num_features == 16 + 32
    assert plugins.load_plugins() == ("also", "zoo")
    with pytest.raises(ValueError, match="a network is registered as narrow already"):
        network.register_network("narrow")(object)


def test_a_plug_in_that_is_broken_is_named(installed: list[EntryPoint], tmp_path: Path) -> None:
    installed.append(plug_in("broken", tmp_path, "import no_such_module"))
    with pytest.raises(UserError, match=r"plug-in broken \(broken_plugin\) cannot be imported: ModuleNotFoundError"):
        plugins.load_plugins()


def test_without_plug_ins_there_are_none(installed: list[EntryPoint]) -> None:
    assert plugins.load_plugins() == ()
