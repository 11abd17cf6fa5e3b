"""Submits, watches and cancels jobs."""

import time
from pathlib import Path

from azure.ai.ml import MLClient
from azure.ai.ml.entities import PipelineJob
from azure.ai.ml.exceptions import JobException

from sem_lightning.cloud.workspace import explain_azure
from sem_lightning.errors import UserError
from sem_lightning.io.atomic import write_json

_COMPLETED = "Completed"
_POLL = 5.0  # seconds between requests
_ENDS = (_COMPLETED, "Failed", "Canceled", "NotResponding")


def submit(client: MLClient, job: PipelineJob, folder: Path) -> str:
    """Upload the code and submit the job. Returns its name in Azure."""
    with explain_azure("submitting the job"):
        sent = client.jobs.create_or_update(job)
    name = str(sent.name)
    write_json(folder / "submitted.json", {"job": name, "studio": sent.studio_url})
    print(f"submitted {name}: {sent.studio_url}\nstop it with: sem-cloud action=cancel job={name}")
    return name


def wait_for(client: MLClient, name: str) -> None:
    """Show a job's log until it ends.

    Raises:
        UserError: The job fails or is cancelled, or Azure cannot be reached.
        KeyboardInterrupt: Ctrl-C; the job continues.
    """
    goes_on = f"the job {name} goes on in the cloud; stop it with sem-cloud action=cancel job={name}"
    try:
        with explain_azure(f"waiting, while {goes_on}"):
            try:
                client.jobs.stream(name)
            except JobException as error:  # a failed job (its state says more), or the SDK's form of Ctrl-C
                if isinstance(error.__cause__, KeyboardInterrupt):
                    raise KeyboardInterrupt from None
            while (state := _state_of(client, name)) not in _ENDS:  # the log ends before the job
                time.sleep(_POLL)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(goes_on) from None
    if state != _COMPLETED:
        raise UserError(f"job {name}: {state}; its log is in the studio")
    print(f"job {name}: {state}")


def _state_of(client: MLClient, name: str) -> str:
    status = client.jobs.get(name).status
    return str(getattr(status, "value", status))


def cancel(client: MLClient, name: str) -> None:
    """Stop a job."""
    with explain_azure(f"job {name}"):
        client.jobs.begin_cancel(name).result()
    print(f"job {name}: cancelled")
