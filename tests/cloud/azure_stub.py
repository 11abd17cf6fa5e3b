"""A stand-in for Azure on the loopback: the real SDK talks to it over HTTPS, and it remembers what it was sent."""

import base64
import datetime
import ipaddress
import json
import re
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from azure.core.credentials import AccessToken
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

WORKSPACE = (
    "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/fab"
    "/providers/Microsoft.MachineLearningServices/workspaces/litho"
)
NAMES = [
    "cloud.subscription_id=11111111-2222-3333-4444-555555555555",
    "cloud.resource_group=fab",
    "cloud.workspace=litho",
]
AUDIENCE = "https://ml.azure.com"
MADE = {"createdAt": "2026-01-01T00:00:00Z", "lastModifiedAt": "2026-01-01T00:00:00Z"}


class Credential:
    """Hands out a token that only this stub takes."""

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        def part(content: dict[str, Any]) -> str:
            return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")

        token = ".".join((part({"alg": "none"}), part({"aud": AUDIENCE, "tid": "t", "oid": "o"}), "eA"))
        return AccessToken(token, int(time.time()) + 3600)


@dataclass
class AzureStub:
    """What Azure knows and does; ``answers`` overrule it: the first whose pattern is in ``METHOD path``."""

    url: str = ""
    requests: list[tuple[str, str, Any]] = field(default_factory=list)
    answers: list[tuple[str, int, Any]] = field(default_factory=list)
    stored: dict[str, Any] = field(default_factory=dict)
    job_states: list[str] = field(default_factory=lambda: ["Running", "Completed"])
    score: Callable[[bytes], tuple[int, Any]] = lambda body: (200, {})
    unknown: list[str] = field(default_factory=list)

    def sent(self, pattern: str) -> list[Any]:
        """Bodies of the requests whose ``METHOD path`` matches."""
        return [body for method, path, body in self.requests if re.search(pattern, f"{method} {path}")]

    def answer(self, method: str, path: str, query: str, body: bytes) -> tuple[int, Any, dict[str, str]]:
        what = f"{method} {path}"
        for pattern, status, content in self.answers:
            if re.search(pattern, what):
                return status, content, {"Retry-After": "0"}
        if path.startswith("/blob/"):
            tags = {"ETag": "1", "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
            return (200 if query == "comp=metadata" else 201 if method == "PUT" else 404), b"", tags
        if path == "/score":
            status, content = self.score(body)
            return status, content, {}
        if path == "/discovery":
            return 200, {"api": self.url, "history": self.url}, {}
        if path.startswith("/history/"):  # what a log is streamed from
            if len(self.job_states) > 1:
                self.job_states.pop(0)
            return 200, {"runId": path.split("/")[-2], "status": self.job_states[0], "logFiles": {}}, {}
        here = path.removeprefix(WORKSPACE)
        if here == "":
            return 200, self.workspace(), {}
        if here.startswith("/computes"):
            return self.compute(here)
        if here.startswith("/jobs/"):
            return self.job(method, here, body)
        if "/listsecrets" in here.lower() or "/datastores" in here:
            return self.datastore(here)
        if "/startPendingUpload" in here:
            return 200, self.upload(), {}
        if re.search(r"/(codes|environments|components|models|onlineEndpoints)(/|$)", here):
            return self.asset(method, here, body)
        self.unknown.append(what)
        return 404, {"error": {"code": "NotFound", "message": what}}, {}

    def workspace(self) -> dict[str, Any]:
        properties = {
            "workspaceId": "w",
            "discoveryUrl": f"{self.url}/discovery",
            "mlFlowTrackingUri": f"{self.url}/mlflow",
            "storageAccount": "/subscriptions/s/resourceGroups/fab/providers/Microsoft.Storage/storageAccounts/store",
        }
        return {"id": WORKSPACE, "name": "litho", "location": "here", "properties": properties}

    def compute(self, here: str) -> tuple[int, Any, dict[str, str]]:
        cluster = {
            "id": f"{WORKSPACE}/computes/cpu-cluster",
            "name": "cpu-cluster",
            "location": "here",
            "properties": {
                "computeType": "AmlCompute",
                "provisioningState": "Succeeded",
                "properties": {"vmSize": "Standard_DS3_v2", "scaleSettings": {"maxNodeCount": 4}},
            },
        }
        if here == "/computes":
            return 200, {"value": [cluster]}, {}
        if here == "/computes/cpu-cluster":
            return 200, cluster, {}
        return 404, {"error": {"code": "ResourceNotFound", "message": "no such compute"}}, {}

    def job(self, method: str, here: str, body: bytes) -> tuple[int, Any, dict[str, str]]:
        name = here.split("/")[2]
        if here.endswith("/cancel"):
            return 200, {}, {}
        if method == "PUT":
            self.stored[name] = json.loads(body)
        if name not in self.stored:
            return 404, {"error": {"code": "NotFound", "message": f"no job {name}"}}, {}
        state = "NotStarted" if method == "PUT" else self.job_states[0]
        content = json.loads(json.dumps(self.stored[name]))
        content["properties"] |= {
            "status": state,
            "services": {
                "Studio": {"endpoint": f"{self.url}/studio/{name}", "jobServiceType": "Studio"},
                "Tracking": {"endpoint": f"{self.url}/mlflow", "jobServiceType": "Tracking"},
            },
        }
        return 200, {"id": f"{WORKSPACE}/jobs/{name}", "name": name, "systemData": MADE, **content}, {}

    def datastore(self, here: str) -> tuple[int, Any, dict[str, str]]:
        if here.lower().endswith("/listsecrets"):
            return 200, {"secretsType": "Sas", "sasToken": "sv=1&sig=x"}, {}
        properties = {
            "datastoreType": "AzureBlob",
            "accountName": "store",
            "containerName": "c",
            "endpoint": "core.windows.net",
            "protocol": "https",
            "isDefault": True,
            "credentials": {"credentialsType": "Sas"},
        }
        one = {
            "id": f"{WORKSPACE}/datastores/workspaceblobstore",
            "name": "workspaceblobstore",
            "properties": properties,
        }
        return 200, ({"value": [one]} if here.startswith("/datastores?") or here == "/datastores" else one), {}

    def upload(self) -> dict[str, Any]:
        reference = {"blobUri": f"{self.url}/blob/c", "storageAccountArmId": "s"}
        sas = {"credentialType": "SAS", "sasUri": f"{self.url}/blob/c?sv=1&sig=x"}
        return {"blobReferenceForConsumption": {**reference, "credential": sas}, "pendingUploadId": "1"}

    def asset(self, method: str, here: str, body: bytes) -> tuple[int, Any, dict[str, str]]:
        key = here.rstrip("/")
        if key.endswith("/listKeys"):
            return 200, {"primaryKey": "k", "secondaryKey": "k"}, {}
        if method == "DELETE":
            return (200 if self.stored.pop(key, None) else 404), {}, {}
        if method == "PUT":
            self.stored[key] = json.loads(body)
        if key.endswith("/versions") and method == "GET":
            return 200, {"value": []}, {}
        if key not in self.stored:
            return 404, {"error": {"code": "NotFound", "message": key}}, {}
        content = json.loads(json.dumps(self.stored[key]))
        properties = content.setdefault("properties", {})
        properties["provisioningState"] = "Succeeded"
        if "/onlineEndpoints/" in key:
            properties |= {"scoringUri": f"{self.url}/score", "swaggerUri": f"{self.url}/swagger"}
        if "/deployments/" in key:
            properties |= {"endpointComputeType": "Managed", "scaleSettings": {"scaleType": "Default"}}
        found = {
            "id": f"{WORKSPACE}{key}",
            "name": key.split("/")[-1],
            "systemData": MADE,
            "location": "here",
            **content,
        }
        return 200, found, {}


def serve(stub: AzureStub, folder: Path) -> tuple[ThreadingHTTPServer, Path]:
    """Start it in a thread; returns the server and the certificate to trust."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _do(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = urlsplit(self.path)
            path, query = parts.path.replace("//", "/"), parts.query.partition("&")[0]
            try:
                content: Any = json.loads(body) if body else None
            except ValueError:
                content = body
            stub.requests.append((self.command, path, content))
            status, answer, headers = stub.answer(self.command, path, query, body)
            data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_PATCH = _do  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    certificate = _certify(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, folder / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    stub.url = f"https://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, certificate


def _certify(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    end = now + datetime.timedelta(days=1)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, end)
    alternatives = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    builder = builder.add_extension(alternatives, critical=False)
    signed = builder.sign(key, hashes.SHA256())
    no_password = serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, no_password))
    path = folder / "certificate.pem"
    path.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    return path


def metadata(stub: AzureStub) -> dict[str, Any]:
    """Options of a client that talks to the stub alone."""
    return {
        "enable_telemetry": False,
        "retry_backoff_factor": 0.001,  # seconds
        "cloud": f"Loopback {stub.url}",  # the SDK remembers clouds by their names
        "cloud_metadata": {
            "azure_portal": stub.url,
            "resource_manager": stub.url,
            "active_directory": stub.url,
            "aml_resource_id": AUDIENCE,
            "storage_endpoint": "core.windows.net",
            "registry_discovery_endpoint": stub.url,
        },
    }
