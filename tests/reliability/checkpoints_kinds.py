"""Damaged, foreign and hostile checkpoints.

What is right: the classifier that was written, to the last bit, or one line that names the file.
"""

import functools
import io
import json
import math
import os
import pickle
import random
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from kind import Kind
from safetensors.torch import save_file

from sem_lightning.decision.rule import Rule
from sem_lightning.errors import UserError
from sem_lightning.model.checkpoint import TrainedModel, load_model, rule_state, save_rule
from sem_lightning.model.model_settings import ModelSettings
from sem_lightning.model.network import build_network

_CHANGES = 5  # of each kind
_SETTINGS = ModelSettings(classes=("good", "gap", "bridge"), image_size=64, network="resnet18_small", pixel_size=1.0)
_WRONG: tuple[Any, ...] = (
    math.nan, math.inf, -1, 0, 1e308, 10**30, "word", "\udcff", [], [1, 2], {}, {"a": 1}, None, True, "a\x1b[31m",
)  # fmt: skip


def kinds() -> Iterable[Kind]:
    for suffix in (".ckpt", ".safetensors"):
        yield Kind(f"{suffix}: as it is", functools.partial(_try_changed, suffix, 0, lambda content, numbers: None))
        for part in range(8):
            yield Kind(f"{suffix}: a flipped bit, {part}", functools.partial(_try_changed, suffix, part, _flip))
        for part in range(3):
            yield Kind(f"{suffix}: scrambled, {part}", functools.partial(_try_changed, suffix, part, _scramble))
            yield Kind(f"{suffix}: truncated, {part}", functools.partial(_try_changed, suffix, part, _truncate))
        yield Kind(f"{suffix}: with a hole", functools.partial(_try_changed, suffix, 0, _cut_out))
        for value in (math.nan, math.inf, -math.inf):
            yield Kind(f"{suffix}: a weight that is {value}", functools.partial(_try_weight, suffix, value))
    yield Kind("the packaged classifier with a flipped bit", _try_packaged)
    for key in ModelSettings.__dataclass_fields__:
        yield Kind(f"settings: {key}", functools.partial(_try_setting, key))
    for key in Rule.__dataclass_fields__:
        yield Kind(f"rule: {key}", functools.partial(_try_rule, key))
    for name, content in _contents():
        yield Kind(f"content: {name}", functools.partial(_try_content, content))
    for name, make in _foreign():
        yield Kind(f"foreign: {name}", functools.partial(_try_foreign, make))


@functools.cache
def _state() -> dict[str, Any]:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    net = build_network("resnet18_small", None, 3, "average")
    weights = {f"net.{name}": value for name, value in net.state_dict().items()}
    return {
        "state_dict": weights,
        "hyper_parameters": {"settings": _SETTINGS.to_dict()},
        "decision_rule": rule_state(Rule()),
    }


def _write(path: Path) -> bytes:
    checkpoint = path.with_suffix(".ckpt")
    torch.save(_state(), checkpoint)
    if path.suffix == ".safetensors":
        save_rule(checkpoint, Rule(), path)
    return path.read_bytes()


def _load(path: Path) -> TrainedModel | str:
    """The model, or the line that refuses it; a fault in words that begin with ``fault``."""
    try:
        return load_model(path)
    except UserError as error:
        line = str(error)
        return f"fault: {line[:300]}" if "\n" in line or path.name not in line else line


def _differs(model: TrainedModel, other: TrainedModel) -> bool:
    ours, theirs = model.net.state_dict(), other.net.state_dict()
    return (
        model.settings != other.settings
        or model.rule != other.rule
        or any(not torch.equal(value, theirs[name]) for name, value in ours.items())
    )


