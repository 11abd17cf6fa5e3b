"""Builds a pipeline job of the Azure ML SDK from steps, validates it, and writes the YAML for ``az ml``."""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from azure.ai.ml import Input, Output, command, dsl
from azure.ai.ml.entities import CommandJobLimits, Environment, JobResourceConfiguration, PipelineJob
from azure.ai.ml.sweep import Choice

from sem_lightning.cloud.azure_settings import AzureSettings
from sem_lightning.cloud.package import conda_file, version_of
from sem_lightning.cloud.steps import METRIC, Step, is_registered_model
from sem_lightning.errors import UserError
from sem_lightning.io.atomic import write_atomically

_SERVERLESS = "serverless"


def build_job(steps: Sequence[Step], settings: AzureSettings, code: Path, title: str) -> PipelineJob:
    """A pipeline of the steps with connected inputs and outputs.

    Args:
        steps: Steps in order; each comes after the steps whose outputs it uses.
        settings: Settings of the machines.
        code: The folder to upload.
        title: Display name of the job in the workspace.
    """
    environment = make_environment(settings, serving=False)

    def body() -> dict[str, Any]:
        made: dict[str, Any] = {}
        for step in steps:
            node = _add_step(step, settings, environment, code, made)
            for name in step.outputs:
                made[f"{step.name}.{name}"] = node.outputs[name]
        return {key.partition(".")[2]: output for key, output in made.items()}

    job: PipelineJob = dsl.pipeline(body, name="sem_lightning")()
    job.display_name, job.experiment_name = title, settings.experiment
    assert job.settings is not None
    job.settings.default_compute = settings.compute or _SERVERLESS
    for step in steps:
        for name in step.outputs:
            job.outputs[name] = _output(name, settings)
    return job


def _add_step(step: Step, settings: AzureSettings, environment: Environment, code: Path, made: dict[str, Any]) -> Any:
    """Add a step as a node of the pipeline."""
    sources = {name: made[source] if source in made else _remote(name, source) for name, source in step.inputs.items()}
    ports = {name: Input(type=_kind(name, source)) for name, source in step.inputs.items()}
    component = command(
        name=step.name,
        display_name=step.name,
        code=str(code),
        command=step.line,
        environment=environment,
        inputs=ports | {name: Input(type="string") for name in step.swept},
        outputs={name: _output(name, None) for name in step.outputs},
    )
    seconds = settings.timeout_minutes * 60
    node = component(**sources, **{name: Choice(list(values)) for name, values in step.swept.items()})
    node.name = step.name
    if not step.swept:
        node.limits = CommandJobLimits(timeout=seconds)
        if settings.compute is None:
            node.resources = JobResourceConfiguration(instance_type=settings.instance_type, instance_count=1)
        return node
    if settings.compute is None:
        raise UserError("cloud.compute: a sweep runs on a cluster of the workspace; name one")
    sweep = node.sweep(primary_metric=METRIC, goal="maximize", sampling_algorithm="grid")
    sweep.name = step.name
    trials = math.prod(len(values) for values in step.swept.values())
    sweep.set_limits(
        max_total_trials=trials,
        max_concurrent_trials=min(trials, settings.trials_at_a_time),
        timeout=seconds * math.ceil(trials / settings.trials_at_a_time),
        trial_timeout=seconds,
    )
    return sweep


def make_environment(settings: AzureSettings, serving: bool, runtime: str | None = None) -> Environment:
    """The environment: our packages (see `conda_file`) on the image of the settings."""
    conda = conda_file(serving, runtime)
    name = "sem-lightning-serving" if serving else "sem-lightning"
    return Environment(name=name, version=version_of(conda, settings.image), image=settings.image, conda_file=conda)


def _kind(name: str, source: str) -> str:
    if is_registered_model(name, source):
        return "custom_model"
    return "uri_folder" if name in ("data_root", "images", "run") else "uri_file"


def _remote(name: str, source: str) -> Input:
    return Input(type=_kind(name, source), path=source)


def _output(name: str, settings: AzureSettings | None) -> Output:
    """An output folder. The classifier's folder becomes a model of the workspace if ``settings`` name it."""
    if name != "model":
        return Output(type="uri_folder")
    return Output(type="custom_model", name=settings.register_as) if settings else Output(type="custom_model")


def check_job(job: PipelineJob) -> None:
    """Run the SDK's validators without a connection to the workspace.

    Raises:
        UserError: The job is invalid.
    """
    found = job._validate()
    if not found.passed:
        reasons = "; ".join(f"{where}: {why}" for where, why in found.error_messages.items())
        raise UserError(f"the job is not valid: {reasons}")


def write_job(job: PipelineJob, folder: Path) -> Path:
    """Write ``job.yml`` for ``az ml job create --file``, next to the code."""

    def write(path: Path) -> None:
        job.dump(str(path))
        path.write_text(as_yaml(yaml.safe_load(path.read_text()), folder))

    target = folder / "job.yml"
    write_atomically(target, write)
    return target


def as_yaml(content: Any, folder: Path) -> str:
    """YAML for ``az ml``, with a relative path of the code and local folders as paths instead of assets."""
    code = str((folder / "code").resolve())

    def mend(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: mend(each) for key, each in value.items()}
        if isinstance(value, list):
            return [mend(each) for each in value]
        if value == code:
            return "./code"
        is_path = isinstance(value, str) and re.match(r"azureml:/(?!/)", value)
        return value.removeprefix("azureml:") if is_path else value

    return str(yaml.safe_dump(mend(content), sort_keys=False))
