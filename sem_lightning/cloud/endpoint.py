"""A classifier at a managed online endpoint: create, invoke, delete."""

import base64
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from azure.ai.ml import MLClient, load_online_deployment, load_online_endpoint
from azure.ai.ml.entities import CodeConfiguration, ManagedOnlineDeployment, ManagedOnlineEndpoint, Model
from azure.core.exceptions import ResourceNotFoundError

from sem_lightning.cloud.azure_settings import AzureSettings
from sem_lightning.cloud.jobs import as_yaml, make_environment
from sem_lightning.cloud.steps import MODEL_FILE
from sem_lightning.cloud.workspace import explain_azure
from sem_lightning.errors import SettingError, UserError
from sem_lightning.io.atomic import write_atomically
from sem_lightning.model.checkpoint import load_model, save_rule
from sem_lightning.runtime.exported_folder import read_exported, write_exported

SCRIPT = "sem_lightning/cloud/score.py"
_RUNTIMES = {"onnx": "onnxruntime", "openvino": "openvino"}  # by format of an exported folder
_MAX_REQUEST = 1_500_000  # bytes that a managed endpoint accepts


def build_endpoint(
    settings: AzureSettings, code: Path, folder: Path
) -> tuple[ManagedOnlineEndpoint, ManagedOnlineDeployment]:
    """The endpoint, with keys, and a deployment of the classifier ``settings.model`` with our scoring script.

    A classifier file is copied into ``folder`` in the format that a pipeline registers, an exported folder as it is;
    unless torch runs it, its environment does without torch.

    Raises:
        SettingError: ``cloud.model`` is neither a registered model nor a classifier file or folder.
        UserError: The file or folder is damaged.
    """
    model, runtime = _find_model(settings, folder)
    endpoint = ManagedOnlineEndpoint(name=settings.endpoint, auth_mode="key")
    deployment = ManagedOnlineDeployment(
        name=settings.deployment,
        endpoint_name=settings.endpoint,
        model=model,
        environment=make_environment(settings, serving=True, runtime=runtime),
        code_configuration=CodeConfiguration(code=str(code), scoring_script=SCRIPT),
        instance_type=settings.endpoint_instance_type,
        instance_count=settings.endpoint_instance_count,
    )
    if not (code / SCRIPT).is_file():  # the SDK does not check this
        raise UserError(f"{code / SCRIPT}: the scoring script is missing")
    return endpoint, deployment


def _find_model(settings: AzureSettings, folder: Path) -> tuple[str | Model, str | None]:
    """The model, and the package that runs its network in place of torch, if one does."""
    path, copy = Path(settings.model).expanduser(), folder / "model"
    if path.is_file() or path.is_dir():
        runtime = None
        if path.is_dir():
            exported = read_exported(path)
            runtime = _RUNTIMES.get(exported.format)
            write_exported(replace(exported, folder=copy))
        else:
            copy.mkdir()
            save_rule(path, load_model(path).rule, copy / MODEL_FILE)  # like a pipeline
        return Model(path=str(copy.resolve()), name=settings.register_as, type="custom_model"), runtime
    wanted = settings.model.removeprefix("azureml:")
    name, mark, version = wanted.rpartition("@" if "@" in wanted else ":")
    if not (name and version) or "/" in wanted or (mark == "@" and version != "latest"):
        raise SettingError(
            "cloud.model",
            f"found {settings.model!r}, expected NAME@latest, NAME:VERSION, or a classifier's file or folder",
        )
    return f"azureml:{wanted}", None


def write_endpoint(endpoint: ManagedOnlineEndpoint, deployment: ManagedOnlineDeployment, folder: Path) -> list[Path]:
    """Write ``endpoint.yml`` and ``deployment.yml`` for ``az ml online-endpoint`` and ``az ml online-deployment``.

    The SDK's validators check them, and they are read again as ``az`` does.
    """
    for part in (deployment, deployment.code_configuration):
        part._validate()  # type: ignore[union-attr]  # the SDK has no public validation
    files = {
        folder / "endpoint.yml": (endpoint._to_dict(), load_online_endpoint),
        folder / "deployment.yml": (deployment._to_dict(), load_online_deployment),
    }
    for path, (content, load) in files.items():
        text = as_yaml(json.loads(json.dumps(content, default=str)), folder)
        write_atomically(path, lambda temporary, text=text: temporary.write_text(text))  # type: ignore[misc]
        load(path)
    return list(files)


def deploy(client: MLClient, endpoint: ManagedOnlineEndpoint, deployment: ManagedOnlineDeployment) -> None:
    """Create the endpoint if there is none, then the deployment. When it is ready it gets all traffic.

    Raises:
        UserError: Azure refuses; an existing endpoint stays unchanged.
        KeyboardInterrupt: Ctrl-C; Azure continues the deployment.
    """
    try:
        with explain_azure(f"endpoint {endpoint.name}"):
            try:
                endpoint = client.online_endpoints.get(endpoint.name)
            except ResourceNotFoundError:
                client.online_endpoints.begin_create_or_update(endpoint).result()
        with explain_azure(f"deployment {deployment.name}"):
            client.online_deployments.begin_create_or_update(deployment).result()
        with explain_azure(f"traffic of {endpoint.name}"):
            endpoint.traffic = {deployment.name: 100}
            ready = client.online_endpoints.begin_create_or_update(endpoint).result()
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"the deployment goes on in the cloud, and costs; sem-cloud action=delete cloud.endpoint={endpoint.name}"
        ) from None
    print(f"{endpoint.name}: ready at {ready.scoring_uri}; it costs until sem-cloud action=delete")


def make_request(image: Path, polarity: str | None) -> bytes:
    """A request for the scoring script: an image file and, if known, its polarity.

    Raises:
        UserError: No such file, or it is too large for an endpoint.
    """
    if not image.is_file():
        raise UserError(f"{image}: not a file")
    request = {"name": image.name, "image": base64.b64encode(image.read_bytes()).decode("ascii"), "polarity": polarity}
    body = json.dumps(request).encode()
    if len(body) > _MAX_REQUEST:
        raise UserError(
            f"{image}: {len(body) / 1e6:.1f} MB as a request, and an endpoint takes {_MAX_REQUEST / 1e6:.1f}; cut the "
            "image into parts, or use sem-predict"
        )
    return body


def invoke(client: MLClient, settings: AzureSettings, body: bytes) -> dict[str, Any]:
    """Send a request of `make_request` and return the response."""
    with tempfile.TemporaryDirectory() as folder, explain_azure(f"endpoint {settings.endpoint}"):
        request = Path(folder) / "request.json"
        request.write_bytes(body)
        answer = client.online_endpoints.invoke(settings.endpoint, request_file=str(request))
    found: dict[str, Any] = json.loads(answer)
    return found


def delete(client: MLClient, settings: AzureSettings) -> None:
    """Delete the endpoint and all its deployments."""
    with explain_azure(f"endpoint {settings.endpoint}"):
        client.online_endpoints.begin_delete(settings.endpoint).result()
    print(f"{settings.endpoint}: deleted")
