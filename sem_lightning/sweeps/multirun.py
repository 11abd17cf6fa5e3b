"""The context of a multirun of trainings: folder, lock and report."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from omegaconf import OmegaConf

from sem_lightning.config.overrides import parse_overrides
from sem_lightning.errors import UserError
from sem_lightning.sweeps.sweep_folder import ERROR, OVERRIDES, job_name, only_sweep, sweep_name

_SWEEP_DIR = "hydra.sweep.dir"

# For the folders of a sweep's jobs. Registered on import, because the other processes of a launcher import the command
# first.
OmegaConf.register_new_resolver("job_folder", job_name, replace=True)


@contextmanager
def multirun() -> Iterator[None]:
    """Lock a folder for a multirun. The same command finds the same folder again.

    At the end a report is written there, also if jobs failed, but not after Ctrl-C or SIGTERM, which end it soon.

    Raises:
        UserError: Another sweep is running in the folder, or a job failed.
    """
    flags = [argument for argument in sys.argv[1:] if argument.startswith("-")]
    shows = any(flag.startswith(("--help", "-h", "--hydra-help", "--cfg", "--info", "-c ", "-i")) for flag in flags)
    if not {"-m", "--multirun"} & set(flags) or shows:
        yield
        return
    overrides = [each for each in sys.argv[1:] if each.startswith("~") or ("=" in each and not each.startswith("-"))]
    given = [each for each in overrides if each.lstrip("+").partition("=")[0] == _SWEEP_DIR]
    folder = _read_folder(given[-1]) if given else Path("outputs/multirun") / sweep_name(overrides)
    if not given:  # next to the others, because argparse needs consecutive overrides
        sys.argv.insert(sys.argv.index(overrides[0]) if overrides else 1, f"{_SWEEP_DIR}={folder}")
    with only_sweep(folder):
        started = time.time()
        try:
            yield
        except KeyboardInterrupt as stop:
            raise type(stop)("the same command runs the missing jobs") from None
        except BaseException:
            _report(folder)
            raise
        _report(folder)
        failed = sum(path.stat().st_mtime >= started for path in folder.glob(f"*/{ERROR}"))
        if failed:  # a study continues without failed jobs
            raise UserError(f"jobs that failed: {failed}; the report says why")


def _report(folder: Path) -> None:
    if not any(folder.glob(f"*/{OVERRIDES}")):
        return
    from rich.console import Console

    from sem_lightning.sweeps.sweep_report import report_sweep

    print(f"report in {report_sweep(folder, Console())}")


def _read_folder(override: str) -> Path:
    value = parse_overrides([override])[0].value()
    if not isinstance(value, str | int) or "${" in str(value):
        raise UserError(f"{_SWEEP_DIR}: found {value}, expected a plain path, so that the same command finds it again")
    return Path(str(value))
