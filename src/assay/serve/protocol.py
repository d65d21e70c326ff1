"""HTTP/1.1 with bounds: uvicorn's own protocol, which counts what comes in.

uvicorn has no limit for headers, and its own errors are plain text; here all are JSON with the key
`error`, as the Open Inference Protocol wants it. A client that is refused in the midst of sending
would never read why if the connection were closed at once: what it still sends is read and
dropped for a moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from assay.serve.limits import Limits
from assay.serve.listening import bound_unread

LINGER_SECONDS = 2.0
UNREAD_SECONDS = 60.0
"""How long a client may take nothing of what was sent to it."""
SPARE_SECONDS = 5.0
"""How long a connection above the limit may take to say what it wants."""


class Refuse(Exception):
    """The message that is being parsed was refused."""


class Held:
    """How many bytes of bodies all connections of a server hold."""

    n_bytes = 0


class BoundedProtocol(HttpToolsProtocol):
    """One connection. `bound` makes the class that a server is given."""

    limits = Limits()
    held: Held
    on_refused: Callable[[int], object] = staticmethod(lambda _status: None)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to count, and to wait for a request."""
        super().connection_made(transport)
        bound_unread(transport, seconds=UNREAD_SECONDS)
        self._in_head, self._n_head, self._n_body, self._n_dropped = True, 0, 0, 0
        self._n_held = 0
        self._is_refused = False
        self._last_words: bytes | None = None
        self._is_spare = len(self.connections) > self.limits.connections
        self._slow: asyncio.TimerHandle | None = None
        self._arm(SPARE_SECONDS if self._is_spare else self.limits.request_seconds)
        if len(self.connections) > 2 * self.limits.connections:
            self._refuse(503, "too many connections are open; try again later")

    def connection_lost(self, exc: Exception | None) -> None:
        """Let the timer go."""
        self._disarm()
        self._release()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came, unless it is of no interest any more."""
        if self._is_refused:
            self._n_dropped += len(data)
            if self._n_dropped > 4 * self.limits.body:
                self.transport.abort()
            return
        if self._in_head:
            self._n_head += len(data)
        super().data_received(data)
        if self._is_refused:
            return
        if self._in_head and self._n_head > self.limits.head:
            self._refuse(431, f"the head of the request is larger than {self.limits.head} bytes")
        elif self._in_head and not self._n_head:
            self._disarm()
        elif self._slow is None:
            self._arm(self.limits.request_seconds)

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._n_body = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; after the body, where it is a trailer, count it only."""
        if self._in_head:
            super().on_header(name, value)
        else:
            self._count(len(name) + len(value))

    def on_headers_complete(self) -> None:
        """Look at the whole head, and only then let the application begin."""
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        declared = [value for name, value in self.headers if name == b"content-length"]
        limits = self.limits
        if size > limits.head:
            self._stop(431, f"the head of the request is larger than {limits.head} bytes")
        if declared and int(declared[0]) > limits.body:
            self._stop(413, f"the body is said to be larger than {limits.body} bytes")
        if self._is_spare:
            self._stop(503, "too many connections are open; try again later")
        self._in_head = False
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._count(len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request; the next one may follow."""
        super().on_message_complete()
        self._in_head, self._n_head = True, 0

    def on_response_complete(self) -> None:
        """Say why the connection is closed, after the answers that came before."""
        super().on_response_complete()
        if self.cycle.response_complete:
            self._release()
            if self._last_words is not None:
                self._close(self._last_words)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 -- uvicorn's words
        """Refuse what is no HTTP; called by uvicorn, also after `_stop`."""
        if not self._is_refused:
            self._refuse(400, "the request is no HTTP/1.1")

    def shutdown(self) -> None:
        """End the connection when the server does."""
        if self._is_refused:
            self.transport.close()
        else:
            super().shutdown()

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing: the request is answered as if it had not asked for an upgrade."""

    def _count(self, size: int) -> None:
        self._n_body += size
        self._n_held += size
        self.held.n_bytes += size
        if self.held.n_bytes > self.limits.bodies:
            self._stop(503, "too many bytes are on their way; try again later")
        if self._n_body > self.limits.body:
            self._stop(413, f"the body is larger than {self.limits.body} bytes")

    def _release(self) -> None:
        self.held.n_bytes -= self._n_held
        self._n_held = 0

    def _stop(self, status: int, text: str) -> None:
        """Refuse the request that is being parsed."""
        self._refuse(status, text)
        raise Refuse

    def _refuse(self, status: int, text: str) -> None:
        """Answer with an error and close, after the answers that are still to come."""
        self._is_refused = True
        self._disarm()
        self.on_refused(status)
        words = refusal(status, text)
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.response_complete:
            self._close(words)
        elif self._in_head:  # the answer to the request before this one is on its way
            self._last_words = words
        elif self.pipeline or cycle.response_started:
            self.transport.abort()
        else:
            cycle.disconnected = True  # it hears that its client is gone
            cycle.message_event.set()
            self._close(words)

    def _close(self, words: bytes) -> None:
        self._last_words = None
        self._unset_keepalive_if_required()
        if self.transport.is_closing():
            return
        self.transport.write(words)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.flow.resume_reading()
        self.loop.call_later(LINGER_SECONDS, self.transport.close)

    def _arm(self, seconds: float) -> None:
        self._disarm()
        self._slow = self.loop.call_later(seconds, self._too_slow)

    def _disarm(self) -> None:
        if self._slow is not None:
            self._slow.cancel()
            self._slow = None

    def _too_slow(self) -> None:
        if not self._is_refused and not self.transport.is_closing():
            self._refuse(408, "the request took too long to arrive")


def bound(limits: Limits, *, on_refused: Callable[[int], object]) -> type[BoundedProtocol]:
    """Return the protocol with these limits; `on_refused` is told each status."""
    members: dict[str, Any] = {
        "limits": limits,
        "held": Held(),
        "on_refused": staticmethod(on_refused),
    }
    return type("Protocol", (BoundedProtocol,), members)


def refusal(status: int, text: str) -> bytes:
    """Return the bytes of an error that no application sees."""
    body = msgspec.json.encode({"error": text})
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
        "content-type: application/json\r\n"
        f"content-length: {len(body)}\r\n"
        "connection: close\r\n\r\n"
    )
    return head.encode("ascii") + body
