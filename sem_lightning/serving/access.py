"""Who may ask a service: anybody on this machine, or whoever has the key."""

import hmac
import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sem_lightning.errors import SettingError, UserError
from sem_lightning.serving.refusal import RefusedError

if TYPE_CHECKING:
    from starlette.requests import Request

KEY_VARIABLE, FILE_VARIABLE = "SEM_SERVE_KEY", "SEM_SERVE_KEY_FILE"
_SHORTEST_KEY = 16
_BEARER = "bearer "


def read_key() -> str | None:
    """The key in the environment, or in the file that the environment names, as containers get secrets.

    Returns:
        The key; ``None`` without one.

    Raises:
        UserError: Both are given, the file cannot be read, or the key is too short or cannot be sent in a header.
    """
    key, file = os.environ.get(KEY_VARIABLE, ""), os.environ.get(FILE_VARIABLE, "")
    source = KEY_VARIABLE
    if key and file:
        raise UserError(f"{FILE_VARIABLE}: found a file, and a key in {KEY_VARIABLE}; set one of both")
    if file:
        source = f"{FILE_VARIABLE}: {file}"
        key = _read_file(file)
    if (key or file) and (len(key) < _SHORTEST_KEY or not key.isascii() or not key.isprintable() or " " in key):
        raise UserError(
            f"{source}: found a key of {len(key)} characters, expected {_SHORTEST_KEY} or more of ASCII without spaces"
        )
    return key or None


def _read_file(file: str) -> str:
    try:
        return Path(file).expanduser().read_text("utf-8").removesuffix("\n")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is no text"
        raise UserError(f"{FILE_VARIABLE}: {file}: {reason}") from None


@dataclass(frozen=True)
class Access:
    """Checks requests.

    Attributes:
        host: Where the service listens.
        key: Of the clients; ``None`` lets anybody on this machine ask who uses its own name.

    Raises:
        SettingError: A host that other machines reach, without a key.
    """

    host: str
    key: str | None

    def __post_init__(self) -> None:
        if self.key is None and not _is_loopback(self.host):
            raise SettingError(
                "host",
                f"{self.host} is reached by other machines, which needs a key: set the environment variable "
                f"{KEY_VARIABLE} or {FILE_VARIABLE}, or use 127.0.0.1",
            )

    def check_request(self, request: "Request") -> None:
        """Check a request by its headers and the address from which it comes; see `check`."""
        client = "" if request.client is None else request.client.host
        self.check(request.headers.get("authorization", ""), request.headers.get("host", ""), client)

    def check(self, authorization: str, asked_host: str, client: str) -> None:
        """Check a request.

        Args:
            authorization: The header ``Authorization``.
            asked_host: The header ``Host``.
            client: The address from which the request comes.

        Raises:
            RefusedError: No key, another one, or, without keys, another machine, or a name that a foreign web page has
                given this machine.
        """
        if self.key is None:
            if not _is_loopback(client):
                raise RefusedError(403, f"without a key only this machine is answered: set {KEY_VARIABLE}")
            if not _is_loopback(_without_port(asked_host)):
                raise RefusedError(403, "host: without a key only localhost and loopback addresses are answered")
            return
        given = authorization[len(_BEARER) :] if authorization.lower().startswith(_BEARER) else ""
        if not hmac.compare_digest(given.encode("utf-8", "replace"), self.key.encode()):
            raise RefusedError(401, "authorization: found no valid key, expected 'Bearer KEY'")


def _without_port(host: str) -> str:
    return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
