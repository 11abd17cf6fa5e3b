"""``sem-report``: a joint report of the jobs of a sweep."""

import argparse
import sys
from pathlib import Path

from sem_lightning.config.app import EXIT_ERROR
from sem_lightning.config.error_lines import describe
from sem_lightning.errors import UserError


def main() -> None:
    """Entry point of ``sem-report``."""
    parser = argparse.ArgumentParser(
        prog="sem-report",
        description="A table of every job of a sweep, means and intervals over seeds, accuracy of each class against "
        "each swept value, and the best settings. Written into the folder: report.html, jobs.csv, figures, and for "
        "tensorboard hparams/. It also works on sweeps that are running or partly failed.",
    )
    parser.add_argument("folder", type=Path, help="folder of a sweep: outputs/multirun/...")
    folder = parser.parse_args().folder.expanduser()
    from rich.console import Console

    from sem_lightning.sweeps.sweep_report import report_sweep

    try:
        print(f"report in {report_sweep(folder, Console())}")
    except (UserError, OSError) as error:
        print(f"error: {describe(error)}", file=sys.stderr)
        sys.exit(EXIT_ERROR)


if __name__ == "__main__":
    main()
