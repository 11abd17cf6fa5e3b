"""The application behind the page: routes, and what happens to a request on its way."""

import asyncio
import json
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from fastapi import FastAPI, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from sem_lightning.errors import SettingError
from sem_lightning.io.limits import MAX_PIXELS
from sem_lightning.review.database import DatabaseError
from sem_lightning.review.images import MissingImageError
from sem_lightning.review.requests import read_answers, read_question
from sem_lightning.review.review_settings import CLASS_KEYS, STRATEGIES
from sem_lightning.review.session import ReviewSession
from sem_lightning.serving.access import Access
from sem_lightning.serving.limits import ServiceLimits
from sem_lightning.serving.pictures import draw_png
from sem_lightning.serving.refusal import RefusedError
from sem_lightning.serving.requests import HeldBytes, read_body
from sem_lightning.version import __version__

LIMITS = ServiceLimits(request_mb=2, held_mb=32, seconds=60)
SIDES = (256, 4096)  # pixels along the longer side, of small pictures and of large ones
_PAGE = Path(__file__).parent / "page"
_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_SESSION = "Sem-Review-Session"  # header with the identity of the session that the page was opened with
_DRAWERS = 2  # threads that draw pictures
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_Found = TypeVar("_Found")
_Handler = Callable[[Request], Awaitable[Response]]


