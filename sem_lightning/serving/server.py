"""Runs the service until a signal ends it."""

import logging
import math
import socket
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI

from sem_lightning.errors import SettingError
from sem_lightning.processes import allow_to_finish
from sem_lightning.serving.limits import ServiceLimits
from sem_lightning.serving.protocol import bounded_protocol


def url_of(port: socket.socket) -> str:
    """The address at which an open port answers."""
    host, number = port.getsockname()[:2]
    return f"http://[{host}]:{number}" if ":" in host else f"http://{host}:{number}"


def open_port(host: str, port: int) -> socket.socket:
    """A socket at an address, not yet listening. Port 0 takes a free one.

    Raises:
        SettingError: The address is not one of this machine, or in use.
    """
    opened = None
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        # asyncio sends at once only where the protocol is named; else an answer waits 40 ms for the client's receipt
        opened = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((host, port))
    except OSError as error:
        if opened is not None:
            opened.close()
        raise SettingError("port", f"{host}:{port}: {error.strerror or error}") from None
    return opened


def run_service(
    application: FastAPI, limits: ServiceLimits, port: socket.socket, on_start: Callable[[], object]
) -> None:
    """Answer requests until Ctrl-C or SIGTERM, and then those that were taken.

    Args:
        application: What answers.
        limits: Of requests.
        port: See `open_port`.
        on_start: Called before the first request is taken.
    """
    patience = math.ceil(limits.seconds) + 1
    allow_to_finish(2 * patience)
    for each in ("uvicorn", "python_multipart"):
        logging.getLogger(each).setLevel(logging.ERROR)  # hostile requests would fill the log
    config = uvicorn.Config(
        application,
        http=bounded_protocol(limits),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=patience,
    )
    on_start()
    try:
        uvicorn.Server(config).run(sockets=[port])
    except KeyboardInterrupt:  # uvicorn repeats the signal when all is answered
        return
