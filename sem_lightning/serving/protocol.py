"""Bounds what connections cost before the application sees a request: their number, and the time of their headers."""

import asyncio
import json
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from sem_lightning.serving.limits import ServiceLimits


def bounded_protocol(limits: ServiceLimits) -> type[asyncio.Protocol]:
    """The protocol of uvicorn with limits: errors are JSON, and a connection without a request for long is closed."""

    class BoundedProtocol(H11Protocol):
        _seen: RequestResponseCycle | None = None
        _timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if len(self.connections) > limits.connections:
                self._end(b"503 Service Unavailable", f"more than {limits.connections} connections; try again")
                return
            self._timer = self.loop.call_later(limits.seconds, self._look)

        def connection_lost(self, exc: Exception | None) -> None:
            if self._timer is not None:
                self._timer.cancel()
            super().connection_lost(exc)

        def send_400_response(self, msg: str) -> None:
            self._end(b"400 Bad Request", msg)

        def _look(self) -> None:
            """Close a connection on which no request has come since the last look."""
            runs = self.cycle is not None and not self.cycle.response_complete
            if not runs and self.cycle is self._seen:
                self.transport.close()
                return
            self._seen = self.cycle
            self._timer = self.loop.call_later(limits.seconds, self._look)

        def _end(self, status: bytes, reason: str) -> None:
            body = json.dumps({"error": reason}).encode()
            head = b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
            self.transport.write(head % (status, len(body)) + body)
            self.transport.close()

    found: Any = BoundedProtocol
    return found  # type: ignore[no-any-return]
