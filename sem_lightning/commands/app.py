"""Runs a command under Hydra, and turns a user's mistake into one line and an exit code."""

import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, MissingConfigException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

import sem_lightning
from sem_lightning.commands.settings import check_keys, register_simulation_schemas
from sem_lightning.errors import UserError
from sem_lightning.files import write_json
from sem_lightning.sweeps.folder import ERROR, OVERRIDES, job_name, only_sweep, sweep_name

_EXPECTED = (UserError, HydraException, OmegaConfBaseException, OSError)
_SWEEP_DIR = "hydra.sweep.dir"
EXIT_ERROR = 1
EXIT_SOME_UNUSABLE = 3  # some of the files that were named
EXIT_INTERRUPTED = 130


# for the folders of a sweep's jobs; here, for a launcher's other processes import this module before they need it
OmegaConf.register_new_resolver("job_folder", job_name, replace=True)


def config_folder() -> Path:
    """``conf/``: inside the installed package, or beside it in a checkout."""
    package = Path(sem_lightning.__file__).parent
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


def register_schema(config_name: str, schema: type) -> None:
    """Give ``conf/<config_name>.yaml`` its types, a dataclass, by the name ``<config_name>_schema``."""
    ConfigStore.instance().store(name=f"{config_name}_schema", node=schema)


def run_command(
    config_name: str,
    schema: type,
    task: Callable[[DictConfig], Any],
    conclude_sweep: Callable[[Path], None] | None = None,
) -> None:
    """Compose ``conf/<config_name>.yaml`` with the command line's overrides and run ``task`` on it.

    The YAML file takes its types from ``schema``, see `register_schema`.

    With ``conclude_sweep`` a multirun has a folder that the same command finds again, to itself; the function is called
    with it when all jobs are done, failed ones among them.

    A mistake of the user's ends in one line on standard error and exit code 1, Ctrl-C in 130. With
    ``HYDRA_FULL_ERROR=1`` errors keep their whole traceback.
    """
    full_error = os.environ.get("HYDRA_FULL_ERROR")
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then hands errors to us rather than printing them
    register_schema(config_name, schema)
    register_simulation_schemas()

    def run_job(config: DictConfig) -> Any:
        try:
            check_keys(config)
            return task(config)
        except _EXPECTED as error:
            if full_error == "1":
                raise
            print(f"error: {describe(error)}", file=sys.stderr)
            if HydraConfig.get().mode != RunMode.MULTIRUN:
                sys.exit(EXIT_ERROR)
            if conclude_sweep is not None:
                write_json(Path(HydraConfig.get().runtime.output_dir) / ERROR, {"error": describe(error)})
            raise  # the sweep goes on with its other jobs, and fails in the end

    _look_into_own_folder()
    try:
        with _sweep(conclude_sweep):
            hydra.main(version_base="1.3", config_path=str(config_folder()), config_name=config_name)(run_job)()
    except KeyboardInterrupt as interrupt:
        _fail(f"interrupted; {interrupt}" if str(interrupt) else "interrupted", EXIT_INTERRUPTED)
    except ValueError as error:
        said = next((line for start, line in _FROM_PLUGINS.items() if str(error).startswith(start)), None)
        if full_error == "1" or said is None:
            raise
        _fail(said, EXIT_ERROR)
    except _EXPECTED as error:
        if full_error == "1":
            raise
        _fail(describe(error), EXIT_ERROR)
    except Exception as error:
        if full_error == "1" or type(error).__name__ not in _KILLED:
            raise
        _fail("a job's process was killed (out of memory?); the same command goes on with what is missing", EXIT_ERROR)
    finally:
        GlobalHydra.instance().clear()
        os.environ.pop("HYDRA_FULL_ERROR")
        if full_error is not None:
            os.environ["HYDRA_FULL_ERROR"] = full_error


