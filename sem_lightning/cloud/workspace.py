"""Connects to the workspace, and formats Azure's errors as one line."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from azure.ai.ml import MLClient
from azure.ai.ml.exceptions import MlException
from azure.core.credentials import TokenCredential
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ResourceNotFoundError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.identity import DefaultAzureCredential

from sem_lightning.cloud.azure_settings import AzureSettings
from sem_lightning.errors import SettingError, UserError

_PARTS = ("subscription_id", "resource_group", "workspace")
_CONFIG = "config.json"
_LONGEST = 400  # characters of Azure's message


def connect(settings: AzureSettings) -> MLClient:
    """A client of the workspace in the settings or a ``config.json``; sends no request.

    Raises:
        SettingError: No workspace is given.
    """
    names = _find_names(settings)
    return MLClient(
        make_credential(), names["subscription_id"], names["resource_group"], names["workspace"], **client_options()
    )


def make_credential() -> TokenCredential:
    """Azure's default credential: environment, managed identity, Azure CLI and so on. No secret is stored."""
    return DefaultAzureCredential()


def client_options() -> dict[str, Any]:
    """Options of every client."""
    return {"enable_telemetry": False}


def _find_names(settings: AzureSettings) -> dict[str, str]:
    names = {part: getattr(settings, part) for part in _PARTS}
    if None in names.values():
        known = _read_config(settings)
        names |= {part: known.get(part) for part, value in names.items() if value is None}
    for part, value in names.items():
        if not value:
            raise SettingError(
                f"cloud.{part}",
                f"needs a value: add cloud.{part}=..., or put the workspace's {_CONFIG} (from Azure ML's studio) here",
            )
    return {part: str(value) for part, value in names.items()}


def _read_config(settings: AzureSettings) -> dict[str, str | None]:
    """A workspace's ``config.json``: the given one, or, as in the SDK, from this folder or one above."""
    if settings.config_file is not None:
        path = Path(settings.config_file).expanduser()
        if not path.is_file():
            raise SettingError("cloud.config_file", f"{path} is not a file")
    else:
        above = [Path.cwd(), *Path.cwd().parents]
        found = [file for folder in above for file in (folder / ".azureml" / _CONFIG, folder / _CONFIG)]
        path = next((file for file in found if file.is_file()), Path())
        if not path.name:
            return {}
    try:
        content = json.loads(path.read_text())
        return {**content, "workspace": content.get("workspace_name")}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        raise UserError(f"{path}: not a workspace's {_CONFIG}, which holds subscription_id and so on as JSON") from None


def check_workspace(client: MLClient, settings: AzureSettings) -> None:
    """Check before the upload that workspace and cluster exist.

    Raises:
        UserError: One of them does not exist, or Azure cannot be reached.
    """
    with explain_azure(f"workspace {client.workspace_name}"):
        client.workspaces.get(client.workspace_name)
    if settings.compute is not None:
        try:
            client.compute.get(settings.compute)
        except ResourceNotFoundError:
            with explain_azure("clusters"):
                known = ", ".join(sorted(each.name for each in client.compute.list())) or "none"
            raise SettingError(
                "cloud.compute", f"there is no {settings.compute!r} in {client.workspace_name}, which has {known}"
            ) from None
        except AzureError as error:
            raise UserError(describe_azure(error, f"compute {settings.compute}")) from None


@contextmanager
def explain_azure(what: str) -> Iterator[None]:
    """Raise Azure's errors as one line about ``what``.

    Raises:
        UserError: Any error of Azure.
    """
    try:
        yield
    except (AzureError, MlException) as error:
        raise UserError(describe_azure(error, what)) from None


def describe_azure(error: Exception, what: str) -> str:
    """One line: the request, Azure's response, and the fix."""
    status = getattr(error, "status_code", None)
    said = " ".join((getattr(error, "message", None) or str(error) or type(error).__name__).split())[:_LONGEST]
    if isinstance(error, HttpResponseError) and getattr(error, "error", None) is not None:
        code, message = getattr(error.error, "code", None), getattr(error.error, "message", None)
        said = " ".join(f"{code}: {message}".split())[:_LONGEST] if message else said
    if isinstance(error, ClientAuthenticationError) or status == 401:
        expired = "expired" in said.lower()
        how = "log in again with az login" if expired else "log in with az login, or set AZURE_CLIENT_ID and its like"
        return f"{what}: {'the token has expired' if expired else 'no valid credentials'}; {how} ({said})"
    if isinstance(error, ServiceRequestError | ServiceResponseError):
        return f"{what}: Azure cannot be reached; is there a network? ({said})"
    if isinstance(error, ResourceNotFoundError) or status == 404:
        return f"{what}: not found; check the names of subscription, resource group and workspace, too ({said})"
    if status == 403:
        return f"{what}: refused; your account needs the role AzureML Data Scientist there ({said})"
    if status == 429:
        return f"{what}: Azure takes no more requests for now, after several tries; try again in a few minutes ({said})"
    if status is not None and status >= 500:
        return f"{what}: Azure has an internal error, after several tries; try again later ({said})"
    if "quota" in said.lower():
        return f"{what}: the quota does not suffice; ask for more in the portal, or take a smaller machine ({said})"
    return f"{what}: {said}"
