"""``sem-cloud``: the commands as jobs on Azure ML, and a classifier behind an endpoint."""

import itertools
import json
import logging
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import MISSING, DictConfig, OmegaConf, open_dict

from sem_lightning.cloud.package import stage_code
from sem_lightning.cloud.rehearsal import rehearse
from sem_lightning.cloud.settings import AzureSettings
from sem_lightning.cloud.steps import ACTIONS, Step, lint, plan
from sem_lightning.commands.app import config_folder, register_schema, run_command
from sem_lightning.commands.calibrate import CalibrateSettings
from sem_lightning.commands.evaluate import EvaluateSettings
from sem_lightning.commands.generate import GenerateSettings
from sem_lightning.commands.settings import build, build_simulator, check_keys, check_seed, one_of
from sem_lightning.commands.train import TrainSettings
from sem_lightning.commands.training_settings import register_data_schemas
from sem_lightning.errors import SettingError, UserError
from sem_lightning.synthesis.patterns.pattern import POLARITIES

if TYPE_CHECKING:
    from azure.ai.ml import MLClient

_OWN = ("cloud", "action", "dry_run", "local", "wait", "job", "image", "polarity")
_SCHEMAS = {
    "generate": GenerateSettings,
    "train": TrainSettings,
    "evaluate": EvaluateSettings,
    "calibrate": CalibrateSettings,
}
# groups whose values check themselves
_CHECKED = ("model", "data", "decision", "logger", "callbacks", "writer", "sweep")
_ALL_ACTIONS = (*ACTIONS, "deploy", "invoke", "delete", "cancel")
_NO_JOB = ("invoke", "delete", "cancel")  # write nothing that could be looked at before


@dataclass
class CloudSettings:
    """``conf/cloud.yaml``."""

    cloud: AzureSettings = MISSING
    action: str = MISSING
    dry_run: bool = MISSING
    local: bool = MISSING
    wait: bool = MISSING
    job: str | None = None
    image: str | None = None
    polarity: str | None = None

    def __post_init__(self) -> None:
        one_of("action", self.action, _ALL_ACTIONS)
        if self.action in _NO_JOB and (self.dry_run or self.local):
            raise SettingError("dry_run" if self.dry_run else "local", f"action={self.action} has nothing to try out")
        if self.local and self.action in ("sweep", "deploy"):
            raise SettingError("local", "runs steps here; for a sweep that is python train.py -m")
        if self.dry_run and self.local:
            raise SettingError("dry_run", "found true, and so is local, which does run the steps; use one of both")
        if self.wait and (self.dry_run or self.local):
            raise SettingError("wait", "found true, but nothing is submitted; leave it out")
        if self.wait and self.action not in ACTIONS:
            raise SettingError("wait", f"is for jobs; action={self.action} waits in any case")
        for key, action in (("job", "cancel"), ("image", "invoke")):
            if (getattr(self, key) is None) is (self.action == action):
                raise SettingError(key, f"needs a value with action={action}, and has none with any other")
        if self.polarity is not None:
            one_of("polarity", self.polarity, POLARITIES)
            if self.action != "invoke":
                raise SettingError("polarity", f"is of the image of action=invoke; action={self.action} has none")


def main() -> None:
    """Entry point of ``sem-cloud``."""
    own: list[str] = []
    others: list[str] = []
    for argument in sys.argv[1:]:
        key, is_override, _ = argument.partition("=")
        ours = key in _OWN or key.startswith(("-", "cloud.", "hydra.")) or not (is_override or key.startswith("~"))
        (own if ours else others).append(argument)
    sys.argv[1:] = own
    register_data_schemas()
    for name, schema in _SCHEMAS.items():
        register_schema(name, schema)
    run_command("cloud", CloudSettings, lambda config: cloud(config, others))


def cloud(config: DictConfig, overrides: list[str]) -> None:
    """Do what ``action`` says; ``overrides`` are for the steps' own commands."""
    settings: CloudSettings = build(config, "")
    output = Path(HydraConfig.get().runtime.output_dir)
    steps = []
    if settings.action in ACTIONS:
        steps = plan(settings.action, overrides)
        lint(steps)
        for step in steps:
            _check_step(step)
    elif overrides:
        raise UserError(f"{overrides[0]}: action={settings.action} takes no such key")
    own = _own_folders()
    if settings.local:
        rehearse(steps, output, own)
        return
    _require_sdk()
    if settings.action == "deploy":
        _deploy(settings, output, own)
    elif steps:
        job = " ".join([settings.action, *overrides])
        _send(settings, steps, output, stage_code((output / "code").resolve(), own), job)
    else:
        _ask(settings)


