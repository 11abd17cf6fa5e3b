"""Every key of every command with values that nobody means, and paths and values that Hydra's grammar does not expect.

What is right: the value is used without a warning, or refused in one line that names a key of the same group.
"""

import functools
import logging
import math
import os
import shlex
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from kind import Kind
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sem_lightning.commands import calibrate, evaluate
from sem_lightning.config.build import build, build_simulator, check_keys, check_seed
from sem_lightning.config.compose import compose
from sem_lightning.config.error_lines import describe
from sem_lightning.config.generation import build_writer
from sem_lightning.config.training import build_training
from sem_lightning.errors import UserError
from sem_lightning.inference.predictor import Predictor
from sem_lightning.io.atomic import printable
from sem_lightning.model.checkpoint import TrainedModel, load_model
from sem_lightning.training.start import build_classifier, open_start
from sem_lightning.training.trainer import build_trainer

_EXPECTED = (UserError, HydraException, OmegaConfBaseException)
_PATIENCE = 8.0  # seconds for one value, on a busy machine
VALUES: tuple[Any, ...] = (
    math.nan, math.inf, -math.inf, -1, 0, 0.5, 1e308, -1e308, 1e-308, 10**12, 10**30, "", "word", "a\x1b[31mb",
    [1, math.nan], [1e-308, 1e308], [], [0.5] * 200, {}, {"a": 1}, None, True,
)  # fmt: skip
NAMES = (
    "a=b", "a,b", "my folder", "[a]", "x(1)", "{a}", "it's", 'say "x"', "both'\"", "a#b", "a;b", "a&b", "$x", "~x", "ä",
    "日本", "a\\b", "end\\", "a|b", "a<b>", "a!", "a^b", "a`b", "%d", "007", "1e5", "true", "NaN", "a:b", "*", "a?",
)  # fmt: skip


def kinds() -> Iterable[Kind]:
    yield from _hostile_values()
    yield from _paths()
    yield from _raw_overrides()
    yield from _variables()


def _hostile_values() -> Iterator[Kind]:
    small = ("imaging.image_size=64",)
    for pattern in ("line_space", "routing", "freeform", "maze"):
        yield from _keys("preview", (f"pattern={pattern}", "imaging.image_size=128"), ("pattern",), _simulate)
    holes = ("pattern=contact_hole", "defect=contact_hole")
    yield from _keys("preview", holes, ("pattern", "defect"), _simulate)
    yield from _keys("preview", ("defect=full",), ("defect",), _simulate)
    yield from _keys("preview", small, ("imaging", "noise", "processing", "seed"), _simulate)
    files = ("num", "class", "shares", "shard", "writer", "output", "overwrite")
    yield from _keys("generate", small, files, build_writer)
    ours = ("data", "model", "decision", "logger", "callbacks", "sweep", "trainer", "init", "resume", "optimized")
    yield from _keys("train", small, ours, _train)
    yield from _keys("train", ("data=folder", "data.root=none"), ("data",), lambda config: build(config.data, "data"))
    yield from _keys("predict", ("images=none",), ("",), _predict)
    yield from _keys("inspect", ("images=none",), ("",), lambda config: build(config, ""))
    nowhere = ("ckpt=none.ckpt", "output=none.safetensors")
    yield from _keys("evaluate", nowhere[:1], ("seed", "split", "explain", "view", "device"), evaluate.evaluate)
    yield from _keys("calibrate", nowhere, ("seed", "view", "device", "decision"), calibrate.calibrate)
    chosen = ("images=none", "name=mine")
    yield from _keys("fit", chosen, ("lines", "images", "name", "family", "pixel"), lambda config: build(config, ""))


def _keys(command: str, base: tuple[str, ...], chosen: tuple[str, ...], use: Callable[[DictConfig], Any]) -> list[Kind]:
    """One kind for each key that begins like one of ``chosen``."""
    keys = [key for key in _leaves(_base(command, base)) if key.startswith(chosen)]
    label = " ".join((command, *base))
    return [Kind(f"{label} {key}", functools.partial(_try_values, command, base, key, use)) for key in keys]


@functools.cache
def _base(command: str, base: tuple[str, ...]) -> DictConfig:
    return compose(command, base)


def _leaves(node: DictConfig, prefix: str = "") -> Iterator[str]:
    for name in map(str, node):
        child = None if OmegaConf.is_missing(node, name) or OmegaConf.is_interpolation(node, name) else node[name]
        if isinstance(child, DictConfig):
            yield from _leaves(child, f"{prefix}{name}.")
        yield f"{prefix}{name}"


def _try_values(
    command: str, base: tuple[str, ...], key: str, use: Callable[[DictConfig], Any], folder: Path
) -> str | None:
    os.chdir(folder)
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    warnings.simplefilter("error")
    faults = [_try_value(_base(command, base).copy(), key, value, use) for value in VALUES]
    return "; ".join(fault for fault in faults if fault) or None


