"""Formats errors of this package, Hydra and OmegaConf as one line."""

import dataclasses
import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Any

from hydra.errors import MissingConfigException, OverrideParseException
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from sem_lightning.config.environment import hide_variables
from sem_lightning.config.overrides import explain
from sem_lightning.errors import UserError, missing_extra
from sem_lightning.io.atomic import printable

_NO_PLACE = re.compile(r"invalid literal for int\(\) with base 10: '(\w+)'")
_LONGEST = 1000  # characters of a line


def describe(error: Exception) -> str:
    """An error as one line of printable characters that begins with its key or file.

    Passwords in URLs and values of environment variables are removed, and long values are shortened.
    """
    line = hide_variables(re.sub(r"//[^/@\s]*@", "//", _in_one_line(error))) or type(error).__name__
    if len(line) > _LONGEST:
        line = f"{line[: _LONGEST // 2]} ... {line[-_LONGEST // 2 :]}"
    return printable(line)


def no_such_key(name: str, known: Iterable[str]) -> str:
    """The reason against a key that does not exist, with all keys and the one that may have been meant."""
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.7)
    return f"no such key; {f'did you mean {close[0]}? ' if close else ''}the keys are {', '.join(names)}"


def find_key_in_range(error: ValueError, overrides: Sequence[str]) -> str | None:
    """The error for an override such as ``pattern.pitch.low=5``, whose word OmegaConf reads as a place in a list."""
    word = _NO_PLACE.fullmatch(str(error))
    keys = [each.partition("=")[0].lstrip("+~") for each in overrides]
    key = next((key for key in keys if word and word[1] in key.split(".")[1:]), None)
    return None if key is None else f"{key}: a range has no keys below it; write it whole, as key=[low,high]"


def _in_one_line(error: Exception) -> str:
    if isinstance(error, UserError):
        # The message from a worker process is its whole traceback, which ends in "module.ImageError: message".
        return re.sub(r"^[\w.]+Error: ", "", str(error).strip().splitlines()[-1])
    if isinstance(error, MissingConfigException) and (missing := _MISSING_OPTION.search(str(error))):
        group, option = missing.groups()
        if group.startswith("hydra/") and option in _EXTRAS:
            return str(missing_extra(_EXTRAS[option], f"{group[6:]}: {option}"))
        options = [line.strip() for line in str(error).splitlines() if line.startswith("\t") and "=" not in line]
        return f"{group}: found {option!r}, expected one of {', '.join(options)}"
    if isinstance(error, OverrideParseException) and error.override:
        return str(explain(error.override))
    if isinstance(error, RecursionError):
        return "the settings are nested too deeply"
    if isinstance(error, OSError):
        name = f"{error.filename}: " if error.filename else ""
        return f"{name}{error.strerror or error}"
    cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else error
    key = getattr(cause, "full_key", None) or _quoted_key(str(error))
    reason = _reason_of(cause)
    return f"{key}: {reason}" if key and not reason.startswith(key) else reason


def _reason_of(cause: Any) -> str:
    """An error of OmegaConf in the user's words."""
    kind = getattr(cause, "object_type", None)
    if isinstance(cause, ConfigKeyError | ConfigAttributeError) and dataclasses.is_dataclass(kind):
        return no_such_key(str(cause.key), (field.name for field in dataclasses.fields(kind)))
    lines = [line.strip() for line in str(cause).splitlines() if not _OBJECT_LINE.match(line)]
    reason = " ".join(line for line in lines if line)
    if wrong := _WRONG_TYPE.fullmatch(reason):
        return f"found {wrong[1]}, expected {_TYPES[wrong[2]]}"
    return reason


# errors of the launchers (joblib, submitit, Ray) when the operating system killed a job
KILLED = ("TerminatedWorkerError", "BrokenProcessPool", "UncompletedJobError", "WorkerCrashedError")
_NOTHING_FINISHED = "no trial of the study finished; the report says why"
PLUGIN_ERRORS = {  # how errors of Hydra and its plugins begin, and their meaning
    "Only one of --run": "only one of --multirun, --cfg, --info and --shell_completion can be given",
    "The --resolve flag": "--resolve is for --cfg and --help",
    "Config group override must be": "a config group takes the name of one of its files, see --help; found null",
    "Record does not exist": _NOTHING_FINISHED,
    "No trials are completed": _NOTHING_FINISHED,
}
# extras of plugins, by Hydra's names
_EXTRAS = {"joblib": "joblib", "ray": "ray", "submitit_slurm": "slurm", "submitit_local": "slurm", "optuna": "optuna"}
_MISSING_OPTION = re.compile(r"Could not find '(.+)/([^/']+)'")

_WRONG_TYPE = re.compile(r"Value (.+) of type '\w+' could not be converted to (Float|Integer|Boolean)", re.DOTALL)
_TYPES = {"Float": "a number", "Integer": "a whole number", "Boolean": "true or false"}

# OmegaConf appends lines with the location of an error.
_OBJECT_LINE = re.compile(r"\s*(full_key|object_type|reference_type)\s*[:=]")


def _quoted_key(text: str) -> str | None:
    """The key in Hydra's ``Could not override 'noise.sgima'.``"""
    match = re.search(r"Could not (?:override|append to config).*?'([\w.@/]+)'", text)
    return match.group(1) if match else None
