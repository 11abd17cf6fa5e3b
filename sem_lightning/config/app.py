"""Runs a command under Hydra. A user's mistake gives one line and an exit code."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import hydra
from hydra._internal.hydra import Hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sem_lightning.config.build import check_keys
from sem_lightning.config.compose import config_folder, own_config_folder, register_schemas
from sem_lightning.config.environment import shown
from sem_lightning.config.error_lines import KILLED, PLUGIN_ERRORS, describe, find_key_in_range
from sem_lightning.config.job import in_multirun, output_folder
from sem_lightning.config.overrides import quote_paths
from sem_lightning.errors import UserError
from sem_lightning.processes import HungUp, Terminated, end_with_parent, ended_by_signals, is_stopping, signal_of

_EXPECTED = (UserError, HydraException, OmegaConfBaseException, OSError, RecursionError)
EXIT_ERROR = 1
EXIT_SOME_UNUSABLE = 3  # some of the given files cannot be used
_STOPPED: dict[type[BaseException], str] = {Terminated: "terminated", HungUp: "the terminal was closed"}


def run_command(
    config_name: str,
    task: Callable[[DictConfig], Any],
    around: Callable[[], AbstractContextManager[None]] = nullcontext,
    on_job_error: Callable[[Path, str], object] = lambda folder, line: None,
) -> None:
    """Compose ``conf/<config_name>.yaml`` with the command line's overrides and run ``task`` on it.

    A user's mistake gives one line on standard error and exit code 1, Ctrl-C gives 130,
    SIGTERM 143, and a closed terminal (SIGHUP) 129. With ``HYDRA_FULL_ERROR=1`` errors keep their traceback.

    Args:
        config_name: Name of the command's configuration.
        task: The function to run.
        around: A context for the whole run, for multiruns.
        on_job_error: Called with the folder and the error of a failed job of a multirun.
    """
    if {"--help", "-h"} & set(sys.argv[1:]):
        with suppress(BrokenPipeError):  # of "| head"
            print(_help_text(config_name), flush=True)
            return
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains at its end
        return
    if os.environ.get("LOCAL_RANK", "0") != "0":
        end_with_parent(os.getppid())  # a further process of a training, which would wait for the first one
    full_error = os.environ.get("HYDRA_FULL_ERROR")
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises errors instead of printing them

    def run_job(config: DictConfig) -> Any:
        try:
            check_keys(config)
            return task(config)
        except _EXPECTED as error:
            if full_error == "1" or is_stopping():
                raise
            print(f"error: {describe(error)}", file=sys.stderr)
            if not in_multirun():
                sys.exit(EXIT_ERROR)
            on_job_error(output_folder(), describe(error))
            raise  # the sweep continues with its other jobs and fails at its end

    try:
        with one_line_errors(full_error == "1"), ended_by_signals():
            register_schemas(config_name)
            _quote_paths()
            _add_own_configs()
            with around(), _composing_once():
                hydra.main(version_base="1.3", config_path=str(config_folder()), config_name=config_name)(run_job)()
    finally:
        GlobalHydra.instance().clear()
        os.environ.pop("HYDRA_FULL_ERROR")
        if full_error is not None:
            os.environ["HYDRA_FULL_ERROR"] = full_error


@contextmanager
def one_line_errors(full_error: bool = False) -> Iterator[None]:
    """End the command with one line and an exit code after a user's mistake, a signal, or a killed job.

    With ``full_error`` errors keep their traceback.
    """
    try:
        yield
    except KeyboardInterrupt as stop:
        said = _STOPPED.get(type(stop), "interrupted")
        _fail(f"{said}; {stop}" if str(stop) else said, 128 + signal_of(stop))
    except ValueError as error:
        plugin = next((line for start, line in PLUGIN_ERRORS.items() if str(error).startswith(start)), None)
        meant = plugin or find_key_in_range(error, sys.argv[1:])
        if full_error or meant is None:
            raise
        _fail(meant, EXIT_ERROR)
    except _EXPECTED as error:
        if full_error:
            raise
        _fail(describe(error), EXIT_ERROR)
    except Exception as error:
        if full_error or type(error).__name__ not in KILLED:
            raise
        _fail("a job's process was killed (out of memory?); the same command goes on with what is missing", EXIT_ERROR)


def exit_with_unusable(problems: Sequence[str]) -> None:
    """Name the files that could not be used, if there are any, and end the command with exit code 3."""
    for problem in problems:
        print(f"error: {shown(problem)}", file=sys.stderr)
    if problems:
        sys.exit(EXIT_SOME_UNUSABLE)


def _help_text(config_name: str) -> str:
    """The help text of ``conf/<config_name>.yaml``. Hydra's own help takes seconds because it lists every group."""
    return str(OmegaConf.load(config_folder() / f"{config_name}.yaml").hydra.help.template).rstrip()


@contextmanager
def _composing_once() -> Iterator[None]:
    """Spare Hydra its first composing, a quarter of a second, which only asks whether ``hydra.mode`` is set.

    No file of this package sets it. It is asked for where the user's files or overrides may.
    """
    ask = Hydra.get_mode
    files = {"--config-dir", "-cd", "--config-path", "-cp", "--config-name", "-cn"}
    may_be_set = any(each.split("=")[0] in files or "hydra" in each for each in sys.argv[1:])
    if not may_be_set:
        Hydra.get_mode = lambda *arguments, **options: None  # type: ignore[method-assign]
    try:
        yield
    finally:
        Hydra.get_mode = ask  # type: ignore[method-assign]


def _quote_paths() -> None:
    """Quote paths among the overrides, see `quote_paths`."""
    several = bool({"-m", "--multirun"} & set(sys.argv))
    for place, argument in enumerate(sys.argv[1:], start=1):
        if "=" in argument and not argument.startswith("-"):
            sys.argv[place] = quote_paths([argument], several)[0]


def _add_own_configs() -> None:
    """Add options from ``conf/`` in the current folder, such as those of sem-fit; the package has precedence."""
    own = own_config_folder()
    given = any(argument.split("=")[0] in ("--config-dir", "-cd") for argument in sys.argv)
    if own is not None and not given:
        # first, because argparse needs consecutive overrides and Lightning adds some for its other processes
        sys.argv[1:1] = ["--config-dir", str(own)]


def _fail(message: str, code: int) -> None:
    for stream, text in ((sys.stdout, ""), (sys.stderr, f"error: {message}\n")):
        try:
            stream.write(text)
            stream.flush()
        except OSError:  # its terminal is gone, which would change the exit code at the end of Python
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(code)