class ReviewService:
    """Answers the page's requests.

    Args:
        session: The review.
        access: Who may ask.
        reviewer: Name that the page proposes.
    """

    def __init__(self, session: ReviewSession, access: Access, reviewer: str) -> None:
        self._session, self._access, self._reviewer = session, access, reviewer
        self._held = HeldBytes(LIMITS.held_bytes)
        self._drawers = ThreadPoolExecutor(_DRAWERS, "drawer")
        self._writer = ThreadPoolExecutor(1, "writer")  # an answer never waits for a picture
        self._files = {path.name: path.read_bytes() for path in _PAGE.iterdir() if path.suffix in _TYPES}

    def application(self) -> FastAPI:
        """The application for an ASGI server."""
        app = FastAPI(
            title="sem-review",
            docs_url=None,
            redoc_url=None,
            openapi_url=None,
            redirect_slashes=False,
            lifespan=self._lifespan,
            exception_handlers={HTTPException: _answer_http_error},
        )
        app.add_api_route("/", self.page, methods=["GET"])
        app.add_api_route("/page/{name}", self.page, methods=["GET"])
        routes: dict[str, _Handler] = {
            "/session": self.session,
            "/next": self.next,
            "/progress": self.progress,
            "/picture/{number}": self.picture,
            "/heatmap/{number}": self.heatmap,
        }
        for path, handler in routes.items():
            app.add_api_route(f"/api{path}", self._guarded(handler), methods=["GET"])
        app.add_api_route("/api/answers", self._guarded(self.answers), methods=["POST"])
        app.add_api_route("/api/undo", self._guarded(self.undo), methods=["POST"])
        return app

    async def page(self, name: str = "review.html") -> Response:
        """A file of the page."""
        content = self._files.get(name)
        if content is None:
            return _json(404, {"error": "Not Found"})
        return Response(content, 200, _HEADERS, _TYPES[Path(name).suffix])

    async def session(self, request: Request) -> Response:
        """What the page needs to know at its start."""
        session = self._session
        content = {
            "classes": session.classes,
            "keys": list(CLASS_KEYS[: len(session.classes)]),
            "model": session.model,
            "strategies": STRATEGIES,
            "strategy": session.options.strategy,
            "reviewer": self._reviewer,
            "version": __version__,
            "identity": session.identity,
        }
        return _json(200, content)

    async def next(self, request: Request) -> Response:
        """The next images for a browser."""
        asked = read_question(request.query_params)

        def find() -> list[dict[str, Any]]:
            numbers = self._session.next_images(
                asked.reviewer, asked.browser, asked.strategy, asked.count, asked.leave_out
            )
            return [self._session.describe(number, asked.reviewer) for number in numbers]

        return _json(200, {"images": await self._run(self._writer, find)})

    async def progress(self, request: Request) -> Response:
        """Counts, agreement, and what may be claimed."""
        reviewer = read_question(request.query_params).reviewer
        return _json(200, await self._run(self._drawers, self._session.progress, reviewer))

    async def answers(self, request: Request) -> Response:
        """Store answers; they are on the disk when this answers 200."""
        sent = read_answers(request.headers.get("content-type", ""), await self._body(request))
        await self._run(self._writer, self._session.add, sent.reviewer, sent.token, sent.answers)
        return _json(200, {"stored": len(sent.answers)})

    async def undo(self, request: Request) -> Response:
        """Withdraw the last answer."""
        sent = read_answers(request.headers.get("content-type", ""), await self._body(request))
        numbers = await self._run(self._writer, self._session.undo, sent.reviewer, sent.token)
        return _json(200, {"images": [self._session.describe(number, sent.reviewer) for number in numbers]})

    async def picture(self, request: Request) -> Response:
        """An image as PNG."""
        number = _number(request)
        side = SIDES[0] if request.query_params.get("small") else SIDES[1]

        def draw() -> bytes:
            return draw_png(self._session.image(number).read(), MAX_PIXELS, side)

        return Response(await self._run(self._drawers, draw), 200, _HEADERS, "image/png")

    async def heatmap(self, request: Request) -> Response:
        """The heatmap of an image as PNG."""
        found = self._session.judgement(_number(request))
        if found is None:
            raise RefusedError(404, "has no heatmap")
        return Response(found.heatmap, 200, _HEADERS, "image/png")

    def _guarded(self, handler: _Handler) -> _Handler:
        """A handler behind the key, whose errors are one line."""

        async def handle(request: Request) -> Response:
            try:
                self._access.check_request(request)
                if request.headers.get(_SESSION, self._session.identity) != self._session.identity:
                    raise RefusedError(409, "sem-review has other images or another classifier now; reload the page")
                return await handler(request)
            except RefusedError as refusal:
                return _json(refusal.status, {"error": refusal.reason})
            except MissingImageError as error:
                return _json(410, {"error": str(error)})
            except SettingError as error:
                return _json(422, {"error": str(error)})
            except DatabaseError as error:
                return _json(503, {"error": f"nothing was stored, and nothing is lost: {error}; then try again"})
            except Exception:
                traceback.print_exc()  # for whoever runs the command
                return _json(500, {"error": "the request cannot be answered, by an error of sem-review"})

        return handle

    async def _body(self, request: Request) -> bytes:
        try:
            async with asyncio.timeout(LIMITS.seconds):
                with self._held.share() as share:
                    return await read_body(request, LIMITS, share)
        except TimeoutError:
            raise RefusedError(408, f"the body took more than {LIMITS.seconds:g} s") from None

    async def _run(self, pool: ThreadPoolExecutor, function: Callable[..., _Found], *arguments: Any) -> _Found:
        return await asyncio.get_running_loop().run_in_executor(pool, function, *arguments)

    @asynccontextmanager
    async def _lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        yield
        self._writer.shutdown()
        self._drawers.shutdown()


def _number(request: Request) -> int:
    text = str(request.path_params["number"])
    if not (text.isascii() and text.isdecimal()) or len(text) > 9:
        raise RefusedError(404, "Not Found")
    return int(text)


def _json(status: int, content: dict[str, Any]) -> Response:
    text = json.dumps(content, allow_nan=False, separators=(",", ":"))
    more = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    return Response(text, status, _HEADERS | more, "application/json")


async def _answer_http_error(request: Request, error: Exception) -> Response:
    """Other paths and methods."""
    assert isinstance(error, HTTPException)
    return _json(error.status_code, {"error": str(error.detail)})
