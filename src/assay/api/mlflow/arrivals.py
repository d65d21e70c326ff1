"""The body of a request as an object: streamed, checked, and durable before it is recorded."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import errno
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.requests import ClientDisconnect

from assay.api.mlflow.errors import Refused, invalid
from assay.base.errors import Error
from assay.base.files import explain
from assay.objects.hashing import CHUNK
from assay.objects.receiving import Arriving, arriving

if TYPE_CHECKING:
    from starlette.requests import Request

    from assay.api.hub import Hub

T = TypeVar("T")
R = TypeVar("R")
_FULL = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
_DIGEST = re.compile(r"sha-256=:([^:]*):", re.IGNORECASE)


async def in_thread(hub: Hub, work: Callable[..., T], *arguments: Any) -> T:
    """Run work that reads files or the ledger beside the loop."""
    return await asyncio.get_running_loop().run_in_executor(hub.threads, work, *arguments)


async def take(
    hub: Hub,
    request: Request,
    check: Callable[[], T],
    keep: Callable[[T, Arriving], R],
) -> tuple[T, R]:
    """Take the body of a request into the store.

    Parameters
    ----------
    check : callable
        Called in a thread with the first bytes; what it refuses is not waited for.
    keep : callable
        Called in a thread with what `check` returned, when all is there.

    Returns
    -------
    tuple
        What both returned.

    Raises
    ------
    Refused
        If the header `Content-Digest` tells another hash, or the disk is full.
    ClientDisconnect
        If the body ends early. Nothing is left of it.
    """
    wanted = _wanted(request)
    pieces = _pieces(request)

    def kept(found: T, one: Arriving) -> R:
        _check_digest(one, wanted)
        return keep(found, one)

    try:
        first, is_last = await anext(pieces)
        taken = _at_once if is_last else _streamed
        return await explained(taken(hub, check, kept, first, pieces))
    finally:
        await pieces.aclose()


async def _at_once(
    hub: Hub,
    check: Callable[[], T],
    kept: Callable[[T, Arriving], R],
    content: bytes,
    _pieces: AsyncIterator[tuple[bytes, bool]],
) -> tuple[T, R]:
    def work() -> tuple[T, R]:
        found = check()
        with arriving(hub.objects) as one:
            one.write(content)
            return found, kept(found, one)

    return await in_thread(hub, work)


async def _streamed(
    hub: Hub,
    check: Callable[[], T],
    kept: Callable[[T, Arriving], R],
    first: bytes,
    pieces: AsyncIterator[tuple[bytes, bool]],
) -> tuple[T, R]:
    found = await in_thread(hub, check)
    stack = contextlib.ExitStack()
    try:
        one = await in_thread(hub, stack.enter_context, arriving(hub.objects))
        await in_thread(hub, one.write, first)
        async for piece, _ in pieces:
            await in_thread(hub, one.write, piece)
        done = await in_thread(hub, kept, found, one)
    except BaseException:
        hub.threads.submit(stack.close)  # a large file takes a while to go
        raise
    await in_thread(hub, stack.close)
    return found, done


async def explained(work: Awaitable[T]) -> T:
    """Wait for work that writes files; say of a full disk what it is: no client repeats a 507."""
    try:
        return await work
    except (Error, OSError) as error:
        cause = error if isinstance(error, OSError) else error.__cause__
        if not isinstance(cause, OSError):
            raise
        if cause.errno not in _FULL:
            raise explain(cause, cause.filename or "the store of objects") from error
        raise Refused(
            "RESOURCE_EXHAUSTED",
            f"The hub cannot store this: {cause.strerror}. Nothing of it was kept",
            status=507,
        ) from error


async def _pieces(request: Request) -> AsyncGenerator[tuple[bytes, bool], None]:
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


def _check_digest(one: Arriving, wanted: str | None) -> None:
    if wanted is not None and one.hexdigest() != wanted:
        raise invalid(
            f"The body has the SHA-256 {one.hexdigest()}; the header 'Content-Digest' says "
            f"{wanted}. Nothing was stored; send it again"
        )


def _wanted(request: Request) -> str | None:
    """Return the SHA-256 that a request tells its body has (RFC 9530)."""
    header = request.headers.get("content-digest")
    match = header and _DIGEST.search(header)
    if not match:
        return None
    try:
        return base64.b64decode(match[1], validate=True).hex()
    except ValueError:  # also of what is not ASCII
        raise invalid("The header 'Content-Digest' is not base64") from None
