"""Parses overrides with Hydra. A path needs no quotes within an override, and what Hydra cannot parse is one line."""

import os
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, RangeSweep
from hydra.errors import HydraException

from sem_lightning.errors import SettingError, UserError

__all__ = ["Override", "is_grid", "parse_overrides", "quote_paths"]

# Keys whose value is one path; Hydra's grammar has a meaning for =, commas, brackets and many more characters in it.
PATH_KEYS = (
    "images",
    "reference",
    "output",
    "jsonl",
    "report",
    "image",
    "ckpt",
    "network",
    "labels",
    "limits",
    "save_limits",
    "klarf.classes",
    "klarf.images",
    "klarf.output",
    "klarf.report",
    "data.root",
    "pattern.file",
    "init_from",
    "resume_from",
    "model.weights_path",
)
_CHECKPOINTS = "ckpt"  # the one that may also be a list of paths
_COMMANDS = (
    "train", "generate", "preview", "evaluate", "calibrate", "export", "predict", "inspect", "review", "serve", "watch",
    "fit", "cloud",
)  # fmt: skip
_MOST_CHARACTERS = 10_000  # Hydra's parser takes a second for so many
_MOST_VALUES = 10_000  # of a sweep
_NUMBER = r"\s*(?:\w+\s*=\s*)?([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*"
_RANGE = re.compile(rf"\brange\({_NUMBER}(?:,{_NUMBER})?(?:,{_NUMBER})?\)")
_DEEPEST = 32
_KEY = re.compile(r"[+~]{0,2}[\w.@/:$-]+")


def parse_overrides(overrides: Sequence[str]) -> list[Override]:
    """Parse each override.

    Raises:
        UserError: Hydra cannot parse an override.
    """
    parser = OverridesParser.create()
    return [parser.parse_override(each) for each in quote_paths(overrides)]


def is_grid(override: Override) -> bool:
    """Whether a swept override is a list or range of values."""
    return isinstance(override.value(), ChoiceSweep | RangeSweep)


def quote_paths(overrides: Sequence[str], sweeps: bool = True) -> list[str]:
    """The overrides with quotes around the paths that Hydra would not read as they are.

    Args:
        overrides: As on the command line.
        sweeps: Whether ``key=a,b`` are two values (``-m``), or a path with a comma.

    Raises:
        UserError: An override that Hydra cannot parse, or that is too long or too deeply nested for it.
    """
    parser = OverridesParser.create()
    return [_quote_path(parser, each, sweeps) for each in overrides]


def quote(value: str) -> str:
    """A value as text in Hydra's grammar."""
    mark = "'" if '"' in value and "'" not in value else '"'
    escaped = re.sub(rf"(\\*){mark}", rf"\1\1\\{mark}", value)
    return mark + re.sub(r"(\\+)$", r"\1\1", escaped) + mark


def _quote_path(parser: OverridesParser, override: str, sweeps: bool) -> str:
    key, _, value = override.partition("=")
    name = key.lstrip("+")
    _check_size(key, value)
    is_path = name in PATH_KEYS and bool(value)
    exists = is_path and os.path.lexists(value)  # such a file is meant, whatever Hydra reads
    may_be_list = name == _CHECKPOINTS and not exists
    try:
        parsed = _parse(parser, override)
    except UserError:
        if not is_path or (value[0] in ("'\"[" if may_be_list else "'\"") and not exists):
            raise
    else:
        if not is_path or isinstance(parsed.value(), str | None):
            return override
        if parsed.is_sweep_override() and (sweeps or may_be_list):
            return override
        if isinstance(parsed.value(), list) and may_be_list:
            return override
    return f"{key}={quote(value)}"


def _parse(parser: OverridesParser, override: str) -> Override:
    try:
        return parser.parse_override(override)
    except HydraException:
        raise explain(override) from None


def _check_size(key: str, value: str) -> None:
    name = key.lstrip("+~")[:80]
    if len(value) > _MOST_CHARACTERS:
        raise SettingError(
            name, f"found a value of {len(value)} characters, expected at most {_MOST_CHARACTERS}; put it in a file"
        )
    depth = deepest = 0
    for each in value:
        depth += (each in "[{(") - (each in "]})")
        deepest = max(deepest, depth)
    if deepest > _DEEPEST:
        raise SettingError(name, f"found {deepest} brackets in each other, expected at most {_DEEPEST}")
    for start, stop, step in _RANGE.findall(value):
        count = abs((float(stop or start) - (float(start) if stop else 0.0)) / (float(step or 1) or 1))
        if count > _MOST_VALUES:
            raise SettingError(name, f"found a range of {count:.0f} values, expected at most {_MOST_VALUES}")


def explain(override: str) -> UserError:
    """The error for an override that Hydra cannot parse, with the command that gives its value as text."""
    key, equals, value = override.partition("=")
    if not _KEY.fullmatch(key) or not (equals or key.startswith("~")):
        return UserError(
            f"{override}: expected key=value; the shell needs quotes around what has spaces: 'images=my folder'"
        )
    written = f"{key}={quote(value)}"
    command = Path(sys.argv[0]).stem.removeprefix("sem-")
    if command in _COMMANDS:  # else a notebook, without a shell
        written = shlex.join([f"sem-{command}", written])
    return SettingError(key.lstrip("+~"), f"characters of {value!r} have a meaning here; as text it is: {written}")