@contextmanager
def _sweep(conclude: Callable[[Path], None] | None) -> Iterator[None]:
    """Around a multirun that ``conclude`` belongs to: its folder, its lock, and its end."""
    flags = [argument for argument in sys.argv[1:] if argument.startswith("-")]
    shows = any(flag.startswith(("--help", "-h", "--hydra-help", "--cfg", "--info", "-c ", "-i")) for flag in flags)
    if conclude is None or not {"-m", "--multirun"} & set(flags) or shows:
        yield
        return
    overrides = [each for each in sys.argv[1:] if each.startswith("~") or ("=" in each and not each.startswith("-"))]
    given = [each for each in overrides if each.lstrip("+").partition("=")[0] == _SWEEP_DIR]
    folder = _read_folder(given[-1]) if given else Path("outputs/multirun") / sweep_name(overrides)
    if not given:  # beside the others: argparse takes them only in one piece
        sys.argv.insert(sys.argv.index(overrides[0]) if overrides else 1, f"{_SWEEP_DIR}={folder}")
    with only_sweep(folder):
        started = time.time()
        try:
            yield
        except KeyboardInterrupt:
            raise KeyboardInterrupt("the same command goes on with the jobs that are missing") from None
        finally:
            if any(folder.glob(f"*/{OVERRIDES}")):
                conclude(folder)
        failed = sum(path.stat().st_mtime >= started for path in folder.glob(f"*/{ERROR}"))
        if failed:  # which a study goes on without
            raise UserError(f"jobs that failed: {failed}; the report says why")


def _read_folder(override: str) -> Path:
    value = OverridesParser.create().parse_override(override).value()
    if not isinstance(value, str | int) or "${" in str(value):
        raise UserError(f"{_SWEEP_DIR}: found {value}, expected a plain path, so that the same command finds it again")
    return Path(str(value))


def _look_into_own_folder() -> None:
    """Let ``conf/`` in the current folder add options, such as what sem-fit wrote; ours come first."""
    own = Path("conf")
    given = any(argument.split("=")[0] in ("--config-dir", "-cd") for argument in sys.argv)
    if own.is_dir() and own.resolve() != config_folder().resolve() and not given:
        # first: argparse takes overrides in one piece only, and Lightning adds some for its other processes
        sys.argv[1:1] = ["--config-dir", str(own)]


def _fail(message: str, code: int) -> None:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(code)


def describe(error: Exception) -> str:
    """An error as one line that begins with the key or file it is about; passwords in addresses are left out."""
    return re.sub(r"//[^/@\s]*@", "//", _in_one_line(error)) or type(error).__name__


def _in_one_line(error: Exception) -> str:
    if isinstance(error, UserError):
        # From a worker process the message is the worker's whole traceback, which ends in "module.ImageError: message".
        return re.sub(r"^[\w.]+Error: ", "", str(error).strip().splitlines()[-1])
    if isinstance(error, MissingConfigException) and (missing := _MISSING_OPTION.search(str(error))):
        group, option = missing.groups()
        if group.startswith("hydra/") and option in _EXTRAS:
            return f"{group[6:]}: {option} needs an extra: pip install 'sem-lightning[{_EXTRAS[option]}]'"
        options = [line.strip() for line in str(error).splitlines() if line.startswith("\t") and "=" not in line]
        return f"{group}: found {option!r}, expected one of {', '.join(options)}"
    if isinstance(error, OSError):
        name = f"{error.filename}: " if error.filename else ""
        return f"{name}{error.strerror or error}"
    cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else error
    key = getattr(cause, "full_key", None) or _quoted_key(str(error))
    lines = [line.strip() for line in str(cause).splitlines() if not _OBJECT_LINE.match(line)]
    reason = " ".join(line for line in lines if line)
    return f"{key}: {reason}" if key and not reason.startswith(key) else reason


# what launchers raise when the operating system ended a job: joblib's, submitit's, Ray's
_KILLED = ("TerminatedWorkerError", "BrokenProcessPool", "UncompletedJobError", "WorkerCrashedError")
_NOTHING_FINISHED = "no trial of the study finished; the report says why"
_FROM_PLUGINS = {  # how their errors begin, and what they mean
    "Config group override must be": "a config group takes the name of one of its files, see --help; found null",
    "Record does not exist": _NOTHING_FINISHED,
    "No trials are completed": _NOTHING_FINISHED,
}
# of plugins, by Hydra's names
_EXTRAS = {"joblib": "joblib", "ray": "ray", "submitit_slurm": "slurm", "submitit_local": "slurm", "optuna": "optuna"}
_MISSING_OPTION = re.compile(r"Could not find '(.+)/([^/']+)'")

# OmegaConf adds where an error happened on lines of their own.
_OBJECT_LINE = re.compile(r"\s*(full_key|object_type|reference_type)\s*[:=]")


def _quoted_key(text: str) -> str | None:
    """The key in Hydra's ``Could not override 'noise.sgima'.``"""
    match = re.search(r"Could not (?:override|append to config).*?'([\w.@/]+)'", text)
    return match.group(1) if match else None
