"""The body of a request as an object: streamed, checked, and durable before it is recorded."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import errno
import re
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.requests import ClientDisconnect

from assay.api.mlflow.errors import Refused, invalid
from assay.base.errors import Error
from assay.objects.hashing import CHUNK
from assay.objects.receiving import Arriving, arriving

if TYPE_CHECKING:
    from starlette.requests import Request

    from assay.api.hub import Hub
    from assay.objects.cache import Stored

T = TypeVar("T")
_FULL = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
_DIGEST = re.compile(r"sha-256=:([^:]*):", re.IGNORECASE)


async def in_thread(hub: Hub, work: Callable[..., T], *arguments: Any) -> T:
    """Run work that reads files or the ledger beside the loop."""
    return await asyncio.get_running_loop().run_in_executor(hub.threads, work, *arguments)


async def take(hub: Hub, request: Request, check: Callable[[], T]) -> tuple[T, Stored]:
    """Store the body of a request, and return it with what `check` found.

    Parameters
    ----------
    check : callable
        Called in a thread with the first bytes; what it refuses is not waited for.

    Raises
    ------
    Refused
        If the header `Content-Digest` tells another hash, or the disk is full.
    ClientDisconnect
        If the body ends early. Nothing is left of it.
    """
    wanted = _wanted(request)
    pieces = _pieces(request)
    first, is_last = await anext(pieces)
    try:
        if is_last:
            return await in_thread(hub, _at_once, hub, check, first, wanted)
        return await _streamed(hub, check, first, pieces, wanted)
    except Error as error:
        raise _explained(error) from error
    finally:
        await pieces.aclose()


def _at_once(
    hub: Hub, check: Callable[[], T], content: bytes, wanted: str | None
) -> tuple[T, Stored]:
    found = check()
    with arriving(hub.objects) as one:
        one.write(content)
        return found, _finished(one, wanted)


async def _streamed(
    hub: Hub,
    check: Callable[[], T],
    first: bytes,
    pieces: AsyncIterator[tuple[bytes, bool]],
    wanted: str | None,
) -> tuple[T, Stored]:
    found = await in_thread(hub, check)
    stack = contextlib.ExitStack()
    try:
        one = await in_thread(hub, stack.enter_context, arriving(hub.objects))
        await in_thread(hub, one.write, first)
        async for piece, _ in pieces:
            await in_thread(hub, one.write, piece)
        stored = await in_thread(hub, _finished, one, wanted)
    except BaseException:
        hub.threads.submit(stack.close)  # a large file takes a while to go
        raise
    await in_thread(hub, stack.close)
    return found, stored


async def _pieces(request: Request) -> AsyncIterator[tuple[bytes, bool]]:
    """Go through the body in blocks, each with whether it is the last; there is one at least."""
    waiting, size, is_last = [], 0, False
    while not is_last:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        is_last = not message.get("more_body", False)
        waiting.append(message.get("body", b""))
        size += len(waiting[-1])
        if size >= CHUNK or is_last:
            yield b"".join(waiting), is_last
            waiting, size = [], 0


def _finished(one: Arriving, wanted: str | None) -> Stored:
    if wanted is not None and one.hexdigest() != wanted:
        raise invalid(
            f"The body has the SHA-256 {one.hexdigest()}; the header 'Content-Digest' says "
            f"{wanted}. Nothing was stored; send it again"
        )
    return one.finish()


def _wanted(request: Request) -> str | None:
    """Return the SHA-256 that a request tells its body has (RFC 9530)."""
    header = request.headers.get("content-digest")
    match = header and _DIGEST.search(header)
    if not match:
        return None
    try:
        return base64.b64decode(match[1], validate=True).hex()
    except binascii.Error:
        raise invalid("The header 'Content-Digest' is not base64") from None


def _explained(error: Error) -> Error:
    """Return an error that says of a full disk what it is: no client repeats a 507."""
    cause = error.__cause__
    if isinstance(cause, OSError) and cause.errno in _FULL:
        return Refused(
            "RESOURCE_EXHAUSTED",
            f"The hub cannot store this: {cause.strerror}. Nothing of it was kept",
            status=507,
        )
    return error
