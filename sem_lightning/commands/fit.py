"""``sem-fit``: estimate the simulator's settings from real images without labels."""

from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from sem_lightning.config.app import exit_with_unusable, run_command
from sem_lightning.config.build import build
from sem_lightning.config.compose import config_folder
from sem_lightning.config.environment import shown

if TYPE_CHECKING:
    from sem_lightning.fitting.fit import FitOutcome


def main() -> None:
    """Entry point of ``sem-fit``."""
    run_command("fit", fit)


def fit(config: DictConfig) -> None:
    """Measure every image, write the configuration and the report, and name images that cannot be used."""
    settings = build(config, "")
    from sem_lightning.fitting.fit import fit as fit_microscope

    outcome = fit_microscope(settings, lambda line: print(shown(line)))
    _print(outcome)
    exit_with_unusable(outcome.unused)


def _print(outcome: "FitOutcome") -> None:
    from rich.console import Console
    from rich.table import Table

    result, test, output = outcome.result, outcome.test, outcome.settings_file
    table = Table("key", f"estimate ({result.unit})")
    for key in sorted(result.pooled):
        table.add_row(key, result.in_words(key, result.pooled[key]))
    Console().print(table)
    for line in outcome.missing:
        print(shown(f"not estimated: {line}"))
    if result.narrowed:
        print(f"narrower than their uncertainty, for the simulator cannot draw all of it: {', '.join(result.narrowed)}")
    print(f"a classifier separates {test.accuracy:.3f} of {test.patches} patches from simulated ones (0.5: chance)")
    if outcome.is_unlike:
        print("so simulated images differ from the real ones: see the report before you use the configuration")
    folder = output.parent.parent.resolve()
    found_by_itself = folder in (config_folder().resolve(), Path("conf").resolve())
    print(shown(f"{output} and {outcome.report / 'report.html'}; use it with:"))
    config_dir = "" if found_by_itself else f"--config-dir {output.parent.parent} "
    print(shown(f"  sem-train {config_dir}microscope={output.stem}"))


if __name__ == "__main__":
    main()