def _try_changed(
    suffix: str, part: int, change: Callable[[bytearray, random.Random], None], folder: Path
) -> str | None:
    content = _write(folder / f"whole{suffix}")
    whole = load_model(folder / f"whole{suffix}")
    numbers = random.Random(part)
    for _ in range(_CHANGES):
        changed = bytearray(content)
        change(changed, numbers)
        path = folder / f"changed{suffix}"
        path.write_bytes(changed)
        found = _load(path)
        if isinstance(found, str) and (found.startswith("fault") or changed == content):
            return found
        if isinstance(found, TrainedModel) and _differs(found, whole):
            return "other weights or settings, unnoticed"
    return None


def _flip(content: bytearray, numbers: random.Random) -> None:
    content[numbers.randrange(len(content))] ^= 1 << numbers.randrange(8)


def _scramble(content: bytearray, numbers: random.Random) -> None:
    start = numbers.randrange(len(content) - 64)
    content[start : start + 64] = numbers.randbytes(64)


def _truncate(content: bytearray, numbers: random.Random) -> None:
    del content[numbers.randrange(len(content)) :]


def _cut_out(content: bytearray, numbers: random.Random) -> None:
    start = numbers.randrange(len(content) - 64)
    del content[start : start + numbers.randrange(1, 64)]


