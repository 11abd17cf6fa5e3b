"""The application: routes, and what happens to a request on its way."""

import asyncio
import json
import time
import traceback
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, Response
from starlette.exceptions import HTTPException

from sem_lightning.io.html_page import render_html
from sem_lightning.serving.access import Access
from sem_lightning.serving.limits import ServiceLimits
from sem_lightning.serving.metrics import ServiceMetrics
from sem_lightning.serving.pictures import draw_png
from sem_lightning.serving.refusal import RefusedError
from sem_lightning.serving.requests import HeldBytes, SentImages, read_body, read_images
from sem_lightning.serving.schema import PROBLEMS, REQUEST_BODY, Answers
from sem_lightning.serving.worker import Answer, Job, Worker
from sem_lightning.version import __version__

_READERS = 2  # threads that take bodies apart
_AGAIN = {429: {"Retry-After": "1"}, 503: {"Retry-After": "1"}, 401: {"WWW-Authenticate": "Bearer"}}
_PAGE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src blob:; connect-src 'self'; "
    "frame-ancestors 'none'"
)
_Found = TypeVar("_Found")
_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


class Service:
    """Answers requests.

    Args:
        worker: Judges the images; the application starts and stops it.
        limits: Of requests.
        access: Who may ask.
        metrics: Where requests are counted.
        classifier: Its name, for the answers.
    """

    def __init__(
        self, worker: Worker, limits: ServiceLimits, access: Access, metrics: ServiceMetrics, classifier: str
    ) -> None:
        self._worker = worker
        self._limits = limits
        self._access = access
        self._metrics = metrics
        self._classifier = classifier
        self._held = HeldBytes(limits.held_bytes)
        self._readers = ThreadPoolExecutor(_READERS, "reader")
        metrics.waiting.set_function(lambda: worker.waiting)
        metrics.ready.set_function(lambda: worker.is_ready)
        variables = {"classifier": classifier, "needs_key": access.key is not None, "version": __version__}
        self._page = render_html("serving/page.html.j2", variables)

    @property
    def is_ready(self) -> bool:
        """Whether images are judged."""
        return self._worker.is_ready

    def application(self, with_metrics: bool = True) -> FastAPI:
        """The application for an ASGI server.

        Args:
            with_metrics: Whether ``/metrics`` is answered, by this process for itself.
        """
        app = FastAPI(
            title="sem-lightning",
            version=__version__,
            docs_url=None,  # these pages load scripts from elsewhere
            redoc_url=None,
            redirect_slashes=False,
            lifespan=self._lifespan,
            exception_handlers={HTTPException: _answer_http_error},
        )
        app.add_api_route(
            "/predict",
            self.predict,
            methods=["POST"],
            response_model=Answers,
            responses=PROBLEMS,
            openapi_extra={"requestBody": REQUEST_BODY},
        )
        for path, handler in (("/health", self.health), ("/ready", self.ready), ("/metrics", self.metrics)):
            if with_metrics or handler != self.metrics:
                app.add_api_route(path, handler, methods=["GET"], response_class=Response)
        app.add_api_route("/", self.page, methods=["GET"], include_in_schema=False)
        app.add_api_route("/picture", self.picture, methods=["POST"], include_in_schema=False)
        return app

    async def predict(self, request: Request) -> Response:
        """Judge images; with references, compare each image with them."""
        begun = time.monotonic()
        try:
            content: dict[str, Any] = {"classifier": self._classifier, "answers": await self._answers(request)}
            response = _json(200, content)
            self._metrics.seconds.observe(time.monotonic() - begun)
        except RefusedError as refusal:
            response = _json(refusal.status, {"error": refusal.reason})
        except Exception:
            traceback.print_exc()  # for whoever runs the service
            response = _json(500, {"error": "the request cannot be answered, by an error of the service"})
        self._metrics.requests.labels(response.status_code).inc()
        return response

    async def health(self) -> Response:
        """200 as long as the process answers at all."""
        return _json(200, {"status": "ok"})

    async def ready(self) -> Response:
        """200 while images are judged, 503 otherwise."""
        return _json(200, {"status": "ready"}) if self.is_ready else _json(503, {"error": "not ready"})

    async def metrics(self, request: Request) -> Response:
        """Counters in Prometheus' text format."""
        try:
            self._access.check_request(request)
        except RefusedError as refusal:
            return _json(refusal.status, {"error": refusal.reason})
        return Response(self._metrics.text(), media_type=_PROMETHEUS)

    async def page(self) -> Response:
        """A form to try an image."""
        return HTMLResponse(self._page, headers={"Content-Security-Policy": _PAGE_POLICY})

    async def picture(self, request: Request) -> Response:
        """The file in the body as PNG."""
        try:
            self._access.check_request(request)
            async with asyncio.timeout(self._limits.seconds):
                with self._held.share() as share:
                    body = await read_body(request, self._limits, share)
                    png = await self._in_reader(draw_png, body, self._limits.pixels)
        except TimeoutError:
            return _json(503, {"error": f"no picture within {self._limits.seconds:g} s; try again"})
        except RefusedError as refusal:
            return _json(refusal.status, {"error": refusal.reason})
        return Response(png, media_type="image/png")

    async def _answers(self, request: Request) -> list[Answer]:
        """The answers to a request, in the order of its images.

        Raises:
            RefusedError: It is not answered, not in time, or one of its images cannot be read.
        """
        self._access.check_request(request)
        self._worker.submit([])  # what cannot be taken is refused before it is sent
        status, late = 408, f"the body took more than {self._limits.seconds:g} s"
        try:
            async with asyncio.timeout(self._limits.seconds):
                with self._held.share() as share:
                    body = await read_body(request, self._limits, share)
                    status, late = 503, f"no answer within {self._limits.seconds:g} s; try again"
                    content_type = request.headers.get("content-type", "")
                    sent = await self._in_reader(read_images, content_type, body, self._limits)
                    del body
                    return await self._judge(sent)
        except TimeoutError:
            raise RefusedError(status, late) from None

    async def _in_reader(self, function: Callable[..., _Found], *arguments: Any) -> _Found:
        return await asyncio.get_running_loop().run_in_executor(self._readers, function, *arguments)

    async def _judge(self, sent: SentImages) -> list[Answer]:
        jobs = [Job(image, sent.references) for image in sent.images]
        self._worker.submit(jobs)
        try:
            # the first error is that of the first image
            return [await asyncio.wrap_future(job.result) for job in jobs]
        finally:
            for job in jobs:  # nobody waits for those after an error, or too late
                job.result.cancel()

    @asynccontextmanager
    async def _lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        self._worker.start()
        yield
        await asyncio.to_thread(self._worker.stop, self._limits.seconds)
        self._readers.shutdown()


def _json(status: int, content: dict[str, Any]) -> Response:
    text = json.dumps(content, allow_nan=False, separators=(",", ":"))
    return Response(text, status, _AGAIN.get(status), "application/json")


async def _answer_http_error(request: Request, error: Exception) -> Response:
    """Other paths and methods."""
    assert isinstance(error, HTTPException)
    return _json(error.status_code, {"error": str(error.detail)})