def _try_value(config: DictConfig, key: str, value: Any, use: Callable[[DictConfig], Any]) -> str | None:
    given = f"{value!r:.40}"
    started = time.monotonic()
    try:
        OmegaConf.update(config, key, value, merge=True)
        check_keys(config)
        use(config)
    except _EXPECTED as error:
        line = describe(error)
        group, leaf = key.partition(".")[0], key.rpartition(".")[2]
        named = (
            line.startswith((group, printable(str(value)))) or leaf in line or "none" in line
        )  # or a file that is not there
        if not named or "\n" in line or "\x1b" in line or len(line) > 1100:
            return f"{given}: {line:.200}"
    except Exception as error:
        return f"{given}: {type(error).__name__} {str(error).splitlines()[:1]}"
    seconds = time.monotonic() - started
    return f"{given}: took {seconds:.0f} s" if seconds > _PATIENCE else None


def _simulate(config: DictConfig) -> None:
    simulator = build_simulator(config)
    check_seed(config)
    for label in simulator.classes[:2]:
        simulator.sample(1, label=label)


def _train(config: DictConfig) -> None:
    build(config.sweep, "sweep")
    settings = build_training(config)
    run = settings.run
    build_trainer(run.trainer, Path("out"), [], None, run.logger.every_n_steps, False)
    start = open_start(settings.init_from, run.model, settings.given)
    source = run.data.sources(settings.simulator, run.seed)[0]
    build_classifier(run.model, source, run.seed, start)


def _predict(config: DictConfig) -> None:
    settings = build(config, "")
    names = ("polarity", "tiling", "overlap", "pixel_size", "view_scales", "device")
    Predictor(_packaged(), **{name: getattr(settings, name) for name in names})


@functools.cache
def _packaged() -> TrainedModel:
    return load_model("robust")


def _paths() -> Iterator[Kind]:
    """A path is taken as it is written, whatever Hydra's grammar would make of it."""
    for command, key, base in (
        ("predict", "images", ()),
        ("predict", "output", ("images=x",)),
        ("inspect", "reference", ("images=x",)),
        ("evaluate", "ckpt", ()),
        ("train", "data.root", ("data=folder",)),
        ("train", "init_from", ()),
    ):
        for name in NAMES:
            yield Kind(f"{key}={name}", functools.partial(_try_path, command, key, base, name))


def _try_path(command: str, key: str, base: tuple[str, ...], name: str, folder: Path) -> str | None:
    os.chdir(folder)
    for path in (name, f"folder/{name}.d/x"):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).touch()
        found = OmegaConf.select(compose(command, [*base, f"{key}={path}"]), key)
        if found != path.strip():
            return f"{path}: read as {found!r}"
    return None


def _raw_overrides() -> Iterator[Kind]:
    """What does not parse is one line, and the command in that line parses."""
    for name in ("a=b", "[a", "it's", "a#b", "x(1)y", "ä", "a;b", "{a", "'a"):
        for key in ("noise.dose", "split", "pattern.file_"):
            yield Kind(f"{key}={name} does not parse", functools.partial(_try_unparsable, key, name))
    deep, long = "[" * 2000 + "]" * 2000, f"[{','.join(['0.5'] * 50_000)}]"
    for name, value in (("nested 2,000 deep", deep), ("a list of 50,000", long), ("a word of 10**6", "a" * 10**6)):
        for key in ("class_weights", "noise.dose", "output", "no_such_key"):
            yield Kind(f"{key}: {name}", functools.partial(_try_refused, [f"{key}={value}"], key))
    for odd in ("folder", "=", "a b=1", "noise", "=x", "+", "~", "--", "noise.dose", "a\nb=1"):
        yield Kind(f"the override {odd!r}", functools.partial(_try_refused, [odd], ""))


def _try_unparsable(key: str, value: str, folder: Path) -> str | None:
    sys.argv = ["/usr/bin/sem-evaluate"]
    try:
        compose("evaluate", [f"{key}={value}"])
    except UserError as error:
        shown = str(error).partition("as text it is: ")[2]
        words = shlex.split(shown)
        if words[:1] != ["sem-evaluate"] or "\n" in str(error):
            return str(error)
        parsed = OverridesParser.create().parse_override(words[1])
        return None if parsed.value() == value else f"{shown} is read as {parsed.value()!r}"
    return "not refused"


def _try_refused(overrides: list[str], named: str, folder: Path) -> str | None:
    started = time.monotonic()
    try:
        compose("generate", overrides)
    except UserError as error:
        line = describe(error)
        wrong = "\n" in line or named not in line or len(line) > 1100 or "Exception" in line
        seconds = time.monotonic() - started
        return line[:300] if wrong else f"took {seconds:.0f} s" if seconds > _PATIENCE else None
    return "not refused"


def _variables() -> Iterator[Kind]:
    """The value of an environment variable is used, and not shown in an error."""
    for override in ("ckpt=/proc/{}/x", "images={}", "device={}", "polarity={}", "pixel_size={}", "tiling=${{x}}{}"):
        yield Kind(f"a variable in {override}", functools.partial(_try_variable, override))


def _try_variable(override: str, folder: Path) -> str | None:
    (folder / "x.png").touch()
    command = [sys.executable, "-m", "sem_lightning.commands.predict", "images=x.png"]
    done = subprocess.run(
        [*command, override.format("${oc.env:SECRET}")],
        cwd=folder, env=os.environ | {"SECRET": "hunter2"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    said = done.stdout + done.stderr
    return None if done.returncode and "hunter2" not in said and said.count("\n") == 1 else said[-300:]