def _try_weight(suffix: str, value: float, folder: Path) -> str | None:
    for name in list(_state()["state_dict"])[:: len(_state()["state_dict"]) // 4]:
        state = _state() | {"state_dict": {key: each.clone() for key, each in _state()["state_dict"].items()}}
        if not state["state_dict"][name].is_floating_point():
            continue
        state["state_dict"][name].view(-1)[0] = value
        path = folder / f"odd{suffix}"
        if suffix == ".ckpt":
            torch.save(state, path)
        else:
            facts = {"settings": state["hyper_parameters"]["settings"], "rule": state["decision_rule"]}
            save_file(state["state_dict"], path, {"sem-lightning": json.dumps(facts)})
        found = _load(path)
        if isinstance(found, TrainedModel) or "NaN or infinite" not in found or name not in found:
            return str(found)[:200]
    return None


def _try_packaged(folder: Path) -> str | None:
    from sem_lightning.model import safetensors_reader
    from sem_lightning.model.packaged import PACKAGED

    content = bytearray(PACKAGED["robust"].read_bytes())
    content[len(content) // 2] ^= 1
    vars(safetensors_reader)["PACKAGE_FOLDER"] = folder
    path = folder / "weights" / "robust.safetensors"
    path.parent.mkdir()
    path.write_bytes(content)
    found = _load(path)
    return "unnoticed" if isinstance(found, TrainedModel) else None if "damaged" in found else found


def _try_setting(key: str, folder: Path) -> str | None:
    for value in _WRONG:
        state = _state() | {"hyper_parameters": {"settings": _SETTINGS.to_dict() | {key: value}}}
        fault = _try_state(state, folder)
        if fault:
            return f"{value!r}: {fault}"
    missing = _SETTINGS.to_dict()
    del missing[key]
    return _try_state(_state() | {"hyper_parameters": {"settings": missing}}, folder)


def _try_rule(key: str, folder: Path) -> str | None:
    for value in _WRONG:
        state = _state() | {"decision_rule": _state()["decision_rule"] | {key: value}}
        fault = _try_state(state, folder)
        if fault:
            return f"{value!r}: {fault}"
    return None


def _try_state(state: Any, folder: Path) -> str | None:
    """A state is refused, or used without NaN in the answer."""
    torch.save(state, folder / "odd.ckpt")
    found = _load(folder / "odd.ckpt")
    if isinstance(found, str):
        return found if found.startswith("fault") else None
    settings, scores = found.settings, np.zeros((1, len(found.settings.classes)))
    verdicts = found.rule.decide(scores, np.zeros((1, found.net.num_features)))
    finite = np.isfinite(verdicts.probabilities).all() and math.isfinite(settings.pixel_size or 1.0)
    json.dumps([settings.to_dict(), found.rule.describe()], allow_nan=False)
    return None if finite else f"used: {settings}"


def _contents() -> Iterator[tuple[str, Any]]:
    state = _state()
    weights = state["state_dict"]
    name = next(iter(weights))
    yield from (("a list", [1, 2]), ("a tensor", torch.zeros(3)), ("nothing", {}), ("a number", 7))
    yield (
        "weights of another network",
        state | {"state_dict": build_network("resnet18", None, 3, "average").state_dict()},
    )
    yield "weights as a list", state | {"state_dict": list(weights.values())}
    yield "a weight that is a word", state | {"state_dict": weights | {name: "word"}}
    yield "a weight that is missing", state | {"state_dict": {key: weights[key] for key in list(weights)[1:]}}
    yield "a weight too many", state | {"state_dict": weights | {"net.more": torch.zeros(3)}}
    yield "a weight of another shape", state | {"state_dict": weights | {name: torch.zeros(3)}}
    yield "a weight of whole numbers", state | {"state_dict": weights | {name: weights[name].long()}}
    yield "a weight of complex numbers", state | {"state_dict": weights | {name: weights[name].to(torch.complex64)}}
    yield "a sparse weight", state | {"state_dict": weights | {name: weights[name].to_sparse()}}
    yield "settings as a list", state | {"hyper_parameters": {"settings": [1]}}
    yield "hyperparameters as a word", state | {"hyper_parameters": "word"}
    yield "an unknown setting", state | {"hyper_parameters": {"settings": _SETTINGS.to_dict() | {"more": 1}}}
    yield "a rule as a word", state | {"decision_rule": "word"}
    yield "a rule without keys", state | {"decision_rule": {}}
    deep: list[Any] = []
    for _ in range(200):
        deep = [deep]
    yield "classes nested 200 deep", state | {"hyper_parameters": {"settings": _SETTINGS.to_dict() | {"classes": deep}}}


def _try_content(content: Any, folder: Path) -> str | None:
    torch.save(content, folder / "odd.ckpt")
    found = _load(folder / "odd.ckpt")
    return None if isinstance(found, str) and not found.startswith("fault") else str(found)[:200]


class _Trap:
    """Code that a pickle would run."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("trapped",)


def _foreign() -> Iterator[tuple[str, Callable[[Path], Path]]]:
    def write(name: str, content: bytes) -> Callable[[Path], Path]:
        def make(folder: Path) -> Path:
            (folder / name).write_bytes(content)
            return folder / name

        return make

    trap = io.BytesIO()
    torch.save({"state_dict": {}, "hyper_parameters": {"settings": {"classes": []}}, "trap": _Trap()}, trap)
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(1 << 28))
    header = b'{"__metadata__":{"sem-lightning":"' + b"[" * 100_000 + b'"}}'
    big = b'{"a":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4000000000000]}}'
    yield "code in a pickle", write("a.ckpt", trap.getvalue())
    yield "code in a bare pickle", write("a.ckpt", pickle.dumps(_Trap()))
    yield "a compressed archive", write("a.ckpt", bomb.getvalue())
    yield "empty", write("a.ckpt", b"")
    yield "a picture", write("a.ckpt", b"\x89PNG\r\n\x1a\n" + bytes(100))
    yield "text", write("a.safetensors", b"nothing of the kind")
    yield "metadata nested 100,000 deep", write("a.safetensors", len(header).to_bytes(8, "little") + header)
    yield "a tensor of 4 TB", write("a.safetensors", len(big).to_bytes(8, "little") + big)
    yield "a header of 2^63 bytes", write("a.safetensors", (2**63).to_bytes(8, "little") + b"{}")
    yield "a folder", lambda folder: folder
    yield "not there", lambda folder: folder / "none.ckpt"
    yield "a name of 5,000 characters", lambda folder: folder / ("a" * 5000)
    yield "a name with a zero", lambda folder: folder / "a\0b.ckpt"


def _try_foreign(make: Callable[[Path], Path], folder: Path) -> str | None:
    os.chdir(folder)
    path = make(folder)
    found = _load(path)
    if (folder / "trapped").exists():
        return "its code has run"
    if isinstance(found, TrainedModel) or found.startswith("fault"):
        return str(found)[:200]
    return None if path.name in found else found
