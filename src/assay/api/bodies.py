"""The body of a request: read up to a limit, or left where the answer comes before all of it.

After such an answer the connection cannot be used again. It is closed a moment later: at once
would be a reset, which takes the answer away from a client that still sends; and who sends a byte
now and then must not keep it open.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from assay.api.mlflow.errors import Refused

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Message, Receive, Scope, Send

_CLOSE = (b"connection", b"close")


def has_body(scope: Scope) -> bool:
    """Tell whether a request announces a body."""
    return any(
        (name == b"content-length" and value != b"0") or name == b"transfer-encoding"
        for name, value in scope["headers"]
    )


class Exchange:
    """A request and its answer, where the body may not be read.

    Attributes
    ----------
    status : int
        What was answered; 0 until then.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, linger: float) -> None:
        self.status = 0
        self._receive, self._send, self._linger = receive, send, linger
        self._is_open, self._closes = has_body(scope), False

    async def receive(self) -> Message:
        """Return the next part of the body."""
        message = await self._receive()
        if not message.get("more_body", False):
            self._is_open = False
        return message

    async def send(self, message: Message) -> None:
        """Send a part of the answer; with the last one, end a connection that has a body open."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self._closes = self._is_open
            if self._closes:
                message = {**message, "headers": [*message["headers"], _CLOSE]}
        elif self._closes and not message.get("more_body", False):
            await self._send({**message, "more_body": True})
            await self._drain()
            message = {"type": "http.response.body", "body": b""}
        await self._send(message)

    async def _drain(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._linger):
                while self._is_open:
                    await self.receive()


async def read(request: Request, *, limit: int) -> bytes:
    """Return the body; one that is too large is not read to its end."""
    parts, size = [], 0
    async for part in request.stream():
        parts.append(part)
        size += len(part)
        if size > limit:
            raise Refused(
                "INVALID_PARAMETER_VALUE",
                f"The request's body is larger than {limit} bytes; send it in several batches",
                status=413,
            )
    return b"".join(parts)
