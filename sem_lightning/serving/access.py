"""Who may ask a service: anybody on this machine, or whoever has the key."""

import hmac
import ipaddress
import os
from dataclasses import dataclass

from sem_lightning.errors import SettingError, UserError
from sem_lightning.serving.refusal import RefusedError

KEY_VARIABLE = "SEM_SERVE_KEY"
_SHORTEST_KEY = 16
_BEARER = "bearer "


def read_key() -> str | None:
    """The key in the environment; ``None`` without one.

    Raises:
        UserError: It is too short, or cannot be sent in a header.
    """
    key = os.environ.get(KEY_VARIABLE, "")
    if key and (len(key) < _SHORTEST_KEY or not key.isascii() or not key.isprintable() or " " in key):
        raise UserError(
            f"{KEY_VARIABLE}: found a key of {len(key)} characters, expected {_SHORTEST_KEY} or more of ASCII without "
            "spaces"
        )
    return key or None


@dataclass(frozen=True)
class Access:
    """Checks requests.

    Attributes:
        host: Where the service listens.
        key: Of the clients; ``None`` lets anybody ask who uses the name of this machine.

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
                f"{KEY_VARIABLE}, or use 127.0.0.1",
            )

    def check(self, authorization: str, asked_host: str) -> None:
        """Check the headers ``Authorization`` and ``Host``.

        Raises:
            RefusedError: No key, another one, or, without keys, a name that a foreign web page has given this machine.
        """
        if self.key is None:
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
