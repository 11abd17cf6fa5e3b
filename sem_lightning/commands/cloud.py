"""``sem-cloud``: the commands as jobs on Azure ML, and a classifier behind an endpoint."""

import sys

from omegaconf import DictConfig

from sem_lightning.cloud.actions import run_action
from sem_lightning.cloud.cloud_settings import CloudSettings
from sem_lightning.config.app import run_command
from sem_lightning.config.build import build
from sem_lightning.config.compose import own_folders, register_schema
from sem_lightning.config.job import output_folder

_OWN = ("cloud", "action", "dry_run", "local", "wait", "job", "image", "polarity")


def main() -> None:
    """Entry point of ``sem-cloud``."""
    own: list[str] = []
    others: list[str] = []
    for argument in sys.argv[1:]:
        key, is_override, _ = argument.partition("=")
        ours = key in _OWN or key.startswith(("-", "cloud.", "hydra.")) or not (is_override or key.startswith("~"))
        (own if ours else others).append(argument)
    sys.argv[1:] = own
    register_schema("cloud", CloudSettings)
    run_command("cloud", lambda config: cloud(config, others))


def cloud(config: DictConfig, overrides: list[str]) -> None:
    """Run ``action``; ``overrides`` belong to the commands of the steps."""
    settings: CloudSettings = build(config, "")
    run_action(settings, overrides, output_folder(), own_folders())


if __name__ == "__main__":
    main()
