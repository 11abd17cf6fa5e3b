"""A job on its way: sent, watched, stopped."""

from contextlib import suppress
from pathlib import Path

from azure.ai.ml import MLClient
from azure.ai.ml.entities import PipelineJob
from azure.ai.ml.exceptions import JobException

from sem_lightning.cloud.workspace import explain_azure
from sem_lightning.errors import UserError
from sem_lightning.files import write_json

_COMPLETED = "Completed"
_ENDS = (_COMPLETED, "Failed", "Canceled", "NotResponding")


def submit(client: MLClient, job: PipelineJob, folder: Path) -> str:
    """Upload the code and send the job; returns the name that Azure gives it."""
    with explain_azure("submitting the job"):
        sent = client.jobs.create_or_update(job)
    name = str(sent.name)
    write_json(folder / "submitted.json", {"job": name, "studio": sent.studio_url})
    print(f"submitted {name}: {sent.studio_url}\nstop it with: sem-cloud action=cancel job={name}")
    return name


def wait_for(client: MLClient, name: str) -> None:
    """Show a job's log until it ends.

    Raises:
        UserError: It ends otherwise than completed.
        KeyboardInterrupt: Ctrl-C; the job goes on.
    """
    try:
        with explain_azure(f"job {name}"):
            with suppress(JobException):  # its state says more
                client.jobs.stream(name)
            status = client.jobs.get(name).status
    except KeyboardInterrupt:
        status = None
    state = str(getattr(status, "value", status))
    if state not in _ENDS:  # the SDK makes an exception of its own of Ctrl-C
        raise KeyboardInterrupt(f"the job {name} goes on in the cloud; stop it with sem-cloud action=cancel job={name}")
    if state != _COMPLETED:
        raise UserError(f"job {name}: {state}; its log is in the studio")
    print(f"job {name}: {state}")


def cancel(client: MLClient, name: str) -> None:
    """Stop a job."""
    with explain_azure(f"job {name}"):
        client.jobs.begin_cancel(name).result()
    print(f"job {name}: cancelled")
