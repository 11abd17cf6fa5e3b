"""The actions of ``sem-cloud``."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sem_lightning.cloud.cloud_settings import CloudSettings
from sem_lightning.cloud.package import stage_code
from sem_lightning.cloud.rehearsal import rehearse
from sem_lightning.cloud.step_checks import check_step
from sem_lightning.cloud.steps import ACTIONS, Step, lint, plan
from sem_lightning.config.environment import shown
from sem_lightning.errors import UserError, missing_extra

if TYPE_CHECKING:
    from azure.ai.ml import MLClient


def run_action(settings: CloudSettings, overrides: list[str], output: Path, own: Sequence[Path]) -> None:
    """Run ``settings.action``.

    Args:
        settings: Settings from ``conf/cloud.yaml``.
        overrides: Overrides for the commands of the steps.
        output: Folder of the job's files.
        own: The user's config folders.

    Raises:
        UserError: A step or Azure refuses the settings.
    """
    steps = []
    if settings.action in ACTIONS:
        steps = plan(settings.action, overrides)
        lint(steps)
        for step in steps:
            check_step(step)
    elif overrides:
        raise UserError(f"{overrides[0]}: action={settings.action} takes no such key")
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


def _require_sdk() -> None:
    try:
        import azure.ai.ml
        import azure.identity  # noqa: F401
    except ImportError:
        raise missing_extra("azure", "sem-cloud") from None
    for name in ("azure", "azure.ai.ml", "msrest"):
        logging.getLogger(name).setLevel(logging.ERROR)  # warnings about names of anonymous parts


def _send(settings: CloudSettings, steps: list[Step], output: Path, code: Path, title: str) -> None:
    from sem_lightning.cloud.jobs import build_job, check_job, write_job
    from sem_lightning.cloud.submission import submit, wait_for
    from sem_lightning.cloud.workspace import check_workspace

    job = build_job(steps, settings.cloud, code, title[:250])
    check_job(job)
    written = write_job(job, output)
    for step in steps:
        print(f"{step.name}: {step.line}")
    print(f"valid; written to {shown(written)}, which az ml job create --file takes")
    if settings.dry_run:
        return
    client = _connect(settings)
    check_workspace(client, settings.cloud)
    name = submit(client, job, output)
    if settings.wait:
        wait_for(client, name)


def _deploy(settings: CloudSettings, output: Path, own: Sequence[Path]) -> None:
    from sem_lightning.cloud.endpoint import build_endpoint, deploy, write_endpoint

    code = stage_code((output / "code").resolve(), own)
    endpoint, deployment = build_endpoint(settings.cloud, code, output)
    written = write_endpoint(endpoint, deployment, output)
    print(f"valid; written to {' and '.join(map(shown, written))}")
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
        body = endpoint.make_request(image, settings.polarity)  # before any request to Azure
        print(json.dumps(endpoint.invoke(_connect(settings), settings.cloud, body), indent=2))


def _connect(settings: CloudSettings) -> "MLClient":
    from sem_lightning.cloud.workspace import connect

    return connect(settings.cloud)
