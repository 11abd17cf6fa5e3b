"""The service on a Ray cluster, in as many processes and machines as wanted.

``serve run sem_lightning.serving.ray_deployment:application ckpt=best.ckpt replicas=2``
"""

import logging
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sem_lightning.checks import between
from sem_lightning.errors import SettingError, missing_extra
from sem_lightning.model.packaged import PACKAGED

if TYPE_CHECKING:
    from fastapi import FastAPI
    from ray.serve import Application

_OF_RAY = ("host", "port")
_EXTRA = ("ray,serve", "the service on Ray")
_LOOK = 2.0  # seconds between two looks at a replica


def application(arguments: Mapping[str, Any]) -> "Application":
    """The application for ``serve run``, ``serve deploy`` and ``ray.serve.run``.

    Every replica needs the key ``SEM_SERVE_KEY`` in its environment, or answers its own machine alone, and finds files
    under the same paths.

    Args:
        arguments: ``replicas``, the number of processes (1), ``cpus``, the cores of each (1), and the keys of
            ``conf/serve.yaml`` but ``host`` and ``port``, as text or values.

    Raises:
        SettingError: An unknown key or an invalid value.
        UserError: The extras ``ray`` and ``serve`` are not installed.

    Example:
        >>> serve.run(application({"ckpt": "best.ckpt", "replicas": 2, "limits": {"queue": 32}}))
    """
    try:
        from ray import serve
    except ModuleNotFoundError:
        raise missing_extra(*_EXTRA) from None
    from sem_lightning.config.build import build  # imports Hydra only if needed
    from sem_lightning.config.compose import compose

    rest = dict(arguments)
    replicas, cpus = (_count(name, rest.pop(name, 1)) for name in ("replicas", "cpus"))
    for key in _OF_RAY:
        if key in rest:
            raise SettingError(key, "Ray listens for the service: serve start --http-host and --http-port")
    settings = build(compose("serve", list(_overrides(rest))), "")
    ckpt, network = _absolute(settings.ckpt), settings.network and _absolute(settings.network)
    limits, predictor = settings.limits, settings.predictor_options()
    inspector = settings.inspector_options() | {"network": network}

    def build_app() -> "FastAPI":
        return _open(ckpt, predictor, inspector, limits)

    @serve.deployment(
        name="classifier",
        num_replicas=replicas,
        ray_actor_options={"num_cpus": cpus},
        max_ongoing_requests=limits.queue,
        graceful_shutdown_timeout_s=math.ceil(limits.seconds) + 1,
        health_check_period_s=_LOOK,
    )
    @serve.ingress(build_app)
    class Classifier:
        app: "FastAPI"

        async def check_health(self) -> None:
            """Raise if no images are judged; Ray then replaces the replica."""
            if not self.app.state.service.is_ready:
                raise RuntimeError("no images are judged any longer")

    made: Any = Classifier  # the decorator says it returns the class
    bound: Application = made.bind()
    return bound


def _open(ckpt: str, predictor: Mapping[str, Any], inspector: Mapping[str, Any], limits: Any) -> "FastAPI":
    """The application in a replica."""
    try:
        from sem_lightning.serving.access import Access, read_key
        from sem_lightning.serving.opening import open_service
    except ModuleNotFoundError:
        raise missing_extra(*_EXTRA) from None
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # hostile requests would fill the log
    service = open_service(ckpt, predictor, inspector, limits, Access("localhost", read_key()))
    app = service.application(with_metrics=False)  # a request reaches one of several replicas; Ray counts them all
    app.state.service = service
    return app


def _count(key: str, value: Any) -> int:
    text = str(value)
    if not text.isdecimal():
        raise SettingError(key, f"found {text!r}, expected a whole number")
    between(key, int(text), 1, 10_000)
    return int(text)


def _overrides(arguments: Mapping[str, Any], group: str = "") -> Iterator[str]:
    """Keys and values as on the command line of sem-serve."""
    for key, value in arguments.items():
        if isinstance(value, Mapping):
            yield from _overrides(value, f"{group}{key}.")
        else:
            yield f"{group}{key}={'null' if value is None else value}"


def _absolute(name: str) -> str:
    """A path for processes that run in other folders; names of classifiers in the package stay."""
    return name if name in PACKAGED else str(Path(name).expanduser().resolve())
