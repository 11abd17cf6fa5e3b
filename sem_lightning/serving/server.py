"""Runs the service until a signal ends it."""

import logging
import math
import socket
import sys
from collections.abc import Callable

import numpy as np
import uvicorn

from sem_lightning.errors import SettingError
from sem_lightning.inference.predictor import Predictor
from sem_lightning.inspection.inspector import Inspector
from sem_lightning.processes import allow_to_finish
from sem_lightning.serving.access import Access
from sem_lightning.serving.app import Service
from sem_lightning.serving.limits import ServiceLimits
from sem_lightning.serving.metrics import ServiceMetrics
from sem_lightning.serving.protocol import bounded_protocol
from sem_lightning.serving.worker import Worker

_SWITCH = 0.0005  # seconds, in place of 5 ms: the judging thread waits so long for Python after each layer


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
    name: str,
    predictor: Predictor,
    inspector: Inspector,
    limits: ServiceLimits,
    access: Access,
    port: socket.socket,
    on_start: Callable[[], object],
) -> None:
    """Answer requests until Ctrl-C or SIGTERM, and then those that were taken.

    Args:
        name: Of the classifier.
        predictor: Judges images alone; it judges one before the first request.
        inspector: Compares images with references.
        limits: Of requests.
        access: Who may ask.
        port: See `open_port`.
        on_start: Called before the first request is taken.
    """
    list(predictor.stream([np.zeros((predictor.settings.image_size,) * 2, np.uint8)]))
    metrics = ServiceMetrics()
    service = Service(Worker(predictor, inspector, limits, metrics), limits, access, metrics, name)
    patience = math.ceil(limits.seconds) + 1
    allow_to_finish(2 * patience)
    sys.setswitchinterval(_SWITCH)
    for each in ("uvicorn", "python_multipart"):
        logging.getLogger(each).setLevel(logging.ERROR)  # hostile requests would fill the log
    config = uvicorn.Config(
        service.application(),
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