def _own_folders() -> list[Path]:
    """Where the user has configs of their own: ``./conf``, or what ``--config-dir`` names."""
    sources = GlobalHydra.instance().config_loader().get_sources()
    paths = [Path(source.path) for source in sources if source.scheme() == "file"]
    return [path for path in paths if path.is_dir() and path.resolve() != config_folder().resolve()]


def _require_sdk() -> None:
    try:
        import azure.ai.ml
        import azure.identity  # noqa: F401
    except ImportError:
        raise UserError("sem-cloud needs an extra: pip install 'sem-lightning[azure]'") from None
    for name in ("azure", "azure.ai.ml", "msrest"):
        logging.getLogger(name).setLevel(logging.ERROR)  # of names that anonymous parts have no use for


def _check_step(step: Step) -> None:
    """Compose a step's configuration and check its values, before anybody pays for it.

    Raises:
        UserError: The step would refuse it.
    """
    first = {name: values[0] for name, values in step.swept.items()}
    settings = [first] + [first | {name: value} for name, values in step.swept.items() for value in values[1:]]
    for choice in settings:
        filled = []
        for override in itertools.chain.from_iterable(map(shlex.split, step.overrides)):
            here = {name: source if source.startswith("/") else "in" for name, source in step.inputs.items()}
            for name, value in (here | choice).items():
                override = override.replace(f"${{{{inputs.{name}}}}}", value)
            for name in step.outputs:
                override = override.replace(f"${{{{outputs.{name}}}}}", "out")
            filled.append(override)
        config = hydra.compose(step.command, filled, return_hydra_config=True)
        if "sweeper" in config.hydra and config.hydra.sweeper.get("params"):
            grid = " ".join(f"{key}={value}" for key, value in config.hydra.sweeper.params.items())
            raise SettingError("experiment", f"has a grid of its own, for -m; write it out for action=sweep: {grid}")
        with open_dict(config):
            del config["hydra"]
        check_keys(config)
        for key in _CHECKED:
            if key in config:
                build(config[key], key)
        if config.seed is not None:
            check_seed(config)
        if not any(source.startswith("azureml:") for source in step.inputs.values()):
            build_simulator(config)  # which opens a layout
        if OmegaConf.is_missing(config, "ckpt"):
            raise SettingError("ckpt", "needs a value: add ckpt=azureml:NAME:VERSION to the command")


def _send(settings: CloudSettings, steps: list[Step], output: Path, code: Path, title: str) -> None:
    from sem_lightning.cloud.jobs import build_job, check_job, write_job
    from sem_lightning.cloud.submission import submit, wait_for
    from sem_lightning.cloud.workspace import check_workspace

    job = build_job(steps, settings.cloud, code, title[:250])
    check_job(job)
    written = write_job(job, output)
    for step in steps:
        print(f"{step.name}: {step.line}")
    print(f"valid; written to {written}, which az ml job create --file takes")
    if settings.dry_run:
        return
    client = _connect(settings)
    check_workspace(client, settings.cloud)
    name = submit(client, job, output)
    if settings.wait:
        wait_for(client, name)


def _deploy(settings: CloudSettings, output: Path, own: list[Path]) -> None:
    from sem_lightning.cloud.endpoint import build_endpoint, deploy, write_endpoint

    code = stage_code((output / "code").resolve(), own)
    endpoint, deployment = build_endpoint(settings.cloud, code, output)
    written = write_endpoint(endpoint, deployment, output)
    print(f"valid; written to {' and '.join(map(str, written))}")
    if not settings.dry_run:
        deploy(_connect(settings), endpoint, deployment)


def _ask(settings: CloudSettings) -> None:
    from sem_lightning.cloud import endpoint, submission

    if settings.action == "cancel":
        submission.cancel(_connect(settings), str(settings.job))
    elif settings.action == "delete":
        endpoint.delete(_connect(settings), settings.cloud)
    else:
        image = Path(str(settings.image)).expanduser()
        body = endpoint.make_request(image, settings.polarity)  # before anybody is asked
        print(json.dumps(endpoint.invoke(_connect(settings), settings.cloud, body), indent=2))


def _connect(settings: CloudSettings) -> "MLClient":
    from sem_lightning.cloud.workspace import connect

    return connect(settings.cloud)


if __name__ == "__main__":
    main()
