"""``sem-report``: a joint report of the jobs of a sweep."""

import argparse
from pathlib import Path

from sem_lightning.config.app import one_line_errors
from sem_lightning.processes import ended_by_signals


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
    with one_line_errors(), ended_by_signals():
        from rich.console import Console

        from sem_lightning.sweeps.sweep_report import report_sweep

        print(f"report in {report_sweep(folder, Console())}")


if __name__ == "__main__":
    main()
